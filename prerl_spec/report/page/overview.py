"""The overview section of a report: identity of the run, phases, and time spent."""

from collections.abc import Mapping, Sequence
from typing import Any

from prerl_spec.report.drawing.labelled_table import labelled_table
from prerl_spec.report.drawing.markup import Child, Html, join, tag
from prerl_spec.report.drawing.plots import legend
from prerl_spec.report.formatting.scales import duration, short
from prerl_spec.report.tables.arms import Arm
from prerl_spec.report.tables.run_tables import RunRecord, Seconds

PARTS = ("sample", "verify", "train", "other", "evaluate")


def state_words(run: RunRecord) -> str:
    """Whether the run is finished, and how often it was resumed."""
    state = "finished" if run.ended else "not finished"
    resumed = f", resumed {run.num_resumes} time{'s' if run.num_resumes != 1 else ''}" if run.num_resumes else ""
    return state + resumed


def facts(run: RunRecord, *, several: bool = False) -> Html:
    """Name, model, digest, commit and machine, as far as the files of the run record them; for one of `several` seeds without
    what is its own."""
    rows = {
        "folder": None if several else str(run.folder),
        "model": _model(run),
        "phases": " → ".join(dict.fromkeys(s.phase for s in run.steps)) or ("none yet" if run.plan else None),
        "scores of": _scored(run),
        "seed": None if several else find(run.plan, "seed"),
        "plan digest": None if several else find(run.plan, "digest"),
        "prefix of log P(y)": _prefix(run),
        "versions": ", ".join(f"{k} {v}" for k, v in (find(_environment(run), "versions") or {}).items()),
        "continues": _start(run),
        "commit": _commit(run),
        "machine": _machine(run),
        "bit-exactness": _bit_exactness(run),
    }
    cells = [(tag("dt", name), tag("dd", str(value))) for name, value in rows.items() if value not in (None, "")]
    return tag("dl", *(c for pair in cells for c in pair), class_="facts")


def phase_table(run: RunRecord) -> Html:
    """One row per phase: steps, applied updates, tokens, and time per part."""
    head = ("phase", "steps", "updates", "generated", "trained", *PARTS, "total")
    rows = [_phase_row(run, seconds) for seconds in run.seconds]
    whole = _sum(run.seconds)
    rows.append(("all", *_amounts(run, None), *_times(whole)))
    return labelled_table("steps, tokens and time by phase", head, rows, total=True, flowing=True)


def time_bars(run: RunRecord) -> Html:
    """One bar per phase, proportional to its time and split by part."""
    longest = max((s.total for s in run.seconds), default=0.0) or 1.0
    rows = []
    for seconds in run.seconds:
        at, parts = 0.0, []
        for number, part in enumerate(PARTS):
            share = 100 * getattr(seconds, part) / longest
            if share > 0:
                size = {"x": f"{at:.2f}%", "width": f"{share:.2f}%", "y": "8", "height": "16"}
                parts.append(tag("rect", class_=f"part p{number}", **size))
            at += share
        words = f"{seconds.phase}: {duration(seconds.total)}"
        bar = tag("svg", *parts, class_="strip", role="img", aria_label=words)
        name, total = tag("span", seconds.phase), tag("span", duration(seconds.total), class_="what")
        rows.append(tag("div", name, bar, total, class_="gap"))
    keys = legend([(part, f"p{number}", "") for number, part in enumerate(PARTS)])
    return tag("figure", tag("figcaption", tag("strong", "Time spent")), keys, *rows, class_="gaps")


def seeds_table(arm: Arm) -> Html:
    """One row per seed: how far it is, its tokens and time, and where it lies."""
    head = ("seed", "state", "steps", "updates", "generated", "trained", "time", "folder")
    rows = [
        (label, state_words(run), *_amounts(run, None), duration(_sum(run.seconds).total), str(run.folder))
        for label, run in zip(arm.labels, arm.runs, strict=True)
    ]
    return labelled_table("the seeds", head, rows, wrapped=("folder",), flowing=True)


def find(tree: Mapping[str, Any], *paths: str) -> Any:
    """The value at the first of these dotted paths that exists, else None."""
    for path in paths:
        value: Any = tree
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            return value
    return None


def _phase_row(run: RunRecord, seconds: Seconds) -> tuple[Child, ...]:
    planned: Mapping[str, Any] = next((p for p in run.plan.get("phases", []) if p.get("id") == seconds.phase), {})
    objective = find(planned, "objective.use")
    name = join([seconds.phase, tag("span", f" {objective}", class_="unit") if objective else None])
    return (name, *_amounts(run, seconds.phase), *_times(seconds))


def _amounts(run: RunRecord, phase: str | None) -> tuple[str, ...]:
    """Steps, updates, tokens generated and trained on, of a phase or of all."""
    steps = [s for s in run.steps if phase in (None, s.phase)]
    tokens = (sum(s.generated_tokens for s in steps), sum(s.trained_tokens for s in steps))
    return (str(len(steps)), _updates(run, phase), *map(short, tokens))


def _times(seconds: Seconds) -> tuple[str, ...]:
    return (*(duration(getattr(seconds, part)) for part in PARTS), duration(seconds.total))


def _updates(run: RunRecord, phase: str | None) -> str:
    steps = [s for s in run.steps if phase in (None, s.phase)]
    applied, taken = sum(s.applied for s in steps), sum(s.updates for s in steps)
    return str(applied) if applied == taken else f"{applied} of {taken}"


def _sum(parts: Sequence[Seconds]) -> Seconds:
    return Seconds("all", **{part: sum(getattr(s, part) for s in parts) for part in PARTS})


def _model(run: RunRecord) -> str | None:
    use, name = find(run.plan, "model.use"), find(run.plan, "model.settings.name")
    count = find(run.plan, "num_parameters") or find(run.manifest, "model.parameters")
    size = f"{short(float(count))} parameters" if isinstance(count, int) else None
    added = find(run.plan, "adapter_parameters") or find(run.manifest, "model.adapter_parameters")
    adapter = f"adapter with {short(float(added))} trained parameters" if isinstance(added, int) else None
    return ", ".join(str(part) for part in (use, name, size, adapter) if part) or None


def _prefix(run: RunRecord) -> str | None:
    """`auto: '<|endoftext|>' (ids [0])`, from the manifest."""
    prefixes = find(run.manifest, "prefixes") or {}
    return "; ".join(f"{name}: {v.get('text')!r} (ids {v.get('ids')})" for name, v in prefixes.items()) or None


def _scored(run: RunRecord) -> str | None:
    """What a folder of `eval` has scored: `phase prune, global step 75`; None for a run."""
    if run.plan or run.steps:
        return None
    places = dict.fromkeys((s.phase, s.global_step) for s in run.scores)
    return "; ".join(f"{phase}, global step {step}" if step else phase for phase, step in places) or None


def _start(run: RunRecord) -> str | None:
    """`phase pretrain of runs/base after its global step 650, content 3f0a…`; None for a run that continues no other."""
    start = find(run.manifest, "start")
    if start is None:
        return None
    where = "" if start["ended"] else f" before its end, at step {start['step']}"
    after = f"after its global step {start['global_step']}, content {start['content'][:12]}"
    return f"phase {start['phase']}{where} of {start['run']}, {after}"


def _commit(run: RunRecord) -> str | None:
    git = find(run.manifest, "git") or {}
    changed = " with uncommitted changes" if git.get("dirty") else ""
    return f"{git['commit']}{changed}" if git.get("commit") else None


def _environment(run: RunRecord) -> Mapping[str, Any]:
    """The environment in which the run started; `_bit_exactness` reports later changes."""
    lineage = run.manifest.get("lineage") or [{}]
    return find(lineage[0], "environment") or {}


def _machine(run: RunRecord) -> str | None:
    environment = _environment(run)
    words = {"platform": "", "gpu": "", "cpu_count": "CPUs ", "threads": "threads ", "world_size": "processes "}
    return ", ".join(f"{word}{environment[key]}" for key, word in words.items() if environment.get(key)) or None


def _bit_exactness(run: RunRecord) -> str | None:
    """Resumes in a changed environment, which end the guarantee of bit-exactness; None if there were none."""
    changes = [entry.get("changed") for entry in run.manifest.get("lineage", []) if entry.get("changed")]
    return "; ".join(f"resumed with different {', '.join(c)}" for c in changes) or None

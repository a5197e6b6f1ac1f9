"""Writes docs/evidence.md and its figure from the studies that docs/evidence keeps: what was asked, and what came out.

`PYTHONPATH=.:components python docs/write_evidence.py` brings both up to date; tests/test_evidence.py fails while they are
not. `… docs/write_evidence.py --keep STUDY NAME` packs what `compare` and this page read of a study's folder.
"""

import argparse
import lzma
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from math import isclose
from pathlib import Path
from statistics import fmean, stdev
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from evidence_figure import Panel, Place, figure
from evidence_records import Records
from evidence_seconds import EqualSeconds
from evidence_words import AFTER_WARM_UP, ANSWER, BEFORE_WARM_UP, HEAD, ORIGIN, TIMES

from prerl_spec.comparison.compare import compare
from prerl_spec.comparison.equal_amounts import AtEqual
from prerl_spec.comparison.findings import Comparison, Difference, Estimate, Table
from prerl_spec.comparison.scored_run import AXES, AXIS_WORDS, Axis
from prerl_spec.compiler.compare.seeds import SHARED, source_of
from prerl_spec.compiler.compile import read_plan
from prerl_spec.statistics.intervals import Interval
from prerl_spec.statistics.seeds import ALPHA, detectable_effect, holm, seed_interval
from prerl_spec.storage.sealed import read_object

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "evidence"
PAGE = ROOT / "docs" / "evidence.md"
FIGURE = ROOT / "docs" / "figures" / "evidence.svg"
KEPT = ("study.json", "state.jsonl", "spec.toml")
KEPT_OF_A_RUN = ("plan.json", "events.jsonl", "scores.json", "manifest.json", "evaluation/questions/*.jsonl")

MARGIN = 0.02
ASSUMED_SD = 0.02
PRIMARY = "arithmetic_chains_easy/avg@16"
CURVE = "curve/avg@2"
TASKS = (
    "arithmetic_chains_easy/avg@16",
    "arithmetic_chains_easy/pass@16",
    "arithmetic_chains_hard/avg@16",
    "arithmetic_chains_hard/pass@16",
)
BASELINE, NULL, QUESTION = "grpo", "null", "dsrl"
WARMED = ("dsrl", "centred")
WARM_UP = 12
LAST_STEPS = 10
IN_TRAINING = {
    "response_length": "tokens a response",
    "entropy": "entropy, nats",
    "thoughts_transition": "transitions a response",
    "thoughts_reflection": "reflections a response",
}


class Study(NamedTuple):
    """A kept study: name of its archive, and what it is."""

    name: str
    what: str


STUDIES = (
    Study("core-question-first", "first base, the pre-registered run"),
    Study("core-question", "first base, the repeat"),
    Study("core-question-1", "second base"),
)


def keep(study: Path, name: str) -> None:
    """Packs a study's folder: the same bytes for the same files, whenever and by whomever. The runs that its cells were started
    from are among its shared ones then, where they are found again."""
    files = {kept: study / kept for kept in KEPT}
    cells = sorted(study.glob("cells/*/seed-*"))
    sources = {source_of(cell, read_plan(cell / "plan.json")) for cell in cells}
    places = {cell: str(cell.relative_to(study)) for cell in cells}
    places |= {run: f"{SHARED}/{run.name}" for run in sorted(filter(None, sources))}
    for run, place in places.items():
        found = [file for pattern in KEPT_OF_A_RUN for file in sorted(run.glob(pattern))]
        files |= {f"{place}/{file.relative_to(run)}": file for file in found}
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for place, file in files.items():
            content = file.read_bytes()
            entry = tarfile.TarInfo(f"{name}/{place}")
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, BytesIO(content))
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.tar.xz").write_bytes(lzma.compress(packed.getvalue(), preset=9))


def written() -> dict[Path, str]:
    """The page and its figure, from the archives alone."""
    with TemporaryDirectory() as where:
        read = [Read.of(study, Path(where)) for study in STUDIES]
        _require_the_words(read)
        parts = [HEAD.format(parameters=_parameters(read)), *_answers(read), ANSWER.format(**_of_known_pairs(read[0]))]
        parts += [BEFORE_WARM_UP, *_after_warm_up(read), AFTER_WARM_UP, "## The studies"]
        for one in read:
            parts += _study(one)
        parts += [*_times(read), *_provenance(read), ORIGIN]
        drawn = figure([_drawn(one) for one in read])
    return {PAGE: "\n".join(parts).rstrip("\n") + "\n", FIGURE: drawn}


class Read(NamedTuple):
    """A kept study as it is compared and as its records say."""

    study: Study
    records: Records
    families: Sequence["Family"]
    whole: Comparison
    detectable: float

    @classmethod
    def of(cls, study: Study, where: Path) -> "Read":
        with tarfile.open(FOLDER / f"{study.name}.tar.xz") as archive:
            archive.extractall(where, filter="data")
        folder = where / study.name
        records = Records.read(folder)
        families = (_family(folder, records, BASELINE, (*WARMED, NULL)), _family(folder, records, NULL, WARMED))
        whole = compare([folder], baseline=BASELINE, curve=CURVE)
        if whole.left_out:
            raise ValueError(f"{study.name}: not compared: {whole.left_out}")
        detectable = read_object(folder / "study.json")["detectable"]["effect"]
        return cls(study, records, families, whole, detectable)

    @property
    def title(self) -> str:
        return f"{self.study.what}, {len(self.records.seeds)} seeds"


class Family(NamedTuple):
    """The differences of some arms from one, on the primary, with Holm's p over them."""

    against: str
    differences: Mapping[str, Difference]
    adjusted: Mapping[str, float]
    seconds: Mapping[str, EqualSeconds]

    def decision(self, arm: str) -> str:
        difference = self.differences[arm]
        assert difference.by_seeds is not None, "a study has several seeds"
        return decision(difference.by_seeds.interval, self.adjusted[arm], _signs(difference))


def decision(interval: Interval, adjusted_p: float, signs: Mapping[str, int | None]) -> str:
    """The pre-registered rule; `signs` are those of the difference at equal amounts, None where it is not known, which forbids
    a claim: the rule's text does not say what does. Where Holm rejects and an amount forbids the claim, it is named."""
    sign = 1 if interval.value > 0 else -1
    words = []
    others = [f"{'not known' if it is None else 'not so'} at equal {axis}" for axis, it in signs.items() if it != sign]
    if adjusted_p < ALPHA and not others:
        words.append("helps" if sign > 0 else "hurts")
        if interval.low > MARGIN or interval.high < -MARGIN:
            words[-1] += " by more than the margin"
    if interval.low > -MARGIN and interval.high < MARGIN:
        words.append("no relevant difference")
    if not words:
        words = ["undecided" + (f": {', '.join(others)}" if adjusted_p < ALPHA else "")]
    return "; ".join(words)


def _signs(difference: Difference) -> dict[str, int | None]:
    """Of each axis that both arms spend something on."""
    amounts = {AXIS_WORDS[axis]: difference.axes[axis] for axis in AXES if difference.axes[axis].how != "unmoved"}
    return {
        words: None if at.difference is None else (at.difference > 0) - (at.difference < 0)
        for words, at in amounts.items()
    }


def _family(folder: Path, records: Records, against: str, arms: Sequence[str]) -> Family:
    found = compare([folder], baseline=against, task=PRIMARY, curve=CURVE)
    differences = {d.arm: d for d in _table(found, PRIMARY).differences if d.arm in arms}
    p_values = [_by_seeds(d).p_value for d in differences.values()]
    seconds = {arm: EqualSeconds.of(records.cells[arm], records.cells[against], CURVE) for arm in differences}
    for arm, difference in differences.items():
        _require_the_same(difference.axes["seconds"], seconds[arm])
    return Family(against, differences, dict(zip(differences, holm(p_values), strict=True)), seconds)


def _require_the_same(compared: AtEqual, read: EqualSeconds) -> None:
    """Raises ValueError where `compare` knows other pairs, or another difference, than the records themselves say."""
    unknown = len(read.all) - len(read.known)
    if unknown != compared.unknown_pairs:
        raise ValueError(f"equal seconds are not known in {unknown} pairs, to compare in {compared.unknown_pairs}")
    if compared.difference is not None and not isclose(compared.difference, read.mean_of_known, abs_tol=1e-12):
        raise ValueError(f"{read.mean_of_known} at equal seconds, to compare {compared.difference}")


def _require_the_words(read: Sequence[Read]) -> None:
    """Raises ValueError where what the page says in words is not what the studies say."""
    against_grpo = [one.families[0].differences[QUESTION] for one in read]
    if any(sign not in (-1, None) for difference in against_grpo for sign in _signs(difference).values()):
        raise ValueError("dsrl is not below grpo wherever that is known")
    if [one.families[0].differences[QUESTION].axes["seconds"].unknown_pairs for one in read] != [1, 0, 0]:
        raise ValueError("equal seconds are not unknown in one pair of the first study alone")
    against_null = [_by_seeds(one.families[1].differences[QUESTION]).interval.value > 0 for one in read]
    if against_null != [False, False, True]:
        raise ValueError("the bases agree in the sign of dsrl against null")
    if all(sign == -1 for one in read for sign in _signs(one.families[0].differences["centred"]).values()):
        raise ValueError("centred is below grpo throughout")
    for one in read:
        records, seeds = one.records, len(one.records.seeds)
        if records.same_steps(NULL, BASELINE, WARM_UP) != seeds:
            raise ValueError(f"{one.study.name}: null is not grpo after its warm-up")
        if records.same_first_samples((*WARMED, NULL)) != seeds:
            raise ValueError(f"{one.study.name}: the warm-ups of a seed do not begin with the same samples")
        if any(cell.last_scored(*PRIMARY.split("/")) != cell.steps[-1]["global_step"] for cell in records.all_cells()):
            raise ValueError(f"{one.study.name}: not every cell was scored at its last step")
        if records.failures:
            raise ValueError(f"{one.study.name}: not every cell was finished at the first try")


def _of_known_pairs(read: Read) -> dict[str, Any]:
    """Of a study whose equal seconds are not known in every pair: what the other pairs say, and all of them read whatever the
    gap. It bears no claim."""
    family = read.families[0]
    difference = family.differences[QUESTION]
    seconds = difference.axes["seconds"]
    dsrl, null, centred = (family.seconds[arm] for arm in (QUESTION, NULL, "centred"))
    if seconds.gap is None or {len(arm.all) - len(arm.known) for arm in (dsrl, null, centred)} != {1}:
        raise ValueError(f"{read.study.name}: equal seconds are not unknown in one pair alone, for want of near scores")
    if min(centred.mean_of_known, centred.mean_of_all, null.mean_of_all) <= 0 or null.mean_of_known >= 0:
        raise ValueError(f"{read.study.name}: the signs at equal seconds are others than the page says")
    as_if = (
        replace(difference, axes={**difference.axes, "seconds": replace(seconds, difference=mean)})
        for mean in (dsrl.mean_of_known, dsrl.mean_of_all)
    )
    said = {decision(_by_seeds(d).interval, family.adjusted[QUESTION], _signs(d)) for d in as_if}
    if len(said) != 1:
        raise ValueError(f"{read.study.name}: with and without the pair that is not known the rule says {sorted(said)}")
    return {
        "gap": 100 * seconds.gap,
        "known_pairs": len(dsrl.known),
        "dsrl_known": 100 * dsrl.mean_of_known,
        "dsrl_all": 100 * dsrl.mean_of_all,
        "centred_known": 100 * centred.mean_of_known,
        "centred_all": 100 * centred.mean_of_all,
        "said": said.pop(),
    }


def _parameters(read: Sequence[Read]) -> int:
    (number,) = {one.records.one("model", "parameters") for one in read}
    return int(number)


def _answers(read: Sequence[Read]) -> Iterator[str]:
    against = (BASELINE, NULL)
    yield "| study | " + " | ".join(f"{QUESTION} − {other} | by the rule" for other in against) + " |"
    yield "|" + " --- |" * (1 + 2 * len(against))
    for one in read:
        cells = []
        for family in one.families:
            interval = _interval(_by_seeds(family.differences[QUESTION]).interval)
            cells += [interval, f"**{family.decision(QUESTION)}**"]
        yield f"| {one.title} | " + " | ".join(cells) + " |"


def _after_warm_up(read: Sequence[Read]) -> Iterator[str]:
    """What the first steps do by themselves, on the curve, and with which gradients."""
    arms = (NULL, *WARMED, BASELINE)
    yield "| study | base (null) | " + " | ".join(arms[1:]) + " | gradient norm: dsrl | centred | grpo |"
    yield "|" + " --- |" * 8
    for one in read:
        scores = {
            arm: [cell.curve(*CURVE.split("/"))[WARM_UP] for cell in one.records.cells[arm].values()] for arm in arms
        }
        cells = [f"{fmean(scores[NULL]):.3f}"]
        for arm in arms[1:]:
            gained = [own - base for own, base in zip(scores[arm], scores[NULL], strict=True)]
            cells.append(_interval(seed_interval(gained)))
        for arm in arms[1:]:
            norms = [
                step["metrics"]["grad_norm"]
                for cell in one.records.cells[arm].values()
                for step in cell.steps[:WARM_UP]
            ]
            cells.append(f"{fmean(norms):.3f}")
        yield f"| {one.study.what} | " + " | ".join(cells) + " |"


def _study(read: Read) -> Iterator[str]:
    difference = read.families[0].differences[QUESTION]
    points = [100 * (difference.values[seed] - difference.baseline_values[seed]) for seed in difference.values]
    alone = detectable_effect(ASSUMED_SD, len(points))
    yield f"\n### {read.title[0].upper()}{read.title[1:]}\n"
    yield (
        f"Primary: easy chains, avg@16 (pass@1), 128 held-out questions. Stated by `study` beforehand as detectable in 80 % of "
        f"cases: {100 * read.detectable:.1f} points after Holm over three comparisons (of one alone, as the pre-registered "
        f"text counts: {100 * alone:.1f}), at a standard deviation of 2 points between seeds; seen in dsrl − grpo: "
        f"{stdev(points):.1f}.\n"
    )
    yield (
        "| difference | points, 95 % over seeds | p after Holm | at equal "
        + " | ".join(AXIS_WORDS[a] for a in AXES)
        + " | by the rule |"
    )
    yield "|" + " --- |" * (4 + len(AXES))
    for family in read.families:
        for arm, difference in family.differences.items():
            axes = " | ".join(_at(difference, axis, family.seconds[arm]) for axis in AXES)
            interval = _interval(_by_seeds(difference).interval)
            yield (
                f"| {arm} − {family.against} | {interval} | {_p(family.adjusted[arm])} | {axes} | {family.decision(arm)} |"
            )
    yield "\nExploratory, never claimed: mean over seeds at the cut, and the difference from grpo in points.\n"
    yield from _exploratory(read)
    yield f"\nThe last four rows: mean over the last {LAST_STEPS} steps, in training.\n"
    yield "Spent by a cell behind the base, mean over seeds:\n"
    amounts = {arm: read.records.mean_spent(arm) for arm in read.records.cells}
    yield "| arm | " + " | ".join(amounts[BASELINE]) + " |"
    yield "|" + " --- |" * (1 + len(amounts[BASELINE]))
    for arm, spent in amounts.items():
        yield f"| {arm} | " + " | ".join(f"{v:,.0f}" if v > 1000 else f"{v:.1f}" for v in spent.values()) + " |"


def _exploratory(read: Read) -> Iterator[str]:
    names = list(read.records.cells)
    yield "| score | " + " | ".join(names) + " |"
    yield "|" + " --- |" * (1 + len(names))
    for task in TASKS:
        table = _table(read.whole, task)
        cells = [f"{fmean(table.baseline_values.values()):.3f}"]
        cells += [f"{fmean(d.values.values()):.3f} ({_interval(_by_seeds(d).interval)})" for d in table.differences]
        yield f"| {task} | " + " | ".join(cells) + " |"
    for metric, words in IN_TRAINING.items():
        yield f"| {words} | " + " | ".join(_in_training(read.records, arm, metric) for arm in names) + " |"


def _in_training(records: Records, arm: str, metric: str) -> str:
    """The metric at the end of an arm's runs, and its difference from the baseline over seeds."""

    def last(of: str) -> list[float]:
        return [
            fmean(step.metrics[metric] for step in cell.record.steps[-LAST_STEPS:])
            for cell in records.cells[of].values()
        ]

    own = last(arm)
    if arm == BASELINE:
        return f"{fmean(own):.3g}"
    interval = seed_interval([mine - other for mine, other in zip(own, last(BASELINE), strict=True)])
    return f"{fmean(own):.3g} ({interval.value:+.2g}, {interval.low:+.2g} to {interval.high:+.2g})"


def _drawn(read: Read) -> Panel:
    """At the steps at which all seeds of an arm were scored, over the mean of what they had generated."""
    curves = {}
    for arm, cells in read.records.cells.items():
        scored = [cell.curve(*CURVE.split("/")) for cell in cells.values()]
        places = []
        for step in sorted(set(scored[0]).intersection(*scored)):
            spent = fmean(sum(s["tokens"]["generated"] for s in cell.steps[:step]) for cell in cells.values())
            places.append(Place(spent, *seed_interval([curve[step] for curve in scored])))
        curves[arm] = places
    return Panel(read.title, curves)


def _times(read: Sequence[Read]) -> Iterator[str]:
    yield "\n## Times and sizes\n"
    yield (
        "Of a cell: wall time by the queue's clock, then means of seconds by what they were spent on; *rest* is start-up, "
        "checkpoints and the process's end.\n"
    )
    yield (
        "| study | cells | hours | cell: median (least to most) | "
        + " | ".join(read[0].records.mean_parts())
        + (" | rest | slowest step / quickest |")
    )
    yield "|" + " --- |" * 10
    for one in read:
        records = one.records
        cells, parts = records.cell_seconds, records.mean_parts()
        rest = fmean(cells) - sum(parts.values())
        spread = f"{records.median_cell:.0f} s ({min(cells):.0f} to {max(cells):.0f})"
        shares = " | ".join(f"{seconds:.1f}" for seconds in (*parts.values(), rest))
        yield (
            f"| {one.study.what} | {len(cells)} | {records.hours:.2f} | {spread} | {shares} | "
            f"{records.spread_of_speed:.1f} |"
        )
    questions, events = (fmean(sizes) for sizes in zip(*(one.records.question_bytes() for one in read), strict=True))
    first = next(iter(read[0].records.cells[BASELINE].values()))
    files = len(list((first.record.folder / "evaluation" / "questions").iterdir()))
    yield TIMES.format(files=files, questions=questions / 1000, events=events / 1000)


def _provenance(read: Sequence[Read]) -> Iterator[str]:
    yield "\n## Where it comes from\n"
    yield "| study | archive | first cell | code | torch | base | furthest beyond the budget |"
    yield "|" + " --- |" * 7
    for one in read:
        git, records = one.records.one("code_git"), one.records
        code = f"{git['commit'][:8]}{', with uncommitted changes' if git['dirty'] else ''}"
        (version,) = {
            cell.record.manifest["lineage"][0]["environment"]["versions"]["torch"] for cell in records.all_cells()
        }
        yield (
            f"| {one.study.what} | [{one.study.name}](evidence/{one.study.name}.tar.xz) | {records.begun} | {code} | "
            f"{version} | {records.one('start', 'content')[:12]} | {100 * records.most_beyond_budget():.1f} % |"
        )


def _table(comparison: Comparison, name: str) -> Table:
    return next(table for table in comparison.tables if f"{table.task}/{table.metric}" == name)


def _by_seeds(difference: Difference) -> Estimate:
    assert difference.by_seeds is not None, "a study has several seeds"
    return difference.by_seeds


def _at(difference: Difference, axis: Axis, seconds: EqualSeconds) -> str:
    at = difference.axes[axis]
    if at.difference is None:
        if at.how != "unknown":
            return at.how
        words = f"not known in {at.unknown_pairs} of {len(difference.values)} pairs"
        if axis != "seconds":
            return words
        return (
            f"{words} (the other {len(seconds.known)}: {100 * seconds.mean_of_known:+.1f}; "
            f"all, whatever the gap: {100 * seconds.mean_of_all:+.1f})"
        )
    return f"{100 * at.difference:+.1f}"


def _interval(interval: Interval) -> str:
    return f"{100 * interval.value:+.2f} ({100 * interval.low:+.2f} to {100 * interval.high:+.2f})"


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", nargs=2, metavar=("STUDY", "NAME"))
    if kept := parser.parse_args().keep:
        keep(Path(kept[0]), kept[1])
    else:
        for file, text in written().items():
            file.write_text(text, encoding="utf-8")

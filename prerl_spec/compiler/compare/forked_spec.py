"""The spec of a fork: that of a run without the phases behind it, starting from the end of the last of these.

It is written anew from the plan, which holds every value as resolved: parents, overlays and variables are in it, paths are
absolute, and the text stands for itself in any folder.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from prerl_spec.compiler.compile import Compiled, compile_resolved, require_valid
from prerl_spec.compiler.evaluator_rendering import declared_rendering, default_rendering, left_open
from prerl_spec.compiler.past_runs.start_point import find, named, source_plan
from prerl_spec.compiler.plan import PhasePlan, Plan, StartPlan, Value
from prerl_spec.compiler.planning.flat_meaning import OF_A_PHASE, differing, leaves, shown_value
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.compiler.planning.values import DEFAULT
from prerl_spec.compiler.render.write_resolved import resolved_toml, toml_value
from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.phase_roles import phase_roles
from prerl_spec.compiler.rules.served import served_data
from prerl_spec.compiler.rules.unused_rules import unused_components, unused_data
from prerl_spec.errors import Diagnostic, Drift, SpecInvalid, UsageError
from prerl_spec.language.compose import remove
from prerl_spec.language.document import Entry, Table, from_plain, join_path, split_path

FILE = "spec.toml"
_LISTS = ("rewards", "filters", "probes")
_OTHERS = ("study", "start")
"""Tables of the run's spec that its fork does without, or has of its own."""

Tree = dict[Any, Any]
"""Key or index -> tree, or the TOML text of a leaf."""


def fork_source(origin: str) -> tuple[Path, str]:
    """The folder and the phase of RUN@PHASE, absolute. Raises UsageError if the phase has not ended, Damaged."""
    run, phase = named(origin)
    place = Path(run).expanduser().absolute()
    find(StartPlan(origin, (str(place),), phase, None))
    if phase is None:
        raise UsageError(
            f"{origin} names no phase", hint="a fork begins at the end of a phase: prerl-spec fork RUN@PHASE"
        )
    return place, phase


def compiled_fork(
    run: Path, phase: str, sets: Sequence[str], unsets: Sequence[str], overlays: Sequence[Path], local_code: bool
) -> Compiled:
    """The fork as `run` would compile its spec. Raises what `forked_spec` raises, and what `compile_resolved` does."""
    composed = _composed(run, phase, sets, unsets, overlays, local_code)
    try:
        return compile_resolved(_standing_alone(composed, run, local_code))
    except SpecInvalid:
        # Of the same meaning, and with the places in the files and options that the user has written.
        make_plan(composed)
        raise


def forked_spec(
    run: Path, phase: str, sets: Sequence[str], unsets: Sequence[str], overlays: Sequence[Path], local_code: bool
) -> Resolved:
    """The resolved spec of the fork, with the overrides; `source_text` is all of it.

    Raises SpecInvalid, UsageError if no phase is left, Drift if the run's own spec means something else by now.
    """
    return _standing_alone(_composed(run, phase, sets, unsets, overlays, local_code), run, local_code)


def _composed(
    run: Path, phase: str, sets: Sequence[str], unsets: Sequence[str], overlays: Sequence[Path], local_code: bool
) -> Resolved:
    plan = source_plan(run)
    ids = [planned.id for planned in plan.phases]
    left = plan.phases[ids.index(phase) + 1 :]
    text, file = _text(plan, left, run, phase), f"<{run}@{phase}>"
    if left:
        alone, _ = require_valid(resolve_text(text, file, local_code=local_code))
        _require_same_meaning(plan, make_plan(alone), [planned.id for planned in left], run)
    composed = resolve_text(text, file, sets=sets, unsets=unsets, overlays=overlays, local_code=local_code)
    if not composed.is_written("phases"):
        raise UsageError(
            f"no phase of {run} comes after `{phase}`",
            hint="add one with --overlay FILE, or fork from an earlier phase",
        )
    begins = composed.value_span("start.from")
    if begins is None or begins.file != file:
        raise UsageError(
            f"a fork of {run}@{phase} begins there, and `start.from` was changed",
            hint="remove it, or name another RUN@PHASE on the command line",
        )
    try:
        return require_valid(composed)[0]
    except SpecInvalid as error:
        behind = ids[: ids.index(phase) + 1]
        raise SpecInvalid([_with_note(composed, d, behind) for d in error.diagnostics], error.sources) from error


def _with_note(resolved: Resolved, found: Diagnostic, behind: Sequence[str]) -> Diagnostic:
    """Says of an error at a phase that was named in vain that it lies behind the fork, and is no part of it."""
    steps = split_path(found.path) if found.path else []
    if steps[:1] != ["phases"] or len(steps) < 2 or not isinstance(steps[1], int):
        return found
    phase = resolved.spec.phases[steps[1]]
    name = phase.after if steps[2:] == ["after"] else phase.id
    if name not in behind:
        return found
    return replace(found, notes=(*found.notes, f"phase `{name}` lies behind this fork, which does not run it again"))


def _standing_alone(composed: Resolved, run: Path, local_code: bool) -> Resolved:
    own = replace(composed, root=deepcopy(composed.root))
    rendering_as_before(own, source_plan(run))
    _without_unused(own)
    return resolve_text(resolved_toml(own), FILE, local_code=local_code)


def _text(plan: Plan, left: Sequence[PhasePlan], run: Path, phase: str) -> str:
    tree: Tree = {}
    for value in plan.values:
        if value.origin != DEFAULT:
            _put(tree, split_path(value.path), _written(value))
    for key in _OTHERS:
        tree.pop(key, None)
    if plan.plugin_files:
        tree["plugins"] = {"files": toml_value(list(plan.plugin_files))}
    by_id = {str(value.resolved): split_path(value.path)[1] for value in plan.values if _is_id(value)}
    written = tree.pop("phases", {})
    phases = [_phase(written[by_id[planned.id]], planned, tree) for planned in left]
    tree["start"] = {"from": toml_value(f"{run}@{phase}")}
    if not Path(plan.output_dir).is_dir():
        # The run was moved, perhaps from another machine: the fork lies beside it.
        tree["run"]["output_dir"] = toml_value(str(run.parent))
    if phases:
        tree["phases"] = dict(enumerate(phases))
    return "".join(f"{join_path('', key)} = {_inline(inner)}\n" for key, inner in tree.items())


def _phase(written: Tree, planned: PhasePlan, top: Mapping[str, Any]) -> Tree:
    """In the order in which they run; an empty list, which is no value of its own, keeps the top-level one away."""
    emptied = {
        key: "[]"
        for key in _LISTS
        if key in top and key not in written and not getattr(planned, key) and planned.uses_rollouts
    }
    return {**{key: inner for key, inner in written.items() if key != "after"}, **emptied}


def _is_id(value: Value) -> bool:
    steps = split_path(value.path)
    return len(steps) == 3 and steps[0] == "phases" and steps[2] == "id"


def _put(tree: Tree, steps: Sequence[str | int], text: str) -> None:
    for step in steps[:-1]:
        tree = tree.setdefault(step, {})
    tree[steps[-1]] = text


def _written(value: Value) -> str:
    """The value in TOML; a secret as the reference to it."""
    text = toml_value(value.resolved)
    return text.replace("$${secret:", "${secret:") if "${secret:" in (value.given or "") else text


def _inline(tree: Any) -> str:
    if not isinstance(tree, dict):
        return str(tree)
    if all(isinstance(key, int) for key in tree):
        return "[" + ", ".join(_inline(tree[key]) for key in sorted(tree)) + "]"
    return "{ " + ", ".join(f"{join_path('', key)} = {_inline(inner)}" for key, inner in tree.items()) + " }"


def _require_same_meaning(before: Plan, after: Plan, left: Sequence[str], run: Path) -> None:
    found = differing(dict(_left(before, left)), dict(_left(after, left)))
    if found:
        listed = "\n  ".join(f"{path}: {shown_value(old)} -> {shown_value(new)}" for path, old, new in found)
        raise Drift(
            f"the spec of {run} means something else by now\n  {listed}",
            hint="restore what has changed, or write a spec with `[start] from` of your own",
        )


def _left(plan: Plan, left: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """The meaning of what a fork shares with its run."""
    for path, value in leaves(plan).items():
        if OF_A_PHASE.fullmatch(path):
            if split_path(path)[1] in left:
                yield path, value
        elif path != "phases" and split_path(path)[0] not in (*_OTHERS, "cut"):
            yield path, value


def rendering_as_before(resolved: Resolved, before: Plan) -> None:
    """Tells evaluators how to render questions where that hangs on the first phase, which is another one in the fork."""
    evaluators = [resolved.built[f"evaluate[{number}]"].component for number in range(len(resolved.spec.evaluate))]
    if not evaluators:
        return
    first = next(iter(phase_roles(resolved)[0].data))
    said, now = default_rendering(before), declared_rendering(served_data(resolved, first).planned)
    for number, evaluator in enumerate(evaluators):
        for key, value in left_open(evaluator.settings(), said, now).items():
            table = resolved.node(f"evaluate[{number}]")
            assert isinstance(table, Table), "it has settings"
            table.entries[key] = Entry(key, None, from_plain(value))


def _without_unused(resolved: Resolved) -> None:
    """Removes what only the phases behind have used, and makes the paths of plugin files absolute."""
    roles = phase_roles(resolved)
    for path in (
        *(join_path("data", name) for name in unused_data(resolved, roles)),
        *unused_components(resolved, roles),
    ):
        remove(resolved.root, path)
    if resolved.plugin_files:
        plugins = resolved.root.get("plugins")
        assert isinstance(plugins, Table), "it names these files"
        plugins.entries["files"] = Entry("files", None, from_plain(list(resolved.plugin_files)))

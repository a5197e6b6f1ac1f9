"""What a run begins from instead of its initial model: `start.from`, as far as this machine can tell, and whether it fits."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from prerl_spec.codes import Code
from prerl_spec.compiler.estimates.unknown import Unknown
from prerl_spec.compiler.past_runs.run_folder import has_own_checkpoint
from prerl_spec.compiler.past_runs.start_point import planned_start, source_plan, start_here
from prerl_spec.compiler.plan import ComponentPlan, Plan, PrerequisitePlan, StartPlan, StartPoint
from prerl_spec.compiler.planning.flat_meaning import by_index
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.errors import Diagnostic, EnvironmentUnmet, Label, SpecInvalid
from prerl_spec.text import Codec
from prerl_spec.vocabularies import vocabulary_difference

PATH = "start.from"


def fitting_start(resolved: Resolved, plan: Plan, codec: Codec | Unknown) -> StartPlan | None:
    """The start of a spec that has one, unknown with a reason where its run is not on this machine.

    Raises SpecInvalid for a start that this run cannot go on from, Damaged.
    """
    if resolved.spec.start is None:
        return None
    span = resolved.value_span(PATH)
    beside = Path() if span is None or span.file.startswith("<") else Path(span.file).parent
    start = planned_start(resolved.spec.start.origin, (beside, Path(os.path.expanduser(resolved.spec.run.output_dir))))
    if start.found is not None and (found := [*misfits(start.found, plan, codec)]):
        raise SpecInvalid([_diagnostic(resolved, misfit) for misfit in found], resolved.sources)
    return start


class Misfit(NamedTuple):
    """Why a run cannot go on from a checkpoint, what would be right, and where this run's spec says otherwise."""

    message: str
    help: str
    path: str


def _diagnostic(resolved: Resolved, misfit: Misfit) -> Diagnostic:
    written = by_index(misfit.path, [phase.id or "" for phase in resolved.spec.phases])
    # A phase without an optimizer of its own has that of the top level.
    found = resolved.value_span(written) or resolved.value_span(written.rpartition(".")[2])
    labels = () if found is None else (Label(found, "of this run"),)
    return Diagnostic(
        Code.CONTRADICTION, misfit.message, resolved.value_span(PATH), PATH, labels=labels, help=misfit.help
    )


def misfits(start: StartPoint, plan: Plan, codec: Codec | Unknown) -> Iterator[Misfit]:
    """Why a run of this plan cannot go on from a checkpoint, and what would be right."""
    source = source_plan(Path(start.run))
    ours, theirs = _architecture(plan), _architecture(source)
    for name in dict.fromkeys([*ours, *theirs]):
        mine, other = ours.get(name), theirs.get(name)
        if mine != other and (name == "adapter" or _of_both(name, ours, theirs)):
            words = f"`{name}` of this run's model is {_shown(mine)}, of the run in {start.run} {_shown(other)}"
            yield Misfit(f"the weights do not fit: {words}", _help(plan, source), f"model.{name}")
    if isinstance(codec, Codec) and (difference := _vocabulary(start, codec)) is not None:
        yield Misfit(
            f"the run in {start.run} has another tokenizer than this run: {difference}",
            "use the tokenizer of that run: its model has learnt the ids of its tokens",
            "model.tokenizer",
        )
    if plan.phases and start.optimizer == "carry" and start.optimizer_use[0] != plan.phases[0].optimizer.use:
        yield Misfit(
            f"phase `{start.phase}` of {start.run} carries the moments of `{start.optimizer_use[0]}` over, and the optimizer "
            f"of phase `{plan.phases[0].id}` is `{plan.phases[0].optimizer.use}`",
            "use the same optimizer, or start from a phase whose schedule resets it",
            f"phases.{plan.phases[0].id}.optimizer",
        )


def start_need(start: StartPlan) -> tuple[PrerequisitePlan, ...]:
    """That the start is on this machine."""
    found = start.unknown or "found"
    hint = start.hint or "restore the run folder"
    return (PrerequisitePlan("start", start.origin, None, (PATH,), start.found is not None, found, hint),)


def start_need_now(plan: Plan, folder: Path | None) -> tuple[PrerequisitePlan, ...]:
    """An unmet need if the run has to be loaded from its start, here and now, and it is not there: a run with a checkpoint of
    its own, in `folder`, goes on without. Raises Drift for a start of another content, Damaged."""
    if plan.start is None or (folder is not None and has_own_checkpoint(folder)):
        return ()
    try:
        start_here(plan.start)
    except EnvironmentUnmet as error:
        hint = error.hint or "restore the run folder"
        return (PrerequisitePlan("start", plan.start.origin, None, (PATH,), False, error.message, hint),)
    return ()


def _architecture(plan: Plan) -> dict[str, object]:
    """What decides the names and shapes of the trained weights, and how they compute, as far as specs say it."""
    settings, adapter = plan.model.settings, plan.model.slots.get("adapter")
    config = settings.get("config")
    written = config.items() if isinstance(config, Mapping) else ()
    # Where it is unwritten, the size of the vocabulary is the tokenizer's, which is compared by itself.
    found = {f"config.{key}": value for key, value in written if key != "vocab_size"}
    if isinstance(adapter, ComponentPlan):
        kept = ("rank", "alpha", "targets")
        found |= {f"adapter.{key}": adapter.settings[key] for key in kept if key in adapter.settings}
    return {**found, "adapter": adapter.use if isinstance(adapter, ComponentPlan) else "off"}


def _of_both(name: str, ours: Mapping[str, object], theirs: Mapping[str, object]) -> bool:
    """Whether both specs say something of this kind: a model from files says nothing of its configuration."""
    kind = name.partition(".")[0] + "."
    return any(key.startswith(kind) for key in ours) and any(key.startswith(kind) for key in theirs)


def _vocabulary(start: StartPoint, codec: Codec) -> str | None:
    try:
        return vocabulary_difference(codec, Codec.from_folder(Path(start.checkpoint)))
    except EnvironmentUnmet:
        return None  # the checkpoint holds none that could be compared


def _help(plan: Plan, source: Plan) -> str:
    if (plan.model.slots.get("adapter") is None) != (source.model.slots.get("adapter") is None):
        return "give both runs the same adapter, or name the checkpoint folder as `model.name`, which takes its weights alone"
    return "use the model of that run"


def _shown(value: object) -> str:
    return "absent" if value is None else f'"{value}"' if isinstance(value, str) else str(value)

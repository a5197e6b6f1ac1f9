"""Recomputes the credit of a journalled step without the model, where no checkpoint is near enough to repeat the step."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from prerl_spec.compiler.graph import Graph
from prerl_spec.compiler.objective_needs import Needs
from prerl_spec.engine.batches.judged_groups import as_recorded, keeps, part_names
from prerl_spec.engine.inspect.replay import Replayed
from prerl_spec.engine.record import checkpoint
from prerl_spec.engine.training.minibatch import credit_check, split_batch
from prerl_spec.errors import UsageError
from prerl_spec.needs import Need
from prerl_spec.registry.component_state import initial_states
from prerl_spec.storage.journal_frames import read_step_entries, step_file
from prerl_spec.storage.run_events import read_run_events
from prerl_spec.types import Array, Step

NEAR = 50
"""Steps from a checkpoint: `checkpoint.every` where it is not written."""


def steps_away(folder: Path, step: int) -> int:
    """How many steps a replay of this one has to take, from the nearest kept checkpoint or the initial model."""
    before = [checkpoint.step_of(saved) for saved in checkpoint.folders(folder / "checkpoints")]
    return step - max((k for k in before if k < step), default=0)


def replay_credit(graph: Graph, folder: Path, step: int) -> Replayed:
    """Compares the credit (advantages and weights) of a step's journal with the hash in its event.

    Raises UsageError for a step that the run has not sampled, and for an objective whose credit reads log-probabilities,
    which need the model, or has a state; Damaged, RunFailed.
    """
    recorded = {e["global_step"]: e for e in read_run_events(folder).entries if e["event"] == "step"}
    entries = read_step_entries(step_file(folder / "journal", step))
    if step not in recorded or not entries.groups:
        raise UsageError(f"the run in {folder} has not sampled step {step}", hint="`prerl-spec samples RUN` lists them")
    phase = next(phase for phase in graph.phases if phase.id == entries.header["phase"])
    if Needs.of(phase.objective.component, phase.updates_per_batch).credit:
        raise UsageError(
            f"the credit of {phase.objective.use} reads log-probabilities, which need the model", hint="write --far"
        )
    if initial_states(phase.objective.component):
        raise UsageError(
            f"the credit of {phase.objective.use} depends on what a component remembers, which checkpoints hold",
            hint="write --far",
        )
    assert phase.sampler is not None
    sampler = phase.sampler.component
    groups = [as_recorded(group, phase) for _, group in sorted(entries.groups.items())]
    kept = tuple(g for g in groups if all(keeps(f, g) for f in phase.filters))
    batch = Step(
        phase.id,
        entries.header["step"],
        step,
        kept,
        sampler.temperature,
        sampler.max_new_tokens,
        part_names=part_names(phase.rewards),
        streams=graph.run.streams,
    )
    minibatches = split_batch(batch, phase.objective.component, _NoVectors(), phase.updates_per_batch)
    same = credit_check(minibatches) == recorded[step]["hashes"]["credit"]
    return Replayed(step, phase.id, {"credit": same})


class _NoVectors:
    """Stands for the vectors of an objective whose credit reads none."""

    def read(self, needs: Iterable[Need], samples: range) -> Mapping[Need, Array]:
        assert not list(needs)
        return {}

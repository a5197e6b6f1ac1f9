"""Checkpoints a run's state every `checkpoint.every` steps and at each phase end, in step on all ranks."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from prerl_spec.engine.policy.reference import Reference
from prerl_spec.engine.policy.sharding import on_main
from prerl_spec.engine.policy.weights import save_transformers, whole_weights
from prerl_spec.engine.record import checkpoint
from prerl_spec.engine.record.events import EventLog
from prerl_spec.engine.run.position import Position
from prerl_spec.engine.run.session import Session
from prerl_spec.errors import RunFailed


class Commits:
    """The checkpoints of a run.

    `moments()` returns the optimizer's state; it is called only when a checkpoint is written.
    """

    def __init__(
        self, session: Session, events: EventLog, reference: Reference | None, moments: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._session = session
        self._ranks = session.ranks
        self._events = events
        self._reference = reference
        self._moments = moments
        self._committed = 0
        """Global step of the newest checkpoint; at step 0 there is nothing to save."""

    def restored(self, position: Position) -> None:
        """Records that an earlier process has committed this position."""
        self._committed = position.global_step

    def commit_if_due(self, position: Position) -> None:
        if position.over or position.global_step % self._session.graph.checkpoint.every == 0:
            self.commit(position)

    def commit(self, position: Position) -> None:
        """Commits the position between two steps; a no-op if it is already committed. A collective call.

        Raises RunFailed if the ranks' weights differ.
        """
        if position.global_step == self._committed:
            return
        self._stop_if_ranks_differ(position.global_step)
        loaded, root = self._session.policy.loaded, self._session.folder / "checkpoints"
        moments = on_main(self._moments(), self._ranks)
        reference = on_main(self._reference.tensors() if self._reference is not None else {}, self._ranks)
        weights = whole_weights(loaded, self._ranks, merged=position.over)
        self._ranks.main_does(
            lambda: checkpoint.commit(
                root,
                position.global_step,
                save_model=lambda where: save_transformers(loaded, where, weights),
                state={**position.to_json(), "events": asdict(self._events.head)},
                tensors={"optimizer": moments, "reference": reference},
            ),
            f"the checkpoint of step {position.global_step}",
        )
        self._committed = position.global_step
        self._events.write_once("checkpoint", global_step=position.global_step)
        if self._ranks.is_main:
            ends = {step for _, step in self._events.phase_ends()}
            kept = ends | {position.global_step} if position.over else ends
            checkpoint.retain(root, self._session.graph.checkpoint.keep, frozenset(kept))

    def _stop_if_ranks_differ(self, global_step: int) -> None:
        """Every rank must apply the same update to the same weights; if one does not, the state is not worth saving."""
        if self._session.policy.is_sharded:
            return  # no weight is replicated
        sums = [float(p.detach().double().sum()) for _, p in self._session.policy.parameters()]
        if len({tuple(s) for s in self._ranks.gather([sums])}) > 1:
            raise RunFailed(
                f"the weights of the {self._ranks.size} processes differ after step {global_step}",
                hint="the last checkpoint is unaffected; use the same software and hardware on every rank",
            )

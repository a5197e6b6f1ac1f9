"""Where a study's budget ends a run: after the first step with which what it counts has been reached, in whatever phase.

The last phase goes on beyond its own end until then, OVERTIME times as long at most. All of it follows from the plan, the
events of the steps and the position, so that a run that was killed anywhere ends at the same step.
"""

from dataclasses import replace

from prerl_spec.compiler.graph import Graph, Phase
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.record.events import EventLog
from prerl_spec.engine.run.position import Position
from prerl_spec.storage.run_events import amount_taken

OVERTIME = 4
"""The last phase takes at most this many times the steps that its schedule gives it: a budget that is out of reach, say of
tokens in a run that generates none, would never end it."""


class Cutting:
    """The cut of a run, if its plan has one; without one every call leaves things as they are."""

    def __init__(self, graph: Graph, events: EventLog, ranks: Ranks) -> None:
        self._graph = graph
        self._events = events
        self._ranks = ranks

    def taken(self, at: Position) -> float | None:
        """How much of the budget has been taken at a position; None without a cut. A collective call."""
        if (cut := self._graph.cut) is None:
            return None
        # Each process measures seconds of its own: those of the main one, which stand in events.jsonl, decide for all.
        own = [cut.before + amount_taken(self._events.steps_until(at.global_step), cut.match)]
        return self._ranks.gather(own if self._ranks.is_main else [])[0]

    def is_reached(self, at: Position) -> bool:
        """Whether the run ends here. A collective call."""
        cut, taken = self._graph.cut, self.taken(at)
        return cut is not None and taken is not None and taken >= cut.budget

    def after_step(self, at: Position) -> Position:
        """The position after a step, `over` as the schedule says, with `over` as schedule and budget say together."""
        if self._graph.cut is None:
            return at
        return self.judged(replace(at, ended_at=at.step) if at.over and at.ended_at is None else at)

    def judged(self, at: Position) -> Position:
        """A position as this plan's budget judges it: an earlier process may have gone on under a smaller one."""
        if self._graph.cut is None:
            return at
        return replace(at, over=self._is_over(at) or self.is_reached(at))

    def _is_over(self, at: Position) -> bool:
        """Whether the phase is over, whatever has been taken of the budget."""
        last = at.phase == len(self._graph.phases) - 1
        return at.ended_at is not None and at.step >= at.ended_at * (OVERTIME if last else 1)

    def record_end(self, phase: Phase, at: Position) -> None:
        """Writes, once, that the run was cut at the end of this phase, or that its last phase has ended before that."""
        cut, taken = self._graph.cut, self.taken(at)
        if cut is None or taken is None:
            return
        reached = round(taken, 4) if cut.match == "seconds" else int(taken)
        if taken >= cut.budget:
            self._events.write_once(
                "cut",
                match=cut.match,
                budget=cut.budget,
                reached=reached,
                phase=phase.id,
                global_step=at.global_step,
            )
        elif phase is self._graph.phases[-1]:
            self._events.write_once(
                "warning",
                message=f"the study's budget of {cut.budget:,.15g} {cut.match.replace('_', ' ')} was not reached: "
                f"{reached:,} after {at.step} steps of {phase.id}, {OVERTIME} times its own",
            )

"""What `try` has seen, for a terminal: one batch at work, and how the reward went. ASCII."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prerl_spec.registry.kinds import Verifier
from prerl_spec.report.terminal.component_preview import at_work
from prerl_spec.report.terminal.token_table import curve, token_table

if TYPE_CHECKING:
    from prerl_spec.compiler.graph import Phase
    from prerl_spec.engine.inspect.try_component import Trial

SHOWN_TOKENS = 14


def batch_page(kind: str, phase: "Phase", trial: "Trial", samples: Sequence[int], beside: Verifier) -> str:
    """What a component of this kind makes of the stored batch; empty for one that says nothing of single attempts.

    An objective is shown beside `grpo` on `samples` of the batch, a verifier beside another one; the reward, filter or
    probe is the first one of the phase.
    """
    batch = trial.batch
    groups = [*batch.groups, *batch.discarded]
    size = f"{len(groups)} prompts x {len(groups[0].attempts)} attempts"
    if kind == "objective":
        table = token_table(batch, trial.codec, [*trial.tried, *trial.beside], samples, max_tokens=SHOWN_TOKENS)
        return f"one stored batch of {size}, before any update, beside `grpo`:\n{table}"
    served: Sequence[Any] = {"reward": phase.rewards, "filter": phase.filters, "probe": phase.probes}.get(kind, ())
    lines = list(at_work(kind, served[0].component if served else None, batch, beside))
    return "\n".join([f"one stored batch of {size}, before any update:", *lines]) if lines else ""


def reward_page(rewards: Sequence[float]) -> str:
    """The mean reward of each batch as a curve, and what may be concluded from it."""
    third = max(1, len(rewards) // 3)
    first, last = sum(rewards[:third]) / third, sum(rewards[-third:]) / third
    return (
        f"mean reward of each of {len(rewards)} batches, an update after each:\n"
        f"{curve(rewards, low=_floor(rewards), high=_ceiling(rewards))}\n"
        f"first third of them {first:.3f}, last third {last:.3f}.\n"
        "One seed of a toy: this shows that gradients arrive and point somewhere, not that the idea is good."
    )


def _floor(rewards: Sequence[float]) -> float:
    """0, or the next tenth below every value."""
    lowest = min(rewards, default=0.0)
    return 0.0 if lowest >= 0 else math.floor(lowest * 10) / 10


def _ceiling(rewards: Sequence[float]) -> float:
    """The next tenth above every value; 1 where that is the highest."""
    highest = max(rewards, default=0.0)
    above = math.floor(highest * 10 + 1) / 10
    return min(1.0, above) if highest <= 1 else above

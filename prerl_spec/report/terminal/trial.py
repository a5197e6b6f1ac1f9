"""Output of `try`: a preview on one batch, and the mean reward over training. ASCII."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.report.terminal.component_preview import preview
from prerl_spec.report.terminal.token_table import curve, token_table

if TYPE_CHECKING:
    from prerl_spec.compiler.graph import Phase
    from prerl_spec.engine.inspect.try_component import Trial

SHOWN_TOKENS = 14


def batch_page(kind: str, phase: "Phase", trial: "Trial", samples: Sequence[int], baseline: Verifier) -> str:
    """Previews a component on the stored batch; empty for kinds that do not process attempts.

    An objective is compared with `grpo` on `samples` of the batch, a verifier with `baseline`; the reward, filter or
    probe is the first one of the phase.
    """
    batch = trial.batch
    groups = [*batch.groups, *batch.discarded]
    size = f"{len(groups)} prompts x {len(groups[0].attempts)} attempts"
    if kind == "objective":
        table = token_table(batch, trial.codec, [*trial.tried, *trial.beside], samples, max_tokens=SHOWN_TOKENS)
        return f"one stored batch of {size}, before any update, compared with `grpo`:\n{table}"
    served: Sequence[Any] = {"reward": phase.rewards, "filter": phase.filters, "probe": phase.probes}.get(kind, ())
    lines = list(preview(kind, served[0].component if served else None, batch, baseline))
    return "\n".join([f"one stored batch of {size}, before any update:", *lines]) if lines else ""


def reward_page(rewards: Sequence[float]) -> str:
    """The mean reward of each batch as a curve, and what it shows."""
    third = max(1, len(rewards) // 3)
    first, last = sum(rewards[:third]) / third, sum(rewards[-third:]) / third
    return (
        f"mean reward of each of {len(rewards)} batches, an update after each:\n"
        f"{curve(rewards, low=_floor(rewards), high=_ceiling(rewards))}\n"
        f"mean of the first third {first:.3f}, of the last third {last:.3f}.\n"
        "One seed of a toy task: this shows that gradients flow and change the policy, not that the idea is good."
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

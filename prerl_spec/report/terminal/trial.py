"""Output of `try`: a preview on one batch, and the mean reward over training. ASCII."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from prerl_spec.engine.inspect.trial_spec import GRPO
from prerl_spec.report.terminal.component_preview import preview
from prerl_spec.report.terminal.token_table import curve, token_table
from prerl_spec.types import Array, StepRecord

if TYPE_CHECKING:
    from prerl_spec.compiler.graph import Phase
    from prerl_spec.engine.inspect.try_component import Trial

SHOWN_TOKENS = 14
PARTS: Mapping[str, str] = {
    "advantage": "group_std",
    "selection": "every token",
    "surrogate": "clip",
    "correction": "truncate",
    "ramp": "1",
}
"""Parts of the policy-gradient product, each with what it is compared with."""


def batch_page(
    kind: str, name: str, component: Any, phase: "Phase", trial: "Trial", samples: Sequence[int], baseline: Any
) -> str:
    """Previews a component on the stored batch; empty for kinds that do not process attempts.

    An objective is compared with `grpo` on `samples` of the batch, a part of one with the built-in of its kind, a
    verifier with `baseline`; the reward, filter or probe is the first one of the phase.
    """
    batch = trial.batch
    if kind in PARTS:
        return _part_page(kind, name, component, trial, samples, baseline)
    groups = [*batch.groups, *batch.discarded]
    size = f"{len(groups)} prompts x {len(groups[0].attempts)} attempts"
    if kind == "objective":
        table = token_table(batch, trial.codec, trial.tried, samples, beside=trial.beside, max_tokens=SHOWN_TOKENS)
        return f"one stored batch of {size}, before any update, compared with {GRPO}:\n{table}"
    served: Sequence[Any] = {"reward": phase.rewards, "filter": phase.filters, "probe": phase.probes}.get(kind, ())
    lines = list(preview(kind, served[0].component if served else None, batch, baseline))
    return "\n".join([f"one stored batch of {size}, before any update:", *lines]) if lines else ""


def _part_page(kind: str, name: str, component: Any, trial: "Trial", samples: Sequence[int], baseline: Any) -> str:
    """A part in its slot of `policy_gradient` beside the built-in: on the stored batch, and by the ratios it depends on."""
    from prerl_spec.report.terminal.part_preview import advantage_table, correction_table, ramp_table, surrogate_table

    default = PARTS[kind]
    mine, theirs = replace(trial.tried[0], name=name), replace(trial.beside[0], name=default)
    beside = f"one stored batch, before any update, in `policy_gradient`, compared with {default}:"
    if kind == "ramp":
        return "\n".join(["the coefficient by the phase's step:", *ramp_table(component)])
    if kind == "advantage":
        return "\n".join([beside, *advantage_table(trial.batch, mine, theirs)])
    shown = None if kind == "selection" else SHOWN_TOKENS  # a dropped token may stand anywhere in a response
    lines = [beside, token_table(trial.batch, trial.codec, [mine], samples, beside=[theirs], max_tokens=shown)]
    if kind == "selection":
        lines.append(_dropped_words(component, trial))
    elif kind == "surrogate":
        lines += surrogate_table(component, baseline, name, default)
    elif kind == "correction":
        lines += correction_table(component, baseline, name, default)
    return "\n".join(lines)


def samples_to_show(kind: str, trial: "Trial", num_samples: int) -> Sequence[int]:
    """The samples whose tokens are shown: for a selection those of which it drops most, else of unequal rewards."""
    from prerl_spec.engine.training.token_terms import samples_worth_seeing

    worth = samples_worth_seeing(trial.batch, num_samples)
    if kind != "selection":
        return worth
    of_sample = np.bincount(trial.batch.tokens.sample_N[_dropped(trial)[0]], minlength=len(trial.batch.samples))
    most = [int(s) for s in np.argsort(-of_sample, kind="stable") if of_sample[s]]
    return [*most, *(s for s in worth if s not in most)][:num_samples]


def _dropped(trial: "Trial") -> tuple[Array, Array]:
    """[N] bool, [N] bool: the tokens that a selection drops, of those that have weight without it."""
    has_weight = trial.beside[0].weight_N != 0
    return has_weight & (trial.tried[0].weight_N == 0), has_weight


def _dropped_words(component: Any, trial: "Trial") -> str:
    dropped, has_weight = (int(which.sum()) for which in _dropped(trial))
    if not has_weight:
        return "dropped 0 of 0 tokens: no group of the batch has a signal"
    words = f"dropped {dropped} of {has_weight} tokens that have weight without it"
    if dropped or not (settings := list(type(component).model_fields)):
        return words
    return f"{words}\nno token was dropped: try {' or '.join(f'--set {key}=VALUE' for key in settings)}"


def reward_page(records: Sequence[StepRecord]) -> str:
    """The mean reward of each batch as a curve, and what it shows."""
    rewards = [r.metrics["reward_mean"] for r in records if "reward_mean" in r.metrics]
    updated = sum(r.applied > 0 for r in records)
    third = max(1, len(rewards) // 3)
    first, last = sum(rewards[:third]) / third, sum(rewards[-third:]) / third
    return (
        f"mean reward of each of {len(rewards)} batches, an update after {updated} of them:\n"
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

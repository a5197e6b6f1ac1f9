"""The metrics of a step: rewards, verdicts, response lengths, the sampler's entropy, update statistics."""

from collections.abc import Sequence

import numpy as np

from prerl_spec.engine.training.trainer import Trained
from prerl_spec.types import Outcome, Step


def sampled_metrics(step: Step) -> dict[str, float]:
    """Shares and means over all rollouts of a step, discarded groups included; with `rewards`, of each part as well."""
    attempts = [a for g in (*step.groups, *step.discarded) for a in g.attempts]
    rewards = [a.reward for a in attempts if a.reward is not None]
    lengths = [len(a.tokens) for a in attempts]
    metrics = {
        f"verdict_{o.value}": _share([a.verdict is not None and a.verdict.outcome == o for a in attempts])
        for o in Outcome
    }
    metrics |= {
        "verdict_timeout_by_answer": _share([a.verdict is not None and a.verdict.by_answer for a in attempts]),
        "reward_mean": float(np.mean(rewards)) if rewards else 0.0,
        "response_length": float(np.mean(lengths)) if lengths else 0.0,
        "truncated": _share([a.stop == "length" for a in attempts]),
        "groups_discarded": float(len(step.discarded)),
    }
    if len(step.part_names) > 1:
        for name in step.part_names:
            values = [a.parts[name] for a in attempts if name in a.parts]
            metrics[f"reward_{name}"] = float(np.mean(values)) if values else 0.0
    entropies = [e for a in attempts for s in a.segments if s.entropies is not None for e in s.entropies]
    if entropies:
        metrics["entropy"] = float(np.mean(entropies))
    return metrics


def trained_metrics(trained: Trained, num_groups: int, lr: float) -> dict[str, float]:
    """Loss, learning rate and update statistics; norms and shares are means over applied updates, else 0."""
    records = trained.updates
    return {
        **trained.measures,
        "loss": trained.loss,
        "lr": lr,
        "grad_norm": float(np.mean([r.grad_norm for r in records])) if records else 0.0,
        "parameters_moved": float(np.mean([r.parameters_moved for r in records])) if records else 0.0,
        "groups_with_signal": trained.groups_with_signal / num_groups if num_groups else 0.0,
    }


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0

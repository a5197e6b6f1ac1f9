"""The metrics of a step: rewards, verdicts, response lengths, entropy, update statistics, trainer-sampler gap."""

from collections.abc import Sequence

import numpy as np

from prerl_spec.compiler.estimates.step_counts import PROBED_RESPONSES
from prerl_spec.engine.policy.batch_logprobs import batch_logprobs
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.trainer import Trained
from prerl_spec.needs import Need, View
from prerl_spec.types import Outcome, Step
from prerl_spec.views import Conditional


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


def probe(
    step: Step, policy: Policy, ranks: Ranks, views: Sequence[View], *, whole: bool, budget: int
) -> dict[str, float]:
    """Scores some responses before the step is trained on. Metrics: the mean |trainer − sampler| log-probability in
    nats (`sampler_gap`), the mean log-probability of a token in each view, and the entropy under the policy (a step's
    metrics use the sampler's entropies instead, if it returns them).

    Scores 8 responses evenly spread over the step, or all of them (`whole`). All views score the same responses, so
    that log P(y) and log P(y|x) can be compared.
    """
    count = len(step.samples) if whole else min(PROBED_RESPONSES, len(step.samples))
    if count == 0:
        return {}
    chosen = sorted({int(i) for i in np.linspace(0, len(step.samples) - 1, count).round()})
    seen_N = np.isin(step.tokens.sample_N, chosen)
    metrics: dict[str, float] = {}
    for view in {v.name: v for v in (Conditional(), *views)}.values():
        needs = [Need(view), Need(view, entropy=True)] if view.name == "conditional" else [Need(view)]
        logp_N, *entropies = batch_logprobs(step, chosen, needs, policy, ranks, tokens_per_pass=budget, of="probe")
        metrics[f"logp_{view.name}"] = float(logp_N[seen_N].mean())
        if view.name == "conditional":
            metrics["entropy"] = float(entropies[0][seen_N].mean())
            sampler_N = np.array([p for a in step.samples for s in a.segments if s.trained for p in (s.logps or ())])
            if sampler_N.shape == logp_N.shape:
                gap_N = (logp_N - sampler_N)[seen_N]
                metrics["sampler_gap"] = float(np.abs(gap_N).mean())
                # KL(sampler || trainer) on tokens of the sampler, k3 with w = trainer/sampler: w − 1 − log w.
                bounded_N = np.clip(gap_N, -20, 20)
                metrics["kl_sampler_trainer"] = float((np.expm1(bounded_N) - bounded_N).mean())
    return metrics


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0

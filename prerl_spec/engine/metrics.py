"""What a step is said to have been: rewards, verdicts, lengths, entropy, and how far sampler and trainer are apart."""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import torch

from prerl_spec.compiler.arithmetic import PROBED_RESPONSES
from prerl_spec.engine.packing import pack_shares
from prerl_spec.engine.phase import Trained
from prerl_spec.engine.policy import Policy
from prerl_spec.engine.ranks import Ranks
from prerl_spec.types import Need, Outcome, Step, View
from prerl_spec.views import Conditional


def sampled_metrics(step: Step) -> dict[str, float]:
    """Shares and means over all attempts of a step that samples, discarded groups included."""
    attempts = [a for g in (*step.groups, *step.discarded) for a in g.attempts]
    rewards = [a.reward for a in attempts if a.reward is not None]
    lengths = [len(a.tokens) for a in attempts]
    metrics = {
        f"verdict_{o.value}": _share([a.verdict is not None and a.verdict.outcome == o for a in attempts])
        for o in Outcome
    }
    metrics |= {
        "reward_mean": float(np.mean(rewards)) if rewards else 0.0,
        "response_length": float(np.mean(lengths)) if lengths else 0.0,
        "truncated": _share([a.stop == "length" for a in attempts]),
        "groups_discarded": float(len(step.discarded)),
    }
    entropies = [e for a in attempts for s in a.segments if s.entropies is not None for e in s.entropies]
    if entropies:
        metrics["entropy"] = float(np.mean(entropies))
    return metrics


def trained_metrics(trained: Trained, num_groups: int, lr: float) -> dict[str, float]:
    """What the updates did; the norms and shares are means over applied updates, 0 where none was."""
    records = trained.updates
    return {
        "loss": trained.loss,
        "lr": lr,
        "grad_norm": float(np.mean([r.grad_norm for r in records])) if records else 0.0,
        "parameters_moved": float(np.mean([r.parameters_moved for r in records])) if records else 0.0,
        "groups_with_signal": trained.groups_with_signal / num_groups if num_groups else 0.0,
    }


def probe(
    step: Step, policy: Policy, ranks: Ranks, views: Sequence[View], *, whole: bool, budget: int
) -> dict[str, float]:
    """Scores some responses before the step is trained on: the mean |trainer − sampler| log-probability in nats
    (`sampler_gap`), the mean log-probability of a token in each view, and the entropy where the sampler gave none.

    8 responses evenly spread over the step, or all of it (`whole`). The views see the same responses, so that
    log P(y) and log P(y|x) can be compared.
    """
    count = len(step.samples) if whole else min(PROBED_RESPONSES, len(step.samples))
    if count == 0:
        return {}
    chosen = sorted({int(i) for i in np.linspace(0, len(step.samples) - 1, count).round()})
    metrics: dict[str, float] = {}
    for view in {v.name: v for v in (Conditional(), *views)}.values():
        needs = [Need(view), Need(view, entropy=True)] if view.name == "conditional" else [Need(view)]
        logp_N, entropy_N, seen_N = _score(step, policy, ranks, view, needs, chosen, budget)
        metrics[f"logp_{view.name}"] = float(logp_N[seen_N].mean())
        if view.name == "conditional":
            metrics["entropy"] = float(entropy_N[seen_N].mean())
            sampler_N = np.array([p for a in step.samples for s in a.segments if s.trained for p in (s.logps or ())])
            if sampler_N.shape == logp_N.shape:
                metrics["sampler_gap"] = float(np.abs(logp_N - sampler_N)[seen_N].mean())
    return metrics


def _score(
    step: Step, policy: Policy, ranks: Ranks, view: View, needs: Sequence[Need], chosen: Sequence[int], budget: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    shares = pack_shares(
        step, {view: chosen}, policy.codec, ranks.division, tokens_per_pass=budget, alone=not policy.packs
    )
    # Rows: log-probabilities, entropies, and a mark where a token was scored.
    found = torch.zeros(3, step.tokens.num_tokens, dtype=torch.float64, device=policy.device)
    with torch.no_grad():
        for one in chain.from_iterable(shares.values()):
            if one.samples or policy.is_sharded:
                vectors = policy.logprobs(one, needs, temperature=step.temperature, of="probe")
                where = torch.from_numpy(one.index_N).to(found.device)
                for row, need in enumerate(needs):
                    found[row, where] = vectors[need].double()
                found[2, where] = 1.0
    values = ranks.sum(found).cpu().numpy()
    return values[0], values[1], values[2] > 0


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else 0.0

"""Off-policy for real: four updates of a batch that move most tokens beyond every bound, and each metric by hand."""

import math
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from prerl_components.optimizers.adamw import Adamw

from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.gradient_free_logprobs import GradientFree
from prerl_spec.engine.training.on_policy import OnPolicy
from prerl_spec.needs import View
from prerl_spec.testing.tiny import tiny_loaded
from prerl_spec.types import Step
from tests.engine.runs import SPEC, start, steps_of
from tests.product.axes import Combination
from tests.product.built_ins import built_ins
from tests.product.by_hand import CONDITIONAL, scored
from tests.product.steps import learnable_step, trained

FAST = Adamw(lr=0.05, max_grad_norm=1e9)
UPDATES = 4
FEW = 0.3
ROUNDING = 1e-4
"""fp32 log-probabilities of packed and of padded rows, through exp, relative."""

Tokens = list[dict[str, Any]]
"""What is true of each trained token of each update: A, log π, log π_old, and by name whether a bound acts."""


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy(tiny_loaded(), torch.device("cpu"))


@pytest.fixture(scope="module")
def step(policy: Policy) -> Step:
    return learnable_step(policy)


def walked(combination: Combination, policy: Policy, step: Step) -> tuple[dict[str, float], Tokens]:
    """The engine's measures of four updates, and by hand the tokens of every update before it was applied."""
    objective = combination.objective()
    point = objective.point()
    initial = deepcopy(policy.module.state_dict())
    everyone = range(len(step.samples))

    def now(view: View) -> list[torch.Tensor]:
        with torch.no_grad():
            return scored(policy, step, view, everyone)[0]

    old, old_conditional = now(point.view), now(CONDITIONAL)
    advantage_S = [1.0 if a.reward else -1.0 for a in step.samples]
    samples_of = np.array_split(np.arange(len(step.samples)), UPDATES)
    found: Tokens = []

    def before(update: int) -> None:
        current = now(point.view)
        for s in samples_of[update].tolist():
            tokens, _ = step.tokens.of_samples([s])
            bounded = {
                sign: point.surrogate.bounded(current[s], old[s], sign * torch.ones(len(old[s])), tokens, {})
                for sign in (1.0, -1.0)
            }
            for t in range(len(old[s])):
                found.append(
                    {
                        "update": update,
                        "sample": s,
                        "place": t,
                        "advantage": advantage_S[s],
                        "log_rho": (current[s][t] - old[s][t]).item(),
                        "bounded": bool(bounded[advantage_S[s]][t]),
                        "outside": any(bool(b[t]) for b in bounded.values()),
                        "trainer": old_conditional[s].tolist(),
                    }
                )

    try:
        result, _ = trained(policy, objective, step, updates=UPDATES, optimizer=FAST, tokens_per_pass=60, before=before)
    finally:
        policy.module.load_state_dict(initial)
    assert result.num_updates == len(result.updates) == UPDATES
    return dict(result.measures), found


def share(tokens: Tokens, fact: str) -> float:
    return sum(bool(token[fact]) for token in tokens) / len(tokens)


@pytest.mark.parametrize("view", built_ins("view"))
@pytest.mark.parametrize("surrogate", built_ins("surrogate"))
def test_bounds_act_on_many_tokens_and_are_counted_by_sign(
    surrogate: str, view: str, policy: Policy, step: Step
) -> None:
    combination = Combination(view, "signed", "both", "none", surrogate, "off", "token_mean", UPDATES)
    measures, tokens = walked(combination, policy, step)
    declared: Any = built_ins("surrogate")[surrogate]
    if not declared.uses_ratio:
        assert measures == {}
        return
    later = [token for token in tokens if token["update"] > 0]
    has_bounds = declared.bounded is not declared.__mro__[1].bounded
    assert not any(token["bounded"] for token in tokens if token["update"] == 0)
    assert share(later, "outside") >= FEW if has_bounds else share(later, "outside") == 0
    assert measures["clip_fraction"] == pytest.approx(share(tokens, "bounded"), abs=1e-12)
    for name, sign in (("positive", 1.0), ("negative", -1.0)):
        expected = sum(token["bounded"] and token["advantage"] == sign for token in tokens) / len(tokens)
        assert measures[f"clip_fraction_{name}"] == pytest.approx(expected, abs=1e-12)
    limited = [max(-20.0, min(20.0, token["log_rho"])) for token in tokens]
    kl = sum(math.expm1(x) - x for x in limited) / len(tokens)
    assert measures["kl_old_new"] == pytest.approx(kl, rel=ROUNDING)
    assert kl > 0.1


@pytest.mark.parametrize("correction", built_ins("correction"))
def test_weights_of_a_correction_and_those_at_its_bounds_are_counted(
    correction: str, policy: Policy, step: Step
) -> None:
    combination = Combination("marginal", "signed", "both", "none", "clip", correction, "token_mean", UPDATES)
    measures, tokens = walked(combination, policy, step)
    part: Any = combination.objective().correction
    weights: list[float] = []
    bounded: list[bool] = []
    for token in tokens:
        trainer, sampler = token["trainer"], step.samples[token["sample"]].segments[0].logps
        assert sampler is not None
        weight, ratio = by_definition(correction, part, trainer, sampler, token["place"], token["advantage"])
        weights.append(weight)
        bounded.append(not math.isclose(weight, ratio, rel_tol=1e-12))
    assert measures["correction_weight"] == pytest.approx(sum(weights) / len(weights), rel=ROUNDING)
    assert measures["correction_bounded"] == pytest.approx(sum(bounded) / len(bounded), abs=1e-12)
    assert 0 < measures["correction_bounded"] < 1


def by_definition(
    use: str, part: Any, trainer: list[float], sampler: tuple[float, ...], place: int, advantage: float
) -> tuple[float, float]:
    """The weight of a token, and its ratio before bounds; by `use`, from the papers' formulas."""
    gaps = [a - b for a, b in zip(trainer, sampler, strict=True)]
    ratio = math.exp(gaps[place])
    if use == "truncate":
        return min(ratio, part.cap), ratio
    if use == "mask":
        return (ratio if ratio <= part.cap else 0.0), ratio
    if use == "band":
        return (ratio if part.low <= ratio <= part.high else 0.0), ratio
    assert use == "sequence_mask", f"write down what {use} is by definition"
    far = -sum(gaps) / len(gaps) > part.delta
    return (0.0 if advantage < 0 and far else 1.0), 1.0


def test_kl_of_sampler_and_trainer_is_the_k3_estimate_over_all_tokens(policy: Policy, step: Step) -> None:
    ranks = Ranks.start()
    seen = OnPolicy(step, [], policy, ranks, whole=True, budget=60, check=lambda metrics: None)
    seen.begin([], GradientFree(step, policy, ranks, None, 60))
    metrics = seen.metrics
    with torch.no_grad():
        logps, _ = scored(policy, step, CONDITIONAL, range(len(step.samples)))
    gaps = [
        trainer - sampler
        for row, attempt in zip(logps, step.samples, strict=True)
        for trainer, sampler in zip(row.tolist(), attempt.segments[0].logps or (), strict=True)
    ]
    assert metrics["kl_sampler_trainer"] == pytest.approx(sum(math.exp(g) - 1 - g for g in gaps) / len(gaps), rel=1e-5)
    assert metrics["sampler_gap"] == pytest.approx(sum(map(abs, gaps)) / len(gaps), rel=1e-5)
    assert metrics["kl_sampler_trainer"] > 0.1


PHASE = """
[[phases]]
id = "prune"
prompts_per_step = 8
updates_per_batch = 4
objective = { use = "nsr", importance = "truncate", importance_cap = 1.0, dual_clip = 3.0 }
schedule = { use = "fixed_steps", steps = 2 }
"""


def test_a_run_with_four_updates_a_batch_says_what_its_bounds_did(tmp_path: Path) -> None:
    head = SPEC[: SPEC.index("[[phases]]")].replace("1e-3", "0.1")
    steps = steps_of(start(tmp_path, head + PHASE))
    assert len(steps) == 2
    for step in steps:
        metrics = step["metrics"]
        assert metrics["clip_fraction"] >= FEW
        assert metrics["clip_fraction_negative"] == metrics["clip_fraction"]
        assert metrics["clip_fraction_positive"] == 0
        assert metrics["kl_old_new"] > 0
        # The sampler runs the trainer's own weights: what is left is rounding, on either side of the cap of 1.
        assert metrics["correction_weight"] == pytest.approx(1, abs=1e-4)
        assert 0 < metrics["correction_bounded"] < 1
        assert 0 <= metrics["kl_sampler_trainer"] < 1e-6

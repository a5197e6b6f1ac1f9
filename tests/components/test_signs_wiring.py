"""What the signs of the advantages leave without effect is told at the written setting, in a preset and in its parts."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from prerl_components.advantages.best_of_group import BestOfGroup
from prerl_components.advantages.group_mean import GroupMean
from prerl_components.advantages.minus_one import MinusOne
from prerl_components.objectives.policy_gradient import PolicyGradient
from prerl_components.selections.cov_mask import CovMask
from prerl_components.selections.top_entropy import TopEntropy
from prerl_components.surrogates.clip import Clip
from prerl_components.surrogates.dppo import Dppo
from prerl_components.surrogates.gspo import Gspo
from prerl_components.surrogates.sapo import Sapo
from prerl_components.surrogates.topr import Topr

from prerl_spec.cli.main import main
from prerl_spec.needs import Batch
from prerl_spec.sdk import Code, Outcome, Surrogate, Wiring
from prerl_spec.testing.steps import made_step

OTHER: dict[str, Any] = {"clip_low": 0.5, "clip_high": 0.5, "dual_clip": 1.5, "tau_positive": 2.0, "tau_negative": 2.0}
OTHER |= {"level": "token", "distance": "kl", "threshold": 0.01, "cap": 1.01}


def conflicts(objective: PolicyGradient, *written: str, updates: int = 4, has_rewards: bool = False) -> list[str]:
    """The places that have no effect; an error has its code in front."""
    wiring = Wiring(written=frozenset(written), updates_per_batch=updates, has_rewards=has_rewards)
    return [
        ".".join(["" if c.code is Code.NO_EFFECT else str(c.code), *(p.setting for p in c.places)]).removeprefix(".")
        for c in objective.check(wiring)
    ]


@pytest.mark.parametrize("surrogate", [Clip, Gspo, Sapo, Topr, Dppo])
@pytest.mark.parametrize("off", ["positive", "negative"])
def test_exactly_the_settings_that_change_no_gradient_of_that_sign_have_no_effect(
    surrogate: type[Surrogate], off: str
) -> None:
    """All settings of the surrogate written: those that are named change no gradient for A of the other sign, and those
    that are not named do."""
    settings = set(surrogate.ratio_settings)
    written: Any = surrogate(**{name: getattr(surrogate(), name) for name in settings})
    signs: Any = {off: 0.0}
    named = conflicts(PolicyGradient(advantage=GroupMean(), surrogate=written, **signs), off)
    assert all(place.startswith("surrogate.") for place in named)
    tokens = made_step([[1.0] * 240], lengths=[2] * 240).tokens
    advantage_n = torch.full((480,), -1.0 if off == "positive" else 1.0, dtype=torch.float64)
    # A grid of probabilities: no ratio comes with one distance alone, and two tokens of a response have two ratios.
    grid = (torch.linspace(0.05, 0.95, 12, dtype=torch.float64), torch.linspace(0.03, 0.97, 40, dtype=torch.float64))
    old_n, new_n = torch.cartesian_prod(*grid).log().T

    def gradient(part: Surrogate) -> torch.Tensor:
        logp_n = new_n.clone().requires_grad_()
        (found,) = torch.autograd.grad(part.loss(logp_n, old_n, advantage_n, tokens, {}).sum(), [logp_n])
        return found

    idle = {name for name in settings if torch.equal(gradient(surrogate()), gradient(surrogate(**{name: OTHER[name]})))}
    assert {place.removeprefix("surrogate.") for place in named} == idle


def test_a_factor_on_a_sign_that_the_advantage_never_has_is_told() -> None:
    never = PolicyGradient(advantage=MinusOne(), positive=0.5, surrogate=Clip(clip_high=0.3, clip_low=0.1))
    assert conflicts(never, "positive") == ["surrogate.clip_high", "positive"]
    assert conflicts(never, "positive", has_rewards=True) == [], "reward terms can lift it above 0"
    assert conflicts(PolicyGradient(advantage=BestOfGroup(), negative=0.5), "negative") == ["negative"]
    assert conflicts(PolicyGradient(advantage=BestOfGroup()), "coefficient") == [], "only what is written is told"


def test_a_factor_of_zero_leaves_samples_of_advantage_zero_out_of_the_denominator_and_has_an_effect() -> None:
    assert conflicts(PolicyGradient(advantage=BestOfGroup(), negative=0.0), "negative") == []
    step = made_step([[1.0, 0.0, 0.0]], lengths=[2, 3, 1])
    both, one = (
        PolicyGradient(advantage=BestOfGroup(), negative=factor).credits(Batch(step, {}), [step])[0]
        for factor in (1.0, 0.0)
    )
    assert not np.array_equal(both.weight_N, one.weight_N)


def test_masking_what_is_never_trained_has_no_effect() -> None:
    masked = PolicyGradient(advantage=GroupMean(), negative=0.0, unparsable="mask")
    assert conflicts(masked, "negative", "unparsable") == ["unparsable"]
    assert conflicts(masked, "negative", "unparsable", has_rewards=True) == []
    step = made_step([[1.0, Outcome.UNPARSABLE, 0.0]], lengths=[2, 3, 1])
    wrong = PolicyGradient(advantage=GroupMean(), negative=0.0)
    found, expected = (o.credits(Batch(step, {}), [step])[0] for o in (masked, wrong))
    assert np.array_equal(found.weight_N, expected.weight_N)


def test_masking_takes_from_the_denominator_where_the_advantage_is_never_negative_and_has_an_effect() -> None:
    masked = PolicyGradient(advantage=BestOfGroup(), unparsable="mask")
    assert conflicts(masked, "unparsable") == []
    step = made_step([[1.0, Outcome.UNPARSABLE, 0.0]], lengths=[2, 3, 1])
    wrong = PolicyGradient(advantage=BestOfGroup())
    found, expected = (o.credits(Batch(step, {}), [step])[0] for o in (masked, wrong))
    assert not np.array_equal(found.weight_N, expected.weight_N)


def test_settings_of_the_ratio_are_told_once_with_one_update_a_batch() -> None:
    objective = PolicyGradient(advantage=GroupMean(), negative=0.0, surrogate=Clip(clip_low=0.1))
    assert conflicts(objective, "negative", updates=1) == [], "the surrogate itself says it"


def test_an_equal_selection_has_no_effect_and_another_share_has() -> None:
    twice = PolicyGradient(advantage=GroupMean(), selection=(TopEntropy(), CovMask(), TopEntropy()))
    assert conflicts(twice) == ["selection[2].use"]
    assert conflicts(PolicyGradient(advantage=GroupMean(), selection=(TopEntropy(), TopEntropy(share=0.5)))) == []


SPEC = """
spec = 1
run.name = "signs"
verifier = "exact_match"
optimizer = { use = "adamw", lr = 1e-3 }
data.train = { use = "arithmetic_chains", steps = [1, 1] }
sampler = { use = "transformers", group_size = 2, max_new_tokens = 4 }
model = { use = "from_scratch", tokenizer = "data:train", config = { model_type = "qwen3", hidden_size = 32, \
num_hidden_layers = 1, num_attention_heads = 1, num_key_value_heads = 1, head_dim = 32, intermediate_size = 32 } }

[[phases]]
id = "only"
prompts_per_step = 2
updates_per_batch = 2
schedule = { use = "fixed_steps", steps = 1 }

[phases.objective]
use = "policy_gradient"
"""


@pytest.mark.parametrize(
    ("written", "code", "said", "caret"),
    [
        (
            'advantage = "signed"\ncorrection = { use = "band", low = 6 }',
            *("E0701", "low = 6 is not below high = 5: every weight would be 0", "6"),
        ),
        (
            'advantage = "signed"\nselection = [{ use = "cov_mask", low = 6 }]',
            *("E0701", "low = 6 is not below high = 5: no token would be dropped", "6"),
        ),
        (
            'advantage = "signed"\nselection = ["top_entropy", "top_entropy"]',
            *("W0702", "this selection stands here twice, with equal settings", '"top_entropy"'),
        ),
        (
            'advantage = "signed"\npositive = 0\nsurrogate = { use = "sapo", tau_positive = 2.0 }',
            *(
                "W0702",
                "`tau_positive` has no effect: only samples with negative advantage are trained",
                "2.0",
            ),
        ),
        (
            'advantage = "minus_one"\npositive = 0.5',
            *("W0702", "`positive` has no effect: the advantage is never positive", "0.5"),
        ),
    ],
    ids=["band", "cov_mask", "twice", "sapo", "minus_one"],
)
def test_the_caret_stands_under_what_is_written(
    written: str, code: str, said: str, caret: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "spec.toml").write_text(SPEC + written + "\n")
    main(["validate", str(tmp_path / "spec.toml")])
    lines = "".join(capsys.readouterr()).splitlines()
    at = next(n for n, line in enumerate(lines) if said in line)
    assert code in lines[at]
    quoted = next(line for line in lines[at:] if line.partition("|")[0].strip().isdigit())
    carets = next(line for line in lines[at:] if "^" in line)
    assert quoted[carets.index("^") : carets.rindex("^") + 1] == caret

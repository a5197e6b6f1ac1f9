"""The same for presets, and for the parts of the policy-gradient product; see second_values.py."""

from typing import Any

from prerl_components.advantages.group_mean import GroupMean
from prerl_components.advantages.group_std import GroupStd
from prerl_components.corrections.truncate import Truncate
from prerl_components.selections.top_entropy import TopEntropy
from prerl_components.surrogates.plain import Plain

from prerl_spec.sdk import Marginal
from tests.settings.only import Only, Settings

FLAT: Settings = {
    "coefficient": 0.5,
    "aggregation": "sequence_mean",
    "importance": "truncate",
    "importance_cap": Only(1.2, {"importance": "truncate"}),
}
PRESET: Settings = {**FLAT, "unparsable": "mask"}
CLIPPED: Settings = {**PRESET, "clip_low": 0.9, "clip_high": 0.9, "dual_clip": 1.5}
WRONG_ONLY: Settings = {**PRESET, "clip_low": 0.9, "dual_clip": 1.5}
BY_TOKEN: Settings = {"aggregation": "token_mean"}
CONSTANT: Settings = {"aggregation": "constant"}
RAMP: tuple[Settings, Settings] = ({"start": 1.0, "end": 2.0, "steps": 5}, {"start": 0.5, "end": 3.0, "steps": 2})


def _of(second: Settings, **more: Any) -> tuple[Settings, Settings]:
    """Default settings, and these others."""
    return {}, {**second, **more}


PRESETS: dict[tuple[str, str], tuple[Settings, Settings]] = {
    ("objective", "dr_grpo"): _of(CLIPPED),
    ("objective", "dapo"): _of(CLIPPED),
    ("objective", "lite_ppo"): _of(CLIPPED),
    ("objective", "max_rl"): _of(CLIPPED),
    ("objective", "ppo_clip"): _of(CLIPPED),
    ("objective", "reinforce_pp"): _of(CLIPPED, baseline=True),
    ("objective", "w_reinforce"): _of(CLIPPED, positive=0.5),
    ("objective", "nsr"): _of(WRONG_ONLY),
    ("objective", "cw_nsr"): _of(WRONG_ONLY, floor=0.9),
    ("objective", "psr"): _of(FLAT, clip_high=0.9),
    ("objective", "reinforce"): _of(PRESET),
    ("objective", "rloo"): _of(PRESET),
    ("objective", "gpg"): _of(PRESET),
    ("objective", "opo"): _of(PRESET),
    ("objective", "gspo"): _of(PRESET, **CONSTANT, clip_low=0.1, clip_high=0.1),
    ("objective", "cispo"): _of(PRESET, cap=1.5),
    ("objective", "sapo"): _of(PRESET, **CONSTANT, tau_positive=2.0, tau_negative=2.0),
    ("objective", "dppo"): _of(PRESET, distance="kl", threshold=0.01, cap=1.2),
    ("objective", "topr"): _of(PRESET, **CONSTANT, level="token"),
    ("objective", "question_free_sft"): ({}, {"coefficient": 0.5, **BY_TOKEN, "prefix": "Q"}),
    ("objective", "nothing"): ({}, {}),
    ("objective", "policy_gradient"): (
        {"advantage": GroupStd()},
        {
            "view": Marginal(prefix="Q"),
            "advantage": GroupMean(),
            "positive": 0.5,
            "negative": 0.5,
            "selection": (TopEntropy(),),
            "surrogate": Plain(),
            "correction": Truncate(),
            "aggregation": "constant",
            "coefficient": 0.5,
            "unparsable": "mask",
        },
    ),
}

PARTS: dict[tuple[str, str], tuple[Settings, Settings]] = {
    **{
        ("advantage", name): ({}, {})
        for name in (
            *("batch_std", "best_of_group", "group_mean", "group_std", "leave_one_out", "length_weighted", "max_rl"),
            *("minus_one", "nonzero_scaled", "reward", "signed"),
        )
    },
    ("advantage", "batch_whitened"): ({}, {"baseline": True}),
    ("advantage", "confidence_weighted"): ({}, {"floor": 0.9}),
    ("advantage", "gdpo"): ({}, {"weights": {"form": 3.0}}),
    ("selection", "top_entropy"): ({}, {"share": 0.5}),
    ("selection", "cov_mask"): ({"share": 0.1, "low": 0.1, "high": 1.0}, {"share": 0.9, "low": 0.5, "high": 0.3}),
    ("surrogate", "clip"): ({}, {"clip_low": 0.9, "clip_high": 0.9, "dual_clip": 1.5}),
    ("surrogate", "plain"): ({}, {}),
    ("surrogate", "cispo"): ({}, {"cap": 1.5}),
    ("surrogate", "dppo"): ({}, {"distance": "kl", "threshold": 0.01, "cap": 1.2}),
    ("surrogate", "gspo"): ({}, {"clip_low": 0.1, "clip_high": 0.1}),
    ("surrogate", "sapo"): ({}, {"tau_positive": 2.0, "tau_negative": 2.0}),
    ("surrogate", "topr"): ({}, {"level": "token"}),
    ("correction", "truncate"): ({}, {"level": "sequence", "cap": 1.2}),
    ("correction", "mask"): ({}, {"level": "sequence", "cap": 1.2}),
    ("correction", "band"): ({}, {"level": "sequence", "low": 0.9, "high": 1.2}),
    ("correction", "sequence_mask"): ({}, {"delta": 0.01}),
    ("ramp", "linear"): RAMP,
    ("ramp", "cosine"): RAMP,
}

"""The four rules between an objective, a sampler, an optimizer and a schedule: when each is broken, where it is shown."""

import pytest

from tests.compiler.specs import bent, found_in, under
from tests.compiler.strangers import registry

LONE = ("group_size = 4", "group_size = 1")
FALLING = 'tokens = 5000\n[phases.optimizer]\nuse = "{use}"\nlr = 1e-4\nlr_schedule = "{falls}"\n'


def phases(prune: str, refine: str = '"entropy"', *changes: tuple[str, str]) -> str:
    """The spec with these objectives in its two phases that sample."""
    return bent(
        ('[phases.objective]\nuse = "marginal_nsr"\ncoefficient = 0.01\n', f"objective = {prune}\n"),
        ('[phases.objective]\nuse = "grpo"\n', f"objective = {refine}\n"),
        *changes,
    )


def broken(text: str) -> list[tuple[str, str]]:
    """The word under the carets, and the message, of each error."""
    return [(under(text, d), d.message) for d in found_in(text, registry()) if d.code == "E0701"]


@pytest.mark.parametrize(
    ("objective", "word"),
    [
        ('"grpo"', '"grpo"'),
        ('"marginal_nsr"', '"marginal_nsr"'),
        ('{ use = "marginal_nsr", advantage = "group_mean" }', '"group_mean"'),
        ('{ use = "marginal_nsr", center = "group" }', '"marginal_nsr"'),
        ('{ use = "marginal_nsr", advantage = "minus_one", center = "group" }', '"group"'),
        ('{ use = "weighted_sum", terms = ["kl", { use = "marginal_pg", advantage = "group_mean" }] }', '"group_mean"'),
        ('"acme.silent"', '"acme.silent"'),
    ],
)
def test_a_group_baseline_over_one_attempt_is_told_at_what_brings_it_in(objective: str, word: str) -> None:
    said = "a group baseline needs at least two attempts per prompt, and `group_size` is 1"
    assert broken(phases(objective, '"entropy"', LONE)) == [(word, said)]


def test_each_term_of_a_sum_with_a_group_baseline_is_told_where_it_stands() -> None:
    terms = '["grpo", { use = "kl", aggregation = "token_mean" }, "marginal_nsr"]'
    text = phases(f'{{ use = "weighted_sum", terms = {terms} }}', '"entropy"', LONE)
    assert [word for word, _ in broken(text)] == ['"grpo"', '"marginal_nsr"']


@pytest.mark.parametrize("objective", ['{ use = "marginal_nsr", advantage = "minus_one" }', '"entropy"', '"kl"'])
def test_an_objective_without_a_group_baseline_takes_one_attempt(objective: str) -> None:
    assert broken(phases(objective, '"entropy"', LONE)) == []


WRITTEN = {"top_p": "top_p = 0.9", "top_k": "top_k = 5"}


@pytest.mark.parametrize("cut", [["top_p"], ["top_k"], ["top_p", "top_k"]])
@pytest.mark.parametrize(
    ("prune", "refine", "word", "ratios"),
    [
        ('"kl"', '"grpo"', "2", "`updates_per_batch`"),
        ('{ use = "marginal_pg", importance = "mask" }', '"kl"', '"mask"', "`importance`"),
        ('"kl"', '{ use = "grpo", importance = "mask" }', '"mask"', "`updates_per_batch` and `importance`"),
        ('"kl"', '{ use = "weighted_sum", terms = ["kl", "grpo"] }', "2", "`updates_per_batch`"),
        ('"acme.weighed"', '"kl"', '"acme.weighed"', "`acme.weighed`"),
    ],
)
def test_a_truncating_sampler_allows_no_ratio(prune: str, refine: str, word: str, ratios: str, cut: list[str]) -> None:
    # The second phase takes two updates a batch, in which no sampler truncates: where it is not the matter, it takes one.
    one = [("updates_per_batch = 2", "updates_per_batch = 1")] if refine == '"kl"' else []
    text = phases(prune, refine, (LONE[0], "\n".join([LONE[0], *(WRITTEN[key] for key in cut)])), *one)
    names = " and ".join(f"`{key}`" for key in cut)
    assert broken(text) == [(word, f"a sampler that truncates ({names}) biases the probability ratios of {ratios}")]


def test_with_one_update_a_batch_and_no_correction_a_sampler_may_truncate() -> None:
    one = ("updates_per_batch = 2", "updates_per_batch = 1")
    assert broken(phases('"grpo"', '"kl"', (LONE[0], "group_size = 4\ntop_p = 0.9"), one)) == []


@pytest.mark.parametrize("objective", ["kl", "reinforce", "nothing"])
def test_with_several_updates_a_batch_no_sampler_truncates_ratio_or_not(objective: str) -> None:
    text = phases('"grpo"', f'"{objective}"', (LONE[0], "group_size = 4\ntop_p = 0.9"))
    said = (
        "a sampler that truncates (`top_p`) does not draw from the policy, and with `updates_per_batch` above 1 nothing "
        "corrects the later updates"
    )
    assert broken(text) == [("2", said)]


@pytest.mark.parametrize(("use", "falls"), [("adamw", "linear"), ("muon", "cosine")])
def test_a_learning_rate_cannot_fall_over_a_token_budget(use: str, falls: str) -> None:
    said = f'lr_schedule = "{falls}" needs a known number of steps, and the phase ends by a token budget'
    assert broken(bent(("steps = 5\n", FALLING.format(use=use, falls=falls)))) == [(f'"{falls}"', said)]
    assert broken(bent(("steps = 5\n", FALLING.format(use=use, falls="constant")))) == []
    assert broken(bent(("steps = 5\n", FALLING.format(use=use, falls=falls).replace("tokens", "steps")))) == []


def test_a_budget_written_after_the_falling_rate_is_where_it_is_told() -> None:
    text = bent(("lr = 1e-4", 'lr = 1e-4\nlr_schedule = "linear"'), ("steps = 5\n", "tokens = 5000\n"))
    assert [word for word, _ in broken(text)] == ["5000"]


def test_written_moments_carry_only_to_the_same_optimizer() -> None:
    said = 'optimizer = "carry", but the next phase uses another optimizer, which cannot load these moments'
    carried = ("steps = 9 }", 'steps = 9, optimizer = "carry" }')
    assert broken(bent(carried)) == [('"carry"', said)]
    assert broken(bent(("steps = 9 }", 'steps = 9, optimizer = "reset" }'))) == []
    assert broken(bent(carried, ('use = "muon", lr = 0.02', 'use = "adamw", lr = 0.02'))) == []

"""Packing changes memory and time, never a number."""

import numpy as np
import pytest
import torch
from prerl_components.objectives.presets.pretrain_space import MarginalPg

from prerl_spec.engine.policy.packing import fill_padded, first_fit
from prerl_spec.engine.policy.rows import Arrangement
from prerl_spec.needs import Need
from prerl_spec.testing.tiny import SHAPES, Shape
from prerl_spec.types import Attempt, Group, Prompt, Segment, Step
from prerl_spec.views import Conditional, Marginal
from tests.engine.steps import gradient_of, make_trainer, pack, random_step, tiny_policy


def _logprobs(shape: Shape, step: Step, *, budget: int, arrangement: Arrangement) -> np.ndarray:
    policy = tiny_policy(shape)
    found = torch.full((step.tokens.num_tokens,), torch.nan)
    views = {Conditional(): range(len(step.samples)), Marginal(): range(len(step.samples))}
    for one in pack(step, views, policy.codec, tokens_per_pass=budget, arrangement=arrangement):
        vectors = policy.logprobs(one, [Need(Conditional()), Need(Marginal())], temperature=1.0, of="policy")
        found[torch.from_numpy(one.index_N)] = (vectors[Need(Conditional())] + vectors[Need(Marginal())]).detach()
    return found.numpy()


@pytest.mark.parametrize("arrangement", ["flat", "padded"])
@pytest.mark.parametrize("shape", SHAPES)
def test_log_probs_of_samples_together_equal_those_of_samples_one_by_one(
    shape: Shape, arrangement: Arrangement
) -> None:
    step = random_step()
    together = _logprobs(shape, step, budget=400, arrangement=arrangement)
    apart = _logprobs(shape, step, budget=400, arrangement="alone")
    # Rounding of fp32 attention over rows of different length; a leak is larger than 1e-2.
    np.testing.assert_allclose(together, apart, atol=2e-5)


def test_one_by_one_log_probs_equal_the_models_own() -> None:
    policy, step = tiny_policy(), random_step(2, 2)
    ours = _logprobs("qwen3", step, budget=400, arrangement="alone")
    theirs = []
    for group in step.groups:
        for a in group.attempts:
            both = np.zeros(len(a.tokens))
            for context in (group.prompt.context, policy.codec.prefix("auto")):
                ids = torch.tensor([[*context, *a.tokens]])
                with torch.no_grad():
                    logp = policy.module(input_ids=ids).logits[0, :-1].log_softmax(-1)
                both += logp[range(len(context) - 1, ids.shape[1] - 1), list(a.tokens)].numpy()
            theirs.append(both)
    np.testing.assert_allclose(ours, np.concatenate(theirs), atol=2e-5)


def test_what_an_environment_said_is_read_and_not_scored() -> None:
    """Also where it comes first, and beside another sample in the row."""
    policy = tiny_policy()
    said, told = Segment((5, 6, 7)), Segment((50, 60), "environment", trained=False)
    attempts = [Attempt(s, "", "eos") for s in ((told, said), (said, told, Segment((8,))), (said,))]
    step = Step("p", 1, 1, (Group(0, Prompt("train", 0, "?", "1", (1, 2)), tuple(attempts)),))
    (one,) = pack(step, {Conditional(): range(3)}, policy.codec, tokens_per_pass=400)
    logp_n = policy.logprobs(one, [Need(Conditional())], temperature=1.0, of="policy")[Need(Conditional())]
    assert one.tokens.id_N.tolist() == [5, 6, 7, 5, 6, 7, 8, 5, 6, 7]
    by_hand = []
    for attempt in attempts:
        ids = torch.tensor([[1, 2, *attempt.tokens]])
        logp_TV = policy.module(input_ids=ids).logits[0].log_softmax(-1)
        by_hand += [logp_TV[1 + t, attempt.tokens[t]] for t, trained in enumerate(attempt.trained) if trained]
    torch.testing.assert_close(logp_n, torch.stack(by_hand), atol=2e-5, rtol=0)


def test_a_sample_that_only_one_view_reads_is_zero_in_the_other_and_moves_nobody() -> None:
    policy, step = tiny_policy(), random_step(2, 3)
    views = {Conditional(): [0, 2, 5], Marginal(): [1, 2, 4]}
    (one,) = pack(step, views, policy.codec, tokens_per_pass=4_000)
    assert one.sample_ids == (0, 1, 2, 4, 5)
    for view, samples in views.items():
        together = policy.logprobs(one, [Need(view)], temperature=1.0, of="policy")[Need(view)]
        (lone,) = pack(step, {view: samples}, policy.codec, tokens_per_pass=4_000)
        alone = policy.logprobs(lone, [Need(view)], temperature=1.0, of="policy")[Need(view)]
        expected = torch.zeros(one.tokens.num_tokens)
        places = {int(n): i for i, n in enumerate(one.index_N)}
        expected[[places[int(n)] for n in lone.index_N]] = alone
        torch.testing.assert_close(together, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("budget", [40, 97, 300, 10_000])
def test_any_token_budget_gives_the_same_gradient(budget: int) -> None:
    step = random_step()
    policy = tiny_policy()
    whole = gradient_of(make_trainer(policy, MarginalPg(), tokens_per_pass=5_000), step)
    split = gradient_of(make_trainer(policy, MarginalPg(), tokens_per_pass=budget), step)
    assert whole.norm() > 0
    torch.testing.assert_close(split, whole, atol=1e-6, rtol=1e-5)


def test_passes_hold_every_sample_once_within_the_budget() -> None:
    generator = np.random.Generator(np.random.Philox(3))
    costs = generator.integers(1, 60, size=80).tolist()
    passes = first_fit(costs, 100)
    assert sorted(s for p in passes for s in p) == list(range(80))
    assert all(sum(costs[s] for s in p) <= 100 for p in passes)
    # First-fit decreasing never needs more than 11/9 of the best plus one; the sum is a bound for the best.
    assert len(passes) <= 11 / 9 * np.ceil(sum(costs) / 100) + 1


def test_a_sample_longer_than_the_budget_goes_alone_and_whole() -> None:
    assert first_fit([5, 500, 5], 100) == [(1,), (0, 2)]


def test_padding_counts_towards_a_passs_tokens() -> None:
    generator = np.random.Generator(np.random.Philox(3))
    lengths = [(int(a), int(b)) for a, b in generator.integers(1, 60, size=(80, 2))]
    passes = fill_padded(lengths, 500)
    assert sorted(s for p in passes for s in p) == list(range(80))
    assert all(len(p) * sum(max(lengths[s][view] for s in p) for view in (0, 1)) <= 500 for p in passes)
    assert fill_padded([(600,), (3,), (2,)], 500) == [(0,), (1, 2)]


def test_samples_of_similar_length_share_a_pass_of_padded_rows() -> None:
    lengths = [(length,) for length in (10, 90, 12, 95, 11, 88)]
    assert fill_padded(lengths, 300) == [(1, 3, 5), (0, 2, 4)]


def test_only_samples_with_weight_go_forward_and_only_in_views_in_need() -> None:
    step = random_step(2, 4)
    policy = tiny_policy()
    gradient_of(make_trainer(policy, MarginalPg()), step)
    mixed = sum(0 < np.mean([a.reward for a in g.attempts]) < 1 for g in step.groups)
    assert dict(policy.forwards) == {("marginal", "policy"): 4 * mixed}


def test_ranks_share_whole_groups_and_take_equal_numbers_of_passes() -> None:
    step = random_step(5, 4)
    policy = tiny_policy()
    views = {Conditional(): range(len(step.samples))}
    by_rank = [pack(step, views, policy.codec, tokens_per_pass=90, rank=r, size=2) for r in range(2)]
    assert len(by_rank[0]) == len(by_rank[1])
    seen = [{s for p in passes for s in p.sample_ids} for passes in by_rank]
    assert seen[0] | seen[1] == set(range(20))
    assert not seen[0] & seen[1]
    assert {step.group_S[s] % 2 for s in seen[0]} == {0}

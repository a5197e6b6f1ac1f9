"""Packing changes memory and time, never a number."""

import numpy as np
import pytest
import torch
from prerl_components.objectives.presets.pretrain_space import MarginalPg

from prerl_spec.engine.policy.packing import plan_passes
from prerl_spec.needs import Need
from prerl_spec.testing.tiny import Shape
from prerl_spec.types import Attempt, Group, Prompt, Segment, Step
from prerl_spec.views import Conditional, Marginal
from tests.engine.steps import gradient_of, make_trainer, pack, random_step, tiny_policy


def _logprobs(shape: Shape, step: Step, *, budget: int, alone: bool) -> np.ndarray:
    policy = tiny_policy(shape)
    found = torch.full((step.tokens.num_tokens,), torch.nan)
    views = {Conditional(): range(len(step.samples)), Marginal(): range(len(step.samples))}
    for one in pack(step, views, policy.codec, tokens_per_pass=budget, alone=alone):
        vectors = policy.logprobs(one, [Need(Conditional()), Need(Marginal())], temperature=1.0, of="policy")
        found[torch.from_numpy(one.index_N)] = (vectors[Need(Conditional())] + vectors[Need(Marginal())]).detach()
    return found.numpy()


@pytest.mark.parametrize("shape", ["qwen3", "llama", "gpt2"])
def test_packed_log_probs_equal_those_of_samples_one_by_one(shape: Shape) -> None:
    step = random_step()
    packed = _logprobs(shape, step, budget=400, alone=False)
    apart = _logprobs(shape, step, budget=400, alone=True)
    # Rounding of fp32 attention over rows of different length; a leak is larger than 1e-2.
    np.testing.assert_allclose(packed, apart, atol=2e-5)


def test_one_by_one_log_probs_equal_the_models_own() -> None:
    policy, step = tiny_policy(), random_step(2, 2)
    ours = _logprobs("qwen3", step, budget=400, alone=True)
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


@pytest.mark.parametrize(("shape", "packs"), [("qwen3", True), ("llama", True), ("gpt2", True), ("opt", False)])
def test_a_family_that_leaks_when_packed_is_found_at_open(shape: Shape, packs: bool) -> None:
    assert tiny_policy(shape).packs is packs


def test_a_leaking_family_trains_unpacked_to_the_gradient_of_its_own_plain_forwards() -> None:
    step = random_step(2, 2, longest=8)
    policy, objective = tiny_policy("opt"), MarginalPg()
    ours = gradient_of(make_trainer(policy, objective, tokens_per_pass=10_000), step)
    credit = objective.credit(step, {})
    weight_N = torch.from_numpy(credit.weight_N * credit.advantage_N).float()
    loss, start = torch.zeros(()), 0
    for sample in step.samples:
        ids = torch.tensor([[*policy.codec.prefix("auto"), *sample.tokens]])
        logp_t = policy.module(input_ids=ids).logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]
        loss = loss - (weight_N[start : start + len(sample.tokens)] * logp_t).sum()
        start += len(sample.tokens)
    theirs = torch.autograd.grad(loss, [p for _, p in policy.parameters()], materialize_grads=True)
    assert ours.norm() > 0
    torch.testing.assert_close(ours, torch.cat([g.reshape(-1) for g in theirs]), atol=1e-6, rtol=1e-4)


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
    passes = plan_passes(costs, 100)
    assert sorted(s for p in passes for s in p) == list(range(80))
    assert all(sum(costs[s] for s in p) <= 100 for p in passes)
    # First-fit decreasing never needs more than 11/9 of the best plus one; the sum is a bound for the best.
    assert len(passes) <= 11 / 9 * np.ceil(sum(costs) / 100) + 1


def test_a_sample_longer_than_the_budget_goes_alone_and_whole() -> None:
    assert plan_passes([5, 500, 5], 100) == [(1,), (0, 2)]


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

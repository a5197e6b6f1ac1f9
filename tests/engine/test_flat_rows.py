"""A flat row: samples do not see each other, a prompt stands there once, and whatever is not causal attention is refused."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.presets.pretrain_space import MarginalNsr
from prerl_components.objectives.weighted_sum import WeightedSum
from transformers import AutoModelForCausalLM, BloomConfig, GPTNeoConfig, LlamaConfig, MistralConfig, PreTrainedConfig
from transformers import masking_utils as transformers_masks

from prerl_spec.engine.policy import flat_attention
from prerl_spec.engine.policy.decoder_layers import recompute_activations
from prerl_spec.engine.policy.flat_attention import FlatRow, flat_row_of
from prerl_spec.engine.policy.forward import taken
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.rows import Arrangement, Stem, flat_row, flat_tokens, num_tokens
from prerl_spec.needs import Layout, Need
from prerl_spec.registry.kinds.model import LoadedModel
from prerl_spec.testing.tiny import SHAPES, Shape, byte_tokenizer, tiny_loaded
from prerl_spec.text import Codec
from prerl_spec.types import Segment, Step
from prerl_spec.views import Conditional, Marginal
from tests.engine.steps import gradient_of, make_trainer, pack, random_step, tiny_policy

QUESTIONS = "A long question that every response of its group stands behind: what is {}?"
"""68 tokens: as long as two responses."""

STEP = random_step(4, 5, questions=QUESTIONS)


def of_config(config: PreTrainedConfig) -> Policy:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        untyped: Any = AutoModelForCausalLM
        module = untyped.from_config(config, dtype=torch.float32)
    tokenizer = byte_tokenizer()
    loaded = LoadedModel(module, tokenizer, Codec.of_tokenizer(tokenizer), torch.float32, {})
    return Policy(loaded, torch.device("cpu"))


SIZES: Mapping[str, Any] = {"vocab_size": 259, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
IDS: Mapping[str, Any] = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
OTHERS: Mapping[str, PreTrainedConfig] = {
    "a window no short text can show": MistralConfig(
        **SIZES, **IDS, num_key_value_heads=1, intermediate_size=64, sliding_window=64
    ),
    "a bias that falls with distance": BloomConfig(**IDS, vocab_size=259, hidden_size=32, n_layer=2, n_head=2),
    "one operation after another, as asked": LlamaConfig(
        **SIZES, **IDS, num_key_value_heads=1, intermediate_size=64, attn_implementation="eager"
    ),
    "attention of its own": GPTNeoConfig(
        **IDS, vocab_size=259, hidden_size=32, num_layers=2, num_heads=2, attention_types=[[["global", "local"], 1]]
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_families_of_causal_attention_take_flat_rows(shape: Shape) -> None:
    assert tiny_policy(shape).arrangement == "flat"


@pytest.mark.parametrize("name", OTHERS)
def test_a_model_with_more_than_causal_attention_keeps_a_row_for_each_sample(name: str) -> None:
    """Measured, also where a text of any length at open would not show it."""
    policy = of_config(OTHERS[name])
    assert policy.arrangement == "padded"
    ours = gradient_of(make_trainer(policy, Grpo(), tokens_per_pass=1_000), STEP)
    policy.arrangement = "alone"
    apart = gradient_of(make_trainer(policy, Grpo(), tokens_per_pass=1_000), STEP)
    assert apart.norm() > 0
    torch.testing.assert_close(ours, apart, atol=2e-6 * float(apart.norm()), rtol=1e-4)


def test_a_window_that_only_the_mask_knows_of_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat_attention, "WITHOUT_EFFECT", flat_attention.WITHOUT_EFFECT | {"sliding_window"})
    assert of_config(OTHERS["a window no short text can show"]).arrangement == "padded"


def test_a_model_whose_code_knows_its_attention_by_name_keeps_a_row_for_each_sample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded = tiny_loaded()
    own, known = type(loaded.module).forward, {"sdpa": 1}

    def forward(model: Any, *arguments: Any, **named: Any) -> Any:
        assert known[model.config._attn_implementation]
        return own(model, *arguments, **named)

    monkeypatch.setattr(type(loaded.module), "forward", forward)
    assert Policy(loaded, torch.device("cpu")).arrangement == "padded"


def test_a_familys_gradient_in_a_row_for_each_sample_is_that_of_its_own_plain_forwards() -> None:
    policy = of_config(OTHERS["a window no short text can show"])
    trainer = make_trainer(policy, Grpo(), tokens_per_pass=1_000)
    ours = gradient_of(trainer, STEP)
    credit = Grpo().credit(STEP, {})
    weight_N = torch.from_numpy(credit.weight_N * credit.advantage_N).float()
    loss, start = torch.zeros(()), 0
    for group in STEP.groups:
        for sample in group.attempts:
            ids = torch.tensor([[*group.prompt.context, *sample.tokens]])
            number = len(sample.tokens)
            logp_t = policy.module(input_ids=ids).logits[0, -number - 1 : -1].log_softmax(-1)
            loss = loss - (weight_N[start : start + number] * logp_t.gather(-1, ids[0, -number:, None])[:, 0]).sum()
            start += number
    theirs = torch.autograd.grad(loss, [p for _, p in policy.parameters()], materialize_grads=True)
    theirs_flat = torch.cat([g.reshape(-1) for g in theirs])
    assert theirs_flat.norm() > 0
    torch.testing.assert_close(ours, theirs_flat, atol=2e-6 * float(theirs_flat.norm()), rtol=1e-4)


def uneven() -> Step:
    """Responses of 1 token and of equal lengths, a sample without weight, a question that stands in two groups."""
    step = random_step(4, 5, questions=QUESTIONS, longest=12)
    groups = list(step.groups)
    groups[3] = replace(groups[3], prompt=replace(groups[1].prompt, row=3))
    short = replace(groups[0].attempts[0].segments[0], tokens=(7,), logps=(-1.0,))
    first = [replace(groups[0].attempts[0], segments=(short,)), *groups[0].attempts[1:]]
    groups[0] = replace(groups[0], attempts=tuple(first))
    unscored = replace(groups[2].attempts[4], reward=None)
    groups[2] = replace(groups[2], attempts=(*groups[2].attempts[:4], unscored))
    return replace(step, groups=tuple(groups))


OBJECTIVES: Mapping[str, Any] = {
    "conditional": Grpo(),
    "marginal": MarginalNsr(),
    "both": WeightedSum(terms=(Grpo(), MarginalNsr(coefficient=0.5))),
}


@pytest.mark.parametrize(
    ("shape", "name"), [("qwen3", "conditional"), ("llama", "marginal"), ("gpt2", "both"), ("opt", "both")]
)
def test_prompts_that_stand_once_leave_the_gradient_of_samples_one_by_one(shape: Shape, name: str) -> None:
    step, policy = uneven(), tiny_policy(shape)

    def found(arrangement: Arrangement, budget: int) -> torch.Tensor:
        policy.arrangement = arrangement
        return gradient_of(make_trainer(policy, OBJECTIVES[name], tokens_per_pass=budget), step)

    expected = found("alone", 1_000)
    assert expected.norm() > 0
    for budget in (60, 300):
        # Sums of fp32 in another order.
        torch.testing.assert_close(found("flat", budget), expected, atol=2e-6 * float(expected.norm()), rtol=1e-5)


def test_responses_longer_than_a_block_of_queries_are_those_of_samples_one_by_one() -> None:
    step = random_step(1, 2, questions=QUESTIONS, longest=400, seed=5)
    policy = tiny_policy()
    assert max(len(a.tokens) for a in step.samples) > 256
    (one,) = pack(step, {Conditional(): range(2)}, policy.codec, tokens_per_pass=2_000)
    assert one.rows[Conditional()].stems[0].branches
    alone = pack(step, {Conditional(): range(2)}, policy.codec, tokens_per_pass=2_000, arrangement="alone")
    need = Need(Conditional())
    together = policy.logprobs(one, [need], temperature=1.0, of="policy")[need]
    apart = torch.zeros_like(together)
    for part in alone:
        apart[torch.from_numpy(part.index_N)] = policy.logprobs(part, [need], temperature=1.0, of="policy")[need]
    torch.testing.assert_close(together, apart, atol=2e-5, rtol=0)


def test_a_groups_prompt_goes_forward_once_and_a_short_prefix_with_every_sample() -> None:
    policy = tiny_policy()
    views = {Conditional(): range(20), Marginal(): range(20)}
    (one,) = pack(STEP, views, policy.codec, tokens_per_pass=10_000)
    responses = sum(len(a.tokens) - 1 for a in STEP.samples)
    prompts = sum(len(g.prompt.context) for g in STEP.groups)
    rows = one.rows[Conditional()]
    assert rows.id_BT.shape == (1, prompts + responses)
    assert [stem.length for stem in rows.stems] == [len(g.prompt.context) for g in STEP.groups]
    prefix = len(policy.codec.prefix("auto"))
    assert one.rows[Marginal()].id_BT.shape == (1, 20 * prefix + responses)
    assert not any(stem.branches for stem in one.rows[Marginal()].stems)


@pytest.mark.parametrize("budget", [90, 150, 400])
def test_a_groups_samples_share_a_pass_and_its_tokens_count_the_prompt_once(budget: int) -> None:
    policy = tiny_policy()
    passes = pack(STEP, {Conditional(): range(20)}, policy.codec, tokens_per_pass=budget)
    assert sorted(s for p in passes for s in p.sample_ids) == list(range(20))
    for one in passes:
        assert one.rows[Conditional()].id_BT.size <= budget or len(one.sample_ids) == 1
    # No more passes than with prompts repeated, and no more parts of a group than its tokens need.
    repeated = [len(g.prompt.context) + len(a.tokens) - 1 for g in STEP.groups for a in g.attempts]
    assert len(passes) <= sum(repeated) / budget + len(STEP.groups)
    whole = [flat_tokens([Layout(g.prompt.context, a.segments) for a in g.attempts]) for g in STEP.groups]
    for group, tokens in enumerate(whole):
        holding = [p for p in passes if any(STEP.group_S[s] == group for s in p.sample_ids)]
        assert len(holding) == 1 or tokens > budget


def test_the_layout_follows_from_the_tokens_alone() -> None:
    policy = tiny_policy()
    first, again = (pack(STEP, {Conditional(): range(20)}, policy.codec, tokens_per_pass=150) for _ in range(2))
    assert [p.sample_ids for p in first] == [p.sample_ids for p in again]
    for one, other in zip(first, again, strict=True):
        assert one.rows[Conditional()].stems == other.rows[Conditional()].stems
        np.testing.assert_array_equal(one.rows[Conditional()].id_BT, other.rows[Conditional()].id_BT)


def test_samples_of_equal_length_are_neighbours_and_take_one_call_of_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    own = flat_attention.scaled_dot_product_attention

    def counted(query: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor:
        calls.append(len(query))
        return own(query, *arguments, **named)

    monkeypatch.setattr(flat_attention, "scaled_dot_product_attention", counted)
    policy = tiny_policy()
    calls.clear()
    layouts = [Layout((i,), (Segment((1,) * length),)) for i, length in enumerate([3, 5, 3, 5, 3])]
    policy.row_logprobs(flat_row(layouts, [0, 3, 8, 11, 16]))
    assert calls == [2, 3] * 2, "two runs in each of two layers"


def of_sequences(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    query_ends: torch.Tensor,
    key_ends: torch.Tensor,
    longest_query: int,
    longest_key: int,
    *,
    scale: float,
    window_size: tuple[int, int],
    enable_gqa: bool = False,
) -> torch.Tensor:
    """What torch's flash kernel computes for sequences of unequal length, by hand: [T, heads, size] -> the same."""
    assert window_size == (-1, 0)
    assert (longest_query, longest_key) == (query_ends.diff().max(), key_ends.diff().max())
    assert (query_ends.dtype, key_ends.dtype, len(q), len(k)) == (
        torch.int32,
        torch.int32,
        query_ends[-1],
        key_ends[-1],
    )
    assert enable_gqa or q.shape[1] == k.shape[1]
    k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], dim=1) for x in (k, v))
    found = []
    for (q0, q1), (k0, k1) in zip(pairwise(query_ends.tolist()), pairwise(key_ends.tolist()), strict=True):
        score = torch.einsum("qhd,khd->hqk", q[q0:q1], k[k0:k1]) * scale
        later = torch.ones(q1 - q0, k1 - k0, dtype=torch.bool).triu(k1 - k0 - (q1 - q0) + 1)
        found.append(torch.einsum("hqk,khd->qhd", score.masked_fill(later, -torch.inf).softmax(-1), v[k0:k1]))
    return torch.cat(found)


def without_groups(*arguments: Any, scale: float, window_size: tuple[int, int]) -> torch.Tensor:
    """The kernel of a torch before 2.12."""
    return of_sequences(*arguments, scale=scale, window_size=window_size)


@pytest.mark.parametrize("kernel", [of_sequences, without_groups])
def test_the_kernel_of_gpus_is_asked_for_the_same(kernel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends, longest lengths, keys behind their prompts, heads in groups."""
    step, policy = uneven(), tiny_policy()
    expected = gradient_of(make_trainer(policy, Grpo(), tokens_per_pass=300), step)
    monkeypatch.setattr(flat_attention, "_has_varlen", lambda *_: True)
    monkeypatch.setattr(flat_attention, "varlen_attn", kernel)
    found = gradient_of(make_trainer(policy, Grpo(), tokens_per_pass=300), step)
    assert not torch.equal(found, expected), "it was computed in another way"
    torch.testing.assert_close(found, expected, atol=2e-6 * float(expected.norm()), rtol=1e-5)


def test_no_mask_is_built_for_a_flat_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers would look for restarting positions, which waits for the device, and build [T, T] where it finds them."""
    policy = tiny_policy()
    (one,) = pack(STEP, {Conditional(): range(20)}, policy.codec, tokens_per_pass=10_000)

    def looked(*_: Any) -> None:
        raise AssertionError("positions were searched for restarts")

    monkeypatch.setattr(transformers_masks, "find_packed_sequence_indices", looked)
    policy.logprobs(one, [Need(Conditional())], temperature=1.0, of="policy")


def test_the_models_own_attention_is_chosen_again_after_a_flat_row_also_after_one_that_failed() -> None:
    policy = tiny_policy()
    ids = torch.tensor([[3, 1, 4, 1, 5]])
    before = policy.module(input_ids=ids).logits
    (one,) = pack(STEP, {Conditional(): range(20)}, policy.codec, tokens_per_pass=10_000)
    policy.logprobs(one, [Need(Conditional())], temperature=1.0, of="policy")
    assert policy.module.config._attn_implementation == "sdpa"
    with pytest.raises(AssertionError), flat_row_of(policy.module, FlatRow([Stem(5)])):
        assert policy.module.config._attn_implementation == "sdpa"
    assert policy.module.config._attn_implementation == "sdpa"
    assert torch.equal(policy.module(input_ids=ids).logits, before)


def test_recomputed_activations_are_those_of_the_same_flat_row() -> None:
    """The backward pass recomputes them when the model's own attention is chosen again."""
    kept, recomputed = tiny_policy(), tiny_policy()
    recompute_activations(recomputed.module)
    first, second = (gradient_of(make_trainer(p, Grpo(), tokens_per_pass=1_000), STEP) for p in (kept, recomputed))
    assert first.norm() > 0
    assert torch.equal(first, second)


def test_on_several_threads_a_token_that_is_read_more_than_once_has_the_same_gradient_again() -> None:
    """The last token of a prompt gets a gradient from every response, and one thread may come before another."""
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(1, 3_000, 256, generator=generator, requires_grad=True)
    at = torch.cat([torch.arange(3_000), *(torch.full((16,), 30 * prompt) for prompt in range(100))])
    sent = torch.randn(len(at), 256, generator=generator)

    def gradient() -> torch.Tensor:
        return torch.autograd.grad(taken(hidden, at), hidden, sent)[0]

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first, *again = (gradient() for _ in range(10))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(first, other) for other in again)
    expected = torch.zeros(3_000, 256).index_add(0, at, sent)
    torch.testing.assert_close(first[0], expected, atol=1e-5, rtol=0)


def test_under_autocast_a_flat_row_is_as_near_as_sixteen_bits_allow() -> None:
    policy = tiny_policy()
    policy.loaded = replace(policy.loaded, compute_dtype=torch.bfloat16)
    half = gradient_of(make_trainer(policy, Grpo(), tokens_per_pass=1_000), STEP)
    whole = gradient_of(make_trainer(tiny_policy(), Grpo(), tokens_per_pass=1_000), STEP)
    assert not torch.equal(half, whole)
    assert (half - whole).norm() < 0.05 * whole.norm()


def test_a_pass_counts_the_tokens_of_a_flat_row_and_copies_of_the_prompts_keys() -> None:
    layouts = [Layout(g.prompt.context, a.segments) for g in STEP.groups for a in g.attempts]
    starts = np.cumsum([0, *(len(a.tokens) for a in STEP.samples)])[:-1].tolist()
    copies = sum(-(-len(g.prompt.context) * len(g.attempts) // 16) for g in STEP.groups)
    assert flat_row(layouts, starts).id_BT.size + copies == flat_tokens(layouts) < sum(map(num_tokens, layouts))
    assert flat_row(layouts[:1], [0]).id_BT.size == flat_tokens(layouts[:1]) == num_tokens(layouts[0])


def kept_bytes(policy: Policy, step: Step, budget: int) -> list[int]:
    """What each pass's graph keeps for its backward."""
    found: list[int] = []
    for one in pack(step, {Conditional(): range(len(step.samples))}, policy.codec, tokens_per_pass=budget):
        kept: dict[int, int] = {}

        def keep(tensor: torch.Tensor, kept: dict[int, int] = kept) -> torch.Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            policy.logprobs(one, [Need(Conditional())], temperature=1.0, of="policy")
        found.append(sum(kept.values()))
    return found


def test_a_pass_of_short_responses_behind_long_prompts_keeps_no_more_than_any_other() -> None:
    policy = tiny_policy("gpt2")
    plain = max(kept_bytes(policy, random_step(16, 8, longest=16), 400))
    behind = max(kept_bytes(policy, random_step(1, 64, questions="?" * 200, longest=4), 400))
    assert behind < 1.2 * plain

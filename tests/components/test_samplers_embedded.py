"""The embedded sampler draws from the module's own distribution, reproducibly, and leaves no trace behind."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from prerl_components.samplers.embedded import kv_loop
from prerl_components.samplers.embedded.batches import Budget, plan_alone, plan_batches, plan_tiles
from prerl_components.samplers.embedded.draw import BLOCK
from prerl_components.samplers.embedded.kv_cache import MIN_ROOM
from prerl_components.samplers.embedded.sampler import EmbeddedSampler
from prerl_components.samplers.transformers import Transformers
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
)

from prerl_spec.sdk import (
    Decoding,
    EndedSample,
    EnvironmentUnmet,
    Generation,
    LoadedModel,
    Request,
    RunFailed,
    SamplerSite,
)
from prerl_spec.testing.tiny import SHAPES, Shape, tiny_loaded

# float32 log-probabilities near -5 nats, two orders of summation: 4e-6 seen.
ROUNDING = 1e-5

WINDOW = 8
SMALL: dict[str, Any] = {"vocab_size": 259, "hidden_size": 32, "num_hidden_layers": 2, "initializer_range": 0.2}
ATTENTION: dict[str, Any] = {"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64}


def loaded_as(module: torch.nn.Module, **changes: Any) -> LoadedModel:
    return replace(tiny_loaded(), module=module, **changes)


def windowed(family: str) -> LoadedModel:
    """A model with sliding windows that the samples of these tests leave."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if family == "mistral":
            return loaded_as(MistralForCausalLM(MistralConfig(**SMALL, **ATTENTION, sliding_window=WINDOW)))
        layers = ["sliding_attention", "full_attention"]
        config = Gemma3TextConfig(**SMALL, **ATTENTION, head_dim=8, sliding_window=WINDOW, layer_types=layers)
        return loaded_as(Gemma3ForCausalLM(config))


@contextmanager
def sampling(
    model: LoadedModel, max_length: int = 512, *, invariant: bool = False, **budget: int
) -> Iterator[EmbeddedSampler]:
    with Transformers().open(SamplerSite(model, "cpu", max_length, invariant=invariant)) as sampler:
        assert isinstance(sampler, EmbeddedSampler)
        sampler._budget = replace(sampler._budget, **budget)
        yield sampler


def requests(num: int = 6, group: int = 4, vocabulary: int = 256) -> list[Request]:
    """Prompts of 3 to 13 tokens; seeds are all different."""
    numbers = np.random.default_rng(7)
    return [
        Request(
            tuple(numbers.integers(0, vocabulary, 3 + (5 * i) % 11).tolist()), tuple(range(100 * i, 100 * i + group))
        )
        for i in range(num)
    ]


def plain_logps(model: LoadedModel, context: Sequence[int], tokens: Sequence[int], temperature: float) -> torch.Tensor:
    """[T, V] from one forward over the whole text, no cache, no padding."""
    with torch.no_grad():
        logits = model.module(input_ids=torch.tensor([[*context, *tokens]]), use_cache=False).logits[0].float()
    logps: torch.Tensor = (logits / temperature).log_softmax(-1)[len(context) - 1 : -1]
    return logps


def gap(model: LoadedModel, asked: Sequence[Request], drawn: list[list[Generation]], temperature: float) -> float:
    worst = 0.0
    for request, generations in zip(asked, drawn, strict=True):
        for g in generations:
            plain = plain_logps(model, request.context, g.tokens, temperature)
            of_tokens = plain.gather(1, torch.tensor(g.tokens)[:, None])[:, 0]
            assert g.entropies is not None
            entropy = -(plain.exp() * plain).sum(-1)
            worst = max(
                worst,
                float((of_tokens - torch.tensor(g.logps)).abs().max()),
                float((entropy - torch.tensor(g.entropies)).abs().max()),
            )
    return worst


def share_equal(a: list[list[Generation]], b: list[list[Generation]]) -> float:
    """Of the tokens drawn, the share at the same place with the same id."""
    pairs = [(x, y) for xs, ys in zip(a, b, strict=True) for x, y in zip(xs, ys, strict=True)]
    same = sum(s == t for x, y in pairs for s, t in zip(x.tokens, y.tokens, strict=False))
    return same / sum(max(len(x.tokens), len(y.tokens)) for x, y in pairs)


# --- the right distribution ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_log_probabilities_and_entropies_are_those_of_a_plain_forward(shape: Shape) -> None:
    model, asked = tiny_loaded(shape), requests()
    with sampling(model) as sampler:
        drawn = sampler.generate(asked, Decoding(temperature=0.7, max_new_tokens=20))
    model.module.eval()
    assert gap(model, asked, drawn, 0.7) < ROUNDING


def test_a_response_longer_than_a_block_is_drawn_from_its_own_stream_to_the_end() -> None:
    """By hand: the t-th token is the first whose cumulative probability exceeds the t-th number of the seed's stream."""
    model, seeds = tiny_loaded(), (3, 4, 5)
    model.codec.eos_ids = ()
    with sampling(model) as sampler:
        ((*drawn,),) = sampler.generate([Request((1, 2, 3), seeds)], Decoding(max_new_tokens=2 * BLOCK + 9))
    model.module.eval()
    for seed, generation in zip(seeds, drawn, strict=True):
        assert len(generation.tokens) == 2 * BLOCK + 9
        uniform_T = np.random.Generator(np.random.Philox(key=seed)).random(len(generation.tokens))
        cdf_TV = plain_logps(model, (1, 2, 3), generation.tokens, 1.0).double().exp().cumsum(-1).numpy()
        by_hand = [int(np.searchsorted(c, u * c[-1], side="right")) for c, u in zip(cdf_TV, uniform_T, strict=True)]
        assert by_hand == list(generation.tokens)


@pytest.mark.parametrize("family", ["mistral", "gemma3"])
def test_a_sliding_window_is_kept_beyond_its_width(family: str) -> None:
    model, asked = windowed(family), requests(num=3)
    with sampling(model) as sampler:
        drawn = sampler.generate(asked, Decoding(max_new_tokens=2 * WINDOW))
    model.module.eval()
    assert gap(model, asked, drawn, 1.0) < ROUNDING


@pytest.mark.parametrize("shape", SHAPES)
def test_temperature_zero_is_what_transformers_calls_greedy(shape: Shape) -> None:
    model, asked = tiny_loaded(shape), requests(group=1)
    with sampling(model) as sampler:
        drawn = sampler.generate(asked, Decoding(temperature=0, max_new_tokens=20))
    model.module.eval()
    module: Any = model.module
    for request, (g,) in zip(asked, drawn, strict=True):
        prompt = torch.tensor([request.context])
        theirs = module.generate(
            prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=20,
            eos_token_id=list(model.codec.eos_ids), pad_token_id=0,
        )  # fmt: skip
        assert list(g.tokens) == theirs[0, len(request.context) :].tolist()
    assert gap(model, asked, drawn, 1.0) < ROUNDING  # untempered


@pytest.mark.parametrize("eos_ids", [(), tuple(range(0, 259, 60))], ids=["none ends", "rows are dropped"])
def test_an_unpadded_batch_that_outgrows_its_buffer_stays_right(eos_ids: tuple[int, ...]) -> None:
    model = tiny_loaded()
    context = tuple(range(5, 12))
    asked = [Request(context, (1, 2, 3)), Request(context[::-1], (4, 5, 6))]
    with sampling(replace(model, codec=ending_with(model, eos_ids))) as sampler:
        drawn = sampler.generate(asked, Decoding(max_new_tokens=2 * MIN_ROOM))
    model.module.eval()
    assert max(len(g.tokens) for gs in drawn for g in gs) > MIN_ROOM
    assert ("eos" in {g.stop for gs in drawn for g in gs}) == bool(eos_ids)
    assert gap(model, asked, drawn, 1.0) < ROUNDING


def test_sixteen_bit_compute_samples_what_it_scores() -> None:
    model, asked = tiny_loaded(), requests(num=2)
    with sampling(replace(model, compute_dtype=torch.bfloat16)) as sampler:
        drawn = sampler.generate(asked, Decoding(max_new_tokens=8))
    model.module.eval()
    # bfloat16 keeps 8 bits: about 0.02 nats at logits near 5; float32 would be below 1e-5.
    assert ROUNDING < gap(model, asked, drawn, 1.0) < 0.3


# --- ends ------------------------------------------------------------------------------------------------------------


def ending_with(model: LoadedModel, eos_ids: Sequence[int]) -> Any:
    codec = type(model.codec).of_tokenizer(model.tokenizer)
    codec.eos_ids = tuple(eos_ids)
    return codec


def test_every_eos_id_ends_a_sample_and_is_scored() -> None:
    eos = tuple(range(0, 250, 25))
    model = tiny_loaded()
    with sampling(replace(model, codec=ending_with(model, eos))) as sampler:
        drawn = [g for gs in sampler.generate(requests(), Decoding(max_new_tokens=60)) for g in gs]
    ended = [g for g in drawn if g.stop == "eos"]
    assert len({g.tokens[-1] for g in ended}) > 1
    for g in drawn:
        assert (g.tokens[-1] in eos) == (g.stop == "eos")
        assert not set(g.tokens[:-1]) & set(eos)
        assert len(g.tokens) == len(g.logps) == len(g.entropies or ())
        assert g.stop == "eos" or len(g.tokens) == 60


def test_a_stop_string_ends_a_sample_with_its_last_token() -> None:
    model = tiny_loaded()
    free = Decoding(max_new_tokens=40)
    with sampling(model) as sampler:
        before = [g for gs in sampler.generate(requests(), free) for g in gs]
        text = model.codec.decode(before[0].tokens, skip_special=False)
        stop = next(text[i : i + 3] for i in range(10, 30) if "�" not in text[i : i + 3])
        after = [g for gs in sampler.generate(requests(), replace(free, stop=("never said, ever", stop))) for g in gs]
    assert after[0].stop == "stop"
    for long, short in zip(before, after, strict=True):
        assert long.tokens[: len(short.tokens)] == short.tokens
        said = model.codec.decode(short.tokens, skip_special=False)
        assert (stop in said) == (short.stop == "stop")
        assert stop not in model.codec.decode(short.tokens[:-1], skip_special=False)


def test_a_prompt_without_room_names_both_numbers() -> None:
    asked = [Request((1, 2), (0,)), Request(tuple(range(50)), (1,))]
    with sampling(tiny_loaded(), max_length=64) as sampler:
        with pytest.raises(RunFailed, match=r"50 tokens and max_new_tokens 15 exceed the 64") as caught:
            sampler.generate(asked, Decoding(max_new_tokens=15))
        assert caught.value.hint
        sampler.generate(asked, Decoding(max_new_tokens=14))


@pytest.mark.parametrize("invariant", [False, True])
def test_a_sample_is_told_by_the_token_that_ends_it_and_one_that_is_cut_off_is_not(invariant: bool) -> None:
    told: list[EndedSample] = []
    ticks: list[tuple[int, int]] = []
    asked, decoding = requests(), Decoding(max_new_tokens=24, stop=("a", "b", "c"))
    with sampling(tiny_loaded(), invariant=invariant, rows=7) as sampler:
        drawn = sampler.stream(asked, decoding, told.extend, lambda done, total: ticks.append((done, len(told))))
        assert drawn == sampler.generate(asked, decoding)
    whole = {(i, k): g for i, group in enumerate(drawn) for k, g in enumerate(group) if g.stop != "length"}
    assert {(one.request, one.sample): (one.tokens, one.stop) for one in told} == {
        place: (g.tokens, g.stop) for place, g in whole.items()
    }
    assert 1 < len(whole) < 24
    assert ticks[0][1] == ticks[0][0] < len(whole), "the first are told while others are drawn"


def test_logits_that_are_not_finite_end_the_run() -> None:
    model = tiny_loaded()
    with sampling(model) as sampler:
        with torch.no_grad():
            next(model.module.parameters())[5] = torch.nan  # the embedding, tied to the head
        for temperature in (0.0, 1.0):
            with pytest.raises(RunFailed, match="not finite at token 1"):
                sampler.generate(requests(num=1), Decoding(temperature=temperature, max_new_tokens=5))


# --- reproducible ----------------------------------------------------------------------------------------------------


def test_a_sample_depends_on_its_own_seed_only() -> None:
    """Guarantee G15: shuffled, re-batched, among strangers, split from its group: at least 99.9 % equal tokens."""
    asked, decoding = requests(num=8, group=8), Decoding(max_new_tokens=40)
    order = [3, 0, 7, 5, 1, 6, 2, 4]
    with sampling(tiny_loaded()) as sampler:
        together = sampler.generate(asked, decoding)
        shuffled = sampler.generate([asked[i] for i in order], decoding)
        strangers = sampler.generate([Request((9, 9, 9), (1, 2, 3)), *asked], decoding)[1:]
        lone = [[sampler.generate([Request(r.context, (s,))], decoding)[0][0] for s in r.seeds[:2]] for r in asked]
    with sampling(tiny_loaded(), rows=5, prefill_tokens=20) as sampler:
        rebatched = sampler.generate(asked, decoding)
    assert share_equal(together, [shuffled[order.index(i)] for i in range(8)]) >= 0.999
    assert share_equal(together, strangers) >= 0.999
    assert share_equal(together, rebatched) >= 0.999
    assert share_equal([gs[:2] for gs in together], lone) >= 0.999
    assert len({g.tokens for gs in together for g in gs}) == 64


@pytest.mark.parametrize("invariant", [True, False])
def test_at_an_invariant_site_nothing_that_is_drawn_beside_a_sample_moves_a_bit(invariant: bool) -> None:
    """G15 where bits count: shuffled, among strangers of the same prompt, one request a call, after a restart."""
    asked, decoding = requests(num=8, group=4), Decoding(max_new_tokens=40)
    strangers = [Request(r.context, (1000 + i,)) for i, r in enumerate(asked)]
    model = tiny_loaded()
    model = replace(model, codec=ending_with(model, range(0, 250, 25)))
    with sampling(model, invariant=invariant) as sampler:
        together = sampler.generate(asked, decoding)
        shuffled = sampler.generate(asked[::-1], decoding)[::-1]
        among = sampler.generate([*strangers, *asked], decoding)[8:]
    with sampling(model, invariant=invariant) as sampler:
        apart = [sampler.generate([request], decoding)[0] for request in asked]
    assert {g.stop for gs in together for g in gs} == {"eos", "length"}
    assert (shuffled == among == apart == together) is invariant


class Placed(GPT2LMHeadModel):  # type: ignore[no-untyped-call]
    """Its logits differ in a last bit by the place of a row, like those of a kernel that treats edges in another way."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = super().forward(*args, **kwargs)
        output.logits[:, :, 7] += 1e-6 * torch.arange(output.logits.shape[0])[:, None]
        return output


def test_where_a_rows_place_matters_each_request_is_drawn_alone() -> None:
    config = GPT2Config(vocab_size=259, n_embd=32, n_layer=2, n_head=2, bos_token_id=None, eos_token_id=None)
    asked, decoding = requests(num=3), Decoding(max_new_tokens=20)
    with sampling(loaded_as(Placed(config)), invariant=True) as sampler:
        assert sampler._plan is plan_alone
        assert sampler.generate(asked[::-1], decoding)[::-1] == sampler.generate(asked, decoding)
    with sampling(loaded_as(GPT2LMHeadModel(config)), invariant=True) as sampler:
        assert sampler._plan is plan_tiles


def test_the_same_call_gives_the_same_numbers() -> None:
    with sampling(tiny_loaded()) as sampler:
        first, second = (sampler.generate(requests(), Decoding(max_new_tokens=20)) for _ in range(2))
    assert first == second


def test_mode_global_random_state_and_weights_are_left_as_they_were() -> None:
    model = tiny_loaded()
    module = model.module
    frozen, dropping = list(module.modules())[-2:]
    module.train()
    frozen.eval()
    modes = [part.training for part in module.modules()]
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    torch_state, numpy_state, python_state = (
        torch.random.get_rng_state(),
        repr(np.random.get_state()),
        random.getstate(),
    )
    seen: set[tuple[bool, bool]] = set()
    watch = module.register_forward_hook(lambda *_: seen.add((torch.is_inference_mode_enabled(), dropping.training)))
    with sampling(model) as sampler:
        sampler.generate(requests(), Decoding(max_new_tokens=5))
        with pytest.raises(RunFailed):
            sampler.generate(requests(), Decoding(max_new_tokens=600))
    watch.remove()
    assert seen == {(True, False)}
    assert [part.training for part in module.modules()] == modes
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert repr(np.random.get_state()) == numpy_state
    assert random.getstate() == python_state
    assert all(torch.equal(weights[name], value) for name, value in module.state_dict().items())
    loss = module(input_ids=torch.tensor([[1, 2, 3]]), labels=torch.tensor([[1, 2, 3]])).loss
    loss.backward()  # no inference tensor is left in the module


def test_new_weights_are_sampled_from_at_once() -> None:
    model, asked = tiny_loaded(), requests(num=2)
    with sampling(model) as sampler:
        before = sampler.generate(asked, Decoding(max_new_tokens=20))
        with torch.no_grad():
            for weight in model.module.parameters():
                weight.mul_(0.9)
        sampler.sync(1)
        after = sampler.generate(asked, Decoding(max_new_tokens=20))
    model.module.eval()
    assert before != after
    assert gap(model, asked, after, 1.0) < ROUNDING


# --- refused models --------------------------------------------------------------------------------------------------


class Unmasked(GPT2LMHeadModel):  # type: ignore[no-untyped-call]
    """Pays no heed to padding, like a model whose code takes a mask and forgets it."""

    def forward(self, *args: Any, attention_mask: Any = None, **kwargs: Any) -> Any:
        return super().forward(*args, **kwargs)


def test_a_model_that_sees_padding_is_refused() -> None:
    config = GPT2Config(vocab_size=259, n_embd=32, n_layer=2, n_head=2, bos_token_id=None, eos_token_id=None)
    with pytest.raises(EnvironmentUnmet, match=r"Unmasked: log-probabilities with a key-value cache differ by .* nats"):
        EmbeddedSampler(SamplerSite(loaded_as(Unmasked(config)), "cpu", 64))
    EmbeddedSampler(SamplerSite(loaded_as(GPT2LMHeadModel(config)), "cpu", 64))


def test_a_model_without_attention_is_refused() -> None:
    config = MambaConfig(vocab_size=259, hidden_size=32, num_hidden_layers=2, state_size=8)
    with pytest.raises(EnvironmentUnmet, match="MambaForCausalLM cannot be decoded with a key-value cache"):
        EmbeddedSampler(SamplerSite(loaded_as(MambaForCausalLM(config)), "cpu", 64))


# --- batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [{"rows": 7}, {"cache_tokens": 90}, {"prefill_tokens": 16}])
def test_batches_hold_every_sample_once_within_the_budget(bound: dict[str, int]) -> None:
    asked = requests(num=9, group=5)
    budget = replace(Budget(rows=1000, cache_tokens=10_000, prefill_tokens=10_000), **bound)
    seen = []
    for batch, places in plan_batches(asked, 8, budget):
        longest = max(len(c) for c in batch.contexts)
        assert len(places) <= budget.rows
        assert len(places) * (longest + 8) <= budget.cache_tokens
        assert len(batch.contexts) * longest <= budget.prefill_tokens
        for (i, k), p, seed in zip(places, batch.prompt_S, batch.seed_S, strict=True):
            assert batch.contexts[p] == asked[i].context
            assert seed == asked[i].seeds[k]
        seen += places
    assert sorted(seen) == [(i, k) for i in range(9) for k in range(5)]


def test_a_tiles_shape_follows_from_the_length_of_a_prompt_alone() -> None:
    asked = [Request((1,) * n, tuple(range(100 * n, 100 * n + 5))) for n in (16, 3, 17, 16, 32, 40)]
    budget = Budget(rows=1000, cache_tokens=10_000, prefill_tokens=240)
    shapes: dict[int, set[int]] = {}
    seen = []
    for batch, places in plan_tiles(asked, 8, budget):
        assert batch.width is not None
        assert {-(-len(c) // 16) * 16 for c in batch.contexts} == {batch.width}
        assert len(batch.seed_S) == len(batch.contexts) == len(places) + batch.fillers
        shapes.setdefault(batch.width, set()).add(len(batch.seed_S))
        assert batch.seed_S[: len(places)] == tuple(asked[i].seeds[k] for i, k in places)
        seen += places
    assert shapes == {16: {15}, 32: {7}, 48: {5}}
    assert sorted(seen) == [(i, k) for i in range(6) for k in range(5)]


def test_equal_prompts_are_prefilled_once() -> None:
    asked = [Request((1, 2), (1, 2)), Request((3,), (3,)), Request((1, 2), (4,))]
    ((batch, places),) = plan_batches(asked, 8, Budget(rows=99, cache_tokens=999, prefill_tokens=99))
    assert batch.contexts == ((3,), (1, 2))
    assert (batch.prompt_S, batch.seed_S) == ((0, 1, 1, 1), (3, 1, 2, 4))
    assert places == [(1, 0), (0, 0), (0, 1), (2, 0)]


def test_a_budget_too_small_for_one_row_still_draws() -> None:
    batches = list(plan_batches(requests(num=2, group=2), 8, Budget(rows=1, cache_tokens=1, prefill_tokens=1)))
    assert [len(places) for _, places in batches] == [1, 1, 1, 1]


@pytest.mark.parametrize("invariant", [False, True])
def test_progress_counts_every_sample_once(invariant: bool) -> None:
    told: list[tuple[int, int]] = []
    model = tiny_loaded()
    codec = ending_with(model, range(0, 250, 25))
    with sampling(replace(model, codec=codec), rows=7, invariant=invariant) as sampler:
        sampler.generate(requests(), Decoding(max_new_tokens=10), lambda done, total: told.append((done, total)))
        assert sampler.generate([], Decoding(max_new_tokens=10)) == []
    assert told[-1] == (24, 24)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_dropping_ended_rows_saves_work_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_loaded()
    model = replace(model, codec=ending_with(model, range(0, 250, 25)))
    with sampling(model) as sampler:
        dropped = sampler.generate(requests(), Decoding(max_new_tokens=30))
        monkeypatch.setattr(kv_loop, "DROP_SHARE", 2.0)
        kept = sampler.generate(requests(), Decoding(max_new_tokens=30))
    assert share_equal(dropped, kept) >= 0.999

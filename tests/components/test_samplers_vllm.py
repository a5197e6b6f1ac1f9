"""The sampler `vllm` on a real engine: the right distribution, our ends, and weights that are the trainer's or an error."""

import random
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("vllm")

from prerl_components.samplers.embedded.draw import log_distribution
from prerl_components.samplers.embedded.stop_texts import StopTexts
from prerl_components.samplers.shared.weight_files import write_shell
from prerl_components.samplers.transformers import Transformers
from prerl_components.samplers.vllm import Vllm
from prerl_components.samplers.vllm_engine import load_weights
from prerl_components.samplers.vllm_engine.sampler import ColocatedSampler, engine_arguments

from prerl_spec.sdk import (
    Decoding,
    EnvironmentUnmet,
    Generation,
    LoadedModel,
    OpenSampler,
    Request,
    RunFailed,
    SamplerSite,
)
from prerl_spec.testing.laws.sampler import check_sampler
from tests.components.vllm_models import Noisy, nudge, vllm_model

pytestmark = pytest.mark.vllm

# float32 log-probabilities near -5 nats, two kernels: 2e-6 seen.
ROUNDING = 2e-5

Pushed = tuple[LoadedModel, Noisy, ColocatedSampler]


def opened(site: SamplerSite, **settings: Any) -> AbstractContextManager[OpenSampler]:
    return Vllm(**settings).open(site)


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return vllm_model()


@pytest.fixture(scope="module")
def sampler(model: LoadedModel) -> Iterator[ColocatedSampler]:
    with opened(SamplerSite(model, "cpu", 512)) as found:
        assert isinstance(found, ColocatedSampler)
        yield found


def requests(num: int = 4, group: int = 3) -> list[Request]:
    """Prompts of 3 to 13 tokens; seeds are all different."""
    numbers = np.random.default_rng(7)
    return [
        Request(tuple(numbers.integers(0, 256, 3 + (5 * i) % 11).tolist()), tuple(range(100 * i, 100 * i + group)))
        for i in range(num)
    ]


def gap(model: LoadedModel, asked: Sequence[Request], drawn: list[list[Generation]], decoding: Decoding) -> float:
    """The largest difference to one plain forward each, in nats."""
    worst = 0.0
    module: Any = model.module
    for request, generations in zip(asked, drawn, strict=True):
        for g in generations:
            with torch.no_grad():
                ids = torch.tensor([[*request.context, *g.tokens]])
                logits = module(input_ids=ids, use_cache=False).logits[0, len(request.context) - 1 : -1]
            logp = log_distribution(logits, decoding).gather(1, torch.tensor(g.tokens)[:, None])[:, 0]
            worst = max(worst, float((logp - torch.tensor(g.logps)).abs().max()))
    return worst


def flat(drawn: list[list[Generation]]) -> list[Generation]:
    return [g for generations in drawn for g in generations]


# --- the right distribution ------------------------------------------------------------------------------------------


def test_vllm_obeys_the_law_of_samplers(model: LoadedModel) -> None:
    check_sampler(Vllm(), model)


@pytest.mark.parametrize(
    "decoding",
    [
        Decoding(max_new_tokens=20),
        Decoding(temperature=0.7, max_new_tokens=20),
        Decoding(temperature=1.3, top_k=20, max_new_tokens=20),
        Decoding(top_p=0.8, max_new_tokens=20),
        Decoding(temperature=0, max_new_tokens=20),
    ],
    ids=["plain", "tempered", "top_k", "top_p", "greedy"],
)
def test_log_probabilities_are_those_of_the_distribution_drawn_from(
    sampler: ColocatedSampler, model: LoadedModel, decoding: Decoding
) -> None:
    drawn = sampler.generate(requests(), decoding)
    assert gap(model, requests(), drawn, decoding) < ROUNDING
    assert len({g.tokens for g in flat(drawn)}) == (4 if decoding.temperature == 0 else 12)


def test_greedy_is_what_the_embedded_sampler_calls_greedy(sampler: ColocatedSampler, model: LoadedModel) -> None:
    decoding = Decoding(temperature=0, max_new_tokens=20)
    with Transformers().open(SamplerSite(model, "cpu", 512)) as embedded:
        ours = embedded.generate(requests(group=1), decoding)
    assert [g.tokens for g in flat(sampler.generate(requests(group=1), decoding))] == [g.tokens for g in flat(ours)]


def test_a_temperature_that_vllm_would_change_is_an_error(sampler: ColocatedSampler) -> None:
    with pytest.raises(RunFailed, match=r"not at 0\.005"):
        sampler.generate(requests(), Decoding(temperature=0.005, max_new_tokens=4))


def test_an_untied_llama_is_the_trainers_too() -> None:
    model = vllm_model(tied=False, family="llama")
    with opened(SamplerSite(model, "cpu", 512)) as sampler:
        nudge(model)
        sampler.sync(1)
        drawn = sampler.generate(requests(), Decoding(max_new_tokens=20))
    assert gap(model, requests(), drawn, Decoding()) < ROUNDING


def test_sixteen_bit_compute_samples_what_it_scores() -> None:
    model = replace(vllm_model(), compute_dtype=torch.bfloat16)
    with opened(SamplerSite(model, "cpu", 512)) as sampler:
        assert isinstance(sampler, ColocatedSampler)
        assert ROUNDING < sampler.gap < 0.1
        nudge(model)
        sampler.sync(1)
        drawn = sampler.generate(requests(), Decoding(max_new_tokens=8))
    assert ROUNDING < gap(model, requests(), drawn, Decoding()) < 0.5


def test_sixteen_bit_weights_that_are_one_percent_off_stop_the_run() -> None:
    """Their log-probabilities do not tell: the change is smaller than the difference of two sound 16-bit computations."""
    model = replace(vllm_model(), compute_dtype=torch.bfloat16)
    policy = Noisy(model)
    with opened(SamplerSite(model, "cpu", 512, policy=policy)) as sampler:
        assert isinstance(sampler, ColocatedSampler)
        policy.layer, policy.share = "layers.0.mlp.up_proj", 0.01
        with pytest.raises(
            RunFailed, match=r"after update 1 the engine does not hold .*: model\.layers\.0\.mlp\.up_proj"
        ):
            sampler.sync(1)
        assert sampler._compare(1, sampler._probe.trainer_logps()) < sampler.gap_limit, (
            "the probe alone lets it through"
        )


# --- ends ------------------------------------------------------------------------------------------------------------


def test_every_eos_id_ends_a_sample_and_is_scored(model: LoadedModel) -> None:
    codec = type(model.codec).of_tokenizer(model.tokenizer, eos_ids=range(0, 250, 25))
    ending = replace(model, codec=codec)
    with opened(SamplerSite(ending, "cpu", 512)) as sampler:
        drawn = sampler.generate(requests(), Decoding(max_new_tokens=60))
    assert gap(model, requests(), drawn, Decoding()) < ROUNDING
    ended = [g for g in flat(drawn) if g.stop == "eos"]
    assert len({g.tokens[-1] for g in ended}) > 1
    for g in flat(drawn):
        assert (g.tokens[-1] in codec.eos_ids) == (g.stop == "eos")
        assert not set(g.tokens[:-1]) & set(codec.eos_ids)
        assert len(g.tokens) == len(g.logps)
        assert g.stop == "eos" or len(g.tokens) == 60


def test_a_stop_string_ends_a_sample_where_the_embedded_sampler_would_end_it(
    sampler: ColocatedSampler, model: LoadedModel
) -> None:
    free = Decoding(max_new_tokens=40)
    before = flat(sampler.generate(requests(), free))
    texts = [model.codec.decode(g.tokens[:-1], skip_special=False) for g in before]
    stop = next(t[i : i + 2] for t in texts for i in range(8, len(t) - 1) if t[i : i + 2].isascii())
    stops = StopTexts(model.codec, ("never said, ever", stop))
    after = flat(sampler.generate(requests(), replace(free, stop=("never said, ever", stop))))
    assert "stop" in {g.stop for g in after}
    for long, short in zip(before, after, strict=True):
        spoken = long.tokens[:-1] if long.stop == "eos" else long.tokens
        said = [t for t in range(1, len(spoken) + 1) if stops.in_tail(spoken[:t])]
        assert short.tokens == (long.tokens[: said[0]] if said else long.tokens)
        assert short.stop == ("stop" if said else long.stop)
        assert len(short.logps) == len(short.tokens)


def test_a_prompt_without_room_names_both_numbers(sampler: ColocatedSampler) -> None:
    asked = [Request((1, 2), (0,)), Request(tuple(range(200)), (1,))]
    with pytest.raises(RunFailed, match=r"200 tokens and max_new_tokens 313 exceed the 512") as caught:
        sampler.generate(asked, Decoding(max_new_tokens=313))
    assert caught.value.hint
    assert sampler.generate([], Decoding(max_new_tokens=10)) == []


# --- reproducible ----------------------------------------------------------------------------------------------------


def test_a_sample_depends_on_its_own_seed_only(sampler: ColocatedSampler) -> None:
    asked, decoding = requests(num=6, group=6), Decoding(max_new_tokens=30)
    order = [3, 0, 5, 1, 4, 2]
    together = sampler.generate(asked, decoding)
    shuffled = sampler.generate([asked[i] for i in order], decoding)
    lone = [[sampler.generate([Request(r.context, (s,))], decoding)[0][0] for s in r.seeds[:2]] for r in asked]
    assert [g.tokens for g in flat(together)] == [
        g.tokens for g in flat([shuffled[order.index(i)] for i in range(len(asked))])
    ]
    assert [[g.tokens for g in gs[:2]] for gs in together] == [[g.tokens for g in gs] for gs in lone]
    assert len({g.tokens for g in flat(together)}) == 36


def test_seeds_of_any_size_are_taken(sampler: ColocatedSampler) -> None:
    (drawn,) = sampler.generate([Request((5, 6), (2**63 - 1, 2**80 + 3, 3))], Decoding(max_new_tokens=20))
    assert drawn[1] == drawn[2], "a seed is folded into 63 bits"
    assert drawn[0] != drawn[1]


def test_a_long_prompt_of_a_group_is_shared_and_stays_right(sampler: ColocatedSampler, model: LoadedModel) -> None:
    """More than two blocks of the prefix cache (128 tokens on CPUs)."""
    numbers = np.random.default_rng(1)
    asked = [Request(tuple(numbers.integers(0, 256, 300).tolist()), (1, 2, 3, 4))]
    first = sampler.generate(asked, Decoding(max_new_tokens=20))
    again = sampler.generate(asked, Decoding(max_new_tokens=20))
    assert [g.tokens for g in flat(first)] == [g.tokens for g in flat(again)]
    assert gap(model, asked, first, Decoding()) < ROUNDING


def test_more_prompts_than_one_forward_takes_keep_their_seeds(sampler: ColocatedSampler, model: LoadedModel) -> None:
    numbers = np.random.default_rng(2)
    asked = [Request(tuple(numbers.integers(0, 256, 300).tolist()), (i,)) for i in range(20)]
    drawn = sampler.generate(asked, Decoding(max_new_tokens=10))
    assert [sampler.generate([asked[i]], Decoding(max_new_tokens=10))[0] for i in (0, 13, 19)] == [
        drawn[i] for i in (0, 13, 19)
    ]
    assert gap(model, asked, drawn, Decoding()) < ROUNDING


def test_the_process_is_left_as_it_was(model: LoadedModel, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    states = torch.get_rng_state(), repr(np.random.get_state()), random.getstate()
    threads, set_threads = torch.get_num_threads(), torch.set_num_threads
    connected = torch.distributed.is_initialized()
    with opened(SamplerSite(model, "cpu", 512, folder=tmp_path)) as sampler:
        nudge(model, 1.0)
        sampler.sync(1)
        sampler.generate(requests(), Decoding(max_new_tokens=5))
        assert torch.set_num_threads is set_threads
        assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), states[0])
    assert repr(np.random.get_state()) == states[1]
    assert random.getstate() == states[2]
    assert torch.distributed.is_initialized() is connected
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")
    assert "Resolved architecture" in (tmp_path / "vllm" / "rank0.log").read_text()


def test_progress_counts_samples_and_what_it_raises_empties_the_engine(sampler: ColocatedSampler) -> None:
    told: list[tuple[int, int]] = []
    before = sampler.generate(requests(), Decoding(max_new_tokens=10), lambda *numbers: told.append(numbers))
    assert told[-1] == (12, 12)
    assert [done for done, _ in told] == sorted(done for done, _ in told)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    short_and_long = [*requests(), Request((9,), (1,))]
    with pytest.raises(KeyboardInterrupt):
        sampler.generate(short_and_long, Decoding(max_new_tokens=10), interrupt)
    assert sampler.generate(requests(), Decoding(max_new_tokens=10)) == before


# --- weights ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pushed() -> Iterator[Pushed]:
    model = vllm_model()
    policy = Noisy(model)
    with opened(SamplerSite(model, "cpu", 512, policy=policy)) as sampler:
        assert isinstance(sampler, ColocatedSampler)
        yield model, policy, sampler


def test_new_weights_are_sampled_from_at_once(pushed: Pushed) -> None:
    model, _, sampler = pushed
    asked = [*requests(), Request(tuple(range(200)), (1, 2))]
    before = sampler.generate(asked, Decoding(max_new_tokens=20))
    for version in (1, 2):
        nudge(model)
        sampler.sync(version)
        assert sampler.gap < ROUNDING
        after = sampler.generate(asked, Decoding(max_new_tokens=20))
        assert before != after
        assert gap(model, asked, after, Decoding()) < ROUNDING


def test_one_layer_that_is_one_percent_off_stops_the_run(pushed: Pushed) -> None:
    _, policy, sampler = pushed
    sampler.sync(1)
    assert sampler.gap < ROUNDING
    policy.layer, policy.share = "layers.0.mlp.up_proj", 0.01
    try:
        with pytest.raises(
            RunFailed, match=r"after update 2 .*layers\.0\.mlp\.up_proj.* \(64 rows from 0\)$"
        ) as caught:
            sampler.sync(2)
        with pytest.raises(RunFailed, match=r"by \S+ nats per token; the limit is 0\.0001 \(first push: \S+e-0[67]"):
            sampler._compare(2, sampler._probe.trainer_logps())
    finally:
        policy.layer = ""
    assert caught.value.exit_code == 5
    sampler.sync(3)


def test_a_tied_head_is_stale_without_repacking(pushed: Pushed, monkeypatch: pytest.MonkeyPatch) -> None:
    """`reload_weights` of 0.32 leaves the head's packed copy on CPUs as it was, without an error."""
    model, _, sampler = pushed
    monkeypatch.setattr(load_weights, "repack_tied_heads", lambda module: None)
    nudge(model)
    with pytest.raises(
        RunFailed, match=r"embed_tokens\.weight in the engine's lm_head \(packed\) \(259 rows from 0\)$"
    ):
        sampler.sync(2)
    monkeypatch.undo()
    sampler.sync(3)
    assert sampler.gap < ROUNDING


def test_weights_that_are_not_finite_end_the_run() -> None:
    model = vllm_model()
    with opened(SamplerSite(model, "cpu", 512)) as sampler:
        with torch.no_grad():
            next(model.module.parameters()).fill_(torch.nan)
        with pytest.raises(
            RunFailed, match=r"the trained weights are not finite: model\.embed_tokens\.weight \(259 rows\)"
        ):
            sampler.sync(1)
        with pytest.raises(RunFailed, match="changed after they were last pushed"):
            sampler.generate(requests(num=1), Decoding(max_new_tokens=5))


@pytest.mark.parametrize("forgets", [True, False], ids=["forgets its weights", "keeps them"])
def test_an_engine_that_can_sleep_does_so_whenever_it_does_not_draw(
    pushed: Pushed, monkeypatch: pytest.MonkeyPatch, forgets: bool
) -> None:
    """The order on GPUs, on an engine whose memory stays where it is: what vLLM's executor and scheduler make of it is real."""
    model, _, sampler = pushed
    seen: list[str] = []

    def noted(name: str) -> None:
        call = getattr(sampler._llm, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            seen.append(
                " ".join([name, *(str(getattr(a, "__name__", a)) for a in (*arguments[:1], *named.values()))][:2])
            )
            return call(*arguments, **named)

        monkeypatch.setattr(sampler._llm, name, wrapped)

    for name in ("wake_up", "sleep", "collective_rpc", "reset_prefix_cache"):
        noted(name)
    monkeypatch.setattr(sampler, "_sleeps", True)
    monkeypatch.setattr(sampler, "_forgets", forgets)
    sampler._sleep()
    nudge(model)
    sampler.sync(7)
    sampler.generate(requests(num=1), Decoding(max_new_tokens=4))
    with pytest.raises(RunFailed):
        sampler.generate(requests(num=1), Decoding(temperature=0.005, max_new_tokens=4))
    load, compare = "collective_rpc load_into_worker", "collective_rpc engine_rows"
    renewed = ["wake_up ['weights']", load, compare, "wake_up ['kv_cache']", "reset_prefix_cache"]
    if forgets:
        assert seen == ["sleep 2", *renewed, compare, "sleep 2", *renewed, "sleep 2"]
    else:
        assert seen == ["sleep 1", *renewed, "sleep 1", "wake_up", compare, "sleep 1", "wake_up", "sleep 1"]
    assert sampler.gap < ROUNDING
    monkeypatch.undo()
    sampler._wake()
    sampler.generate(requests(num=1), Decoding(max_new_tokens=4))


@pytest.mark.parametrize("changes", [{}, {"distributed_executor_backend": "external_launcher"}, {"enable_lora": True}])
def test_nothing_that_a_run_sets_leads_to_the_runner_that_draws_seeded_rows_one_by_one(
    model: LoadedModel, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """vLLM's second model runner, its own choice on GPUs, draws all rows of a step in one kernel, each with its own seed."""
    from vllm import EngineArgs

    write_shell(tmp_path, model)
    arguments = {**engine_arguments(SamplerSite(model, "cpu", 512), tmp_path, None), **changes}
    known = {field.name for field in fields(EngineArgs)}
    config = EngineArgs(**{name: value for name, value in arguments.items() if name in known}).create_engine_config()
    assert config._get_v2_model_runner_unsupported_features() == []


def test_equal_weights_that_are_used_otherwise_stop_at_the_first_push() -> None:
    """The engine's norms have the epsilon of the configuration, the trainer's another."""
    model = vllm_model()
    site = SamplerSite(model, "cpu", 512)
    for part in model.module.modules():
        if hasattr(part, "variance_epsilon"):
            part.variance_epsilon = 1.0  # type: ignore[assignment]
    with (
        pytest.raises(RunFailed, match=r"after update 0 the sampler's .* \(max_gap: 0\.01\)"),
        opened(site, max_gap=0.01),
    ):
        raise AssertionError("opened though it computes otherwise")


def test_a_layer_that_arrives_wrong_from_the_first_push_on_is_named() -> None:
    model = vllm_model()
    policy = Noisy(model)
    policy.layer, policy.share = "layers.1.mlp.down_proj", 0.5
    site = SamplerSite(model, "cpu", 512, policy=policy)
    with (
        pytest.raises(RunFailed, match=r"holds nowhere model\.layers\.1\.mlp\.down_proj\.weight \(64 rows\)"),
        opened(site),
    ):
        raise AssertionError("opened with weights that are not the trainer's")


# --- what vLLM refuses -----------------------------------------------------------------------------------------------


def test_an_unknown_argument_names_the_nearest(model: LoadedModel) -> None:
    with (
        pytest.raises(EnvironmentUnmet, match=r"`gpu_memory_utilisation` in the sampler.s `engine`") as caught,
        opened(SamplerSite(model, "cpu", 512), engine={"gpu_memory_utilisation": 0.5}),
    ):
        raise AssertionError("opened")
    assert caught.value.hint == "did you mean `gpu_memory_utilization`?"


@pytest.mark.parametrize("engine", [{"max_num_seqs": "many"}, {"block_size": -3}, {"max_model_len": 1000}])
def test_a_value_that_vllm_refuses_is_told_with_its_words(model: LoadedModel, engine: dict[str, Any]) -> None:
    with (
        pytest.raises(EnvironmentUnmet, match=r"vLLM cannot start: "),
        opened(SamplerSite(model, "cpu", 512), engine=engine),
    ):
        raise AssertionError("opened")


def test_an_argument_of_the_engine_is_handed_on(model: LoadedModel) -> None:
    with opened(SamplerSite(model, "cpu", 512), engine={"max_model_len": 64, "max_num_seqs": 2}) as sampler:
        with pytest.raises(RunFailed, match="exceed the 64"):
            sampler.generate([Request(tuple(range(60)), (1,))], Decoding(max_new_tokens=5))
        drawn = sampler.generate(requests(), Decoding(max_new_tokens=5))
    assert gap(model, requests(), drawn, Decoding()) < ROUNDING


def test_a_model_that_the_kernels_do_not_take_is_an_error_not_a_traceback() -> None:
    model = vllm_model(head_dim=16)
    with pytest.raises(EnvironmentUnmet, match="head_dim=16"), opened(SamplerSite(model, "cpu", 512)):
        raise AssertionError("opened")

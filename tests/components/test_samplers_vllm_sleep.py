"""The sampler `vllm` on an engine that sleeps, as on a GPU: the order of its calls, what it draws from, and what goes through
the host. CPUs cannot sleep, so a double stands in for `vllm.LLM`: it really forgets its weights."""

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from prerl_components.samplers.shared.frozen_access import FrozenAccess
from prerl_components.samplers.shared.policy_rows import PerturbedPolicy
from prerl_components.samplers.shared.weight_probe import Text
from prerl_components.samplers.vllm_engine import sampler as colocated
from prerl_components.samplers.vllm_engine.sampler import ColocatedSampler
from torch import Tensor

from prerl_spec.sdk import Decoding, Generation, LoadedModel, Request, RunFailed, SamplerSite
from prerl_spec.testing.tiny import tiny_loaded

REQUESTS = [Request((5, 6, 7), (1, 2))]
DECODING = Decoding(max_new_tokens=3)
TOKENS = (9, 8, 7)

BESIDE = "trainer's forward"
WAKING = ["empty_cache", "wake ['weights']", "load", "engine_rows", "wake ['kv_cache']", "reset_prefix_cache"]


class SleepingEngine:
    """A `vllm.LLM` whose weights are a module of its own: asleep they are in the host's memory (level 1) or lost (level 2)."""

    def __init__(self, loaded: LoadedModel, *, quantised: bool = False) -> None:
        self.module: Any = copy.deepcopy(loaded.module)
        self.calls: list[str] = []
        self.host_bytes = 0
        """Bytes of weights copied to the host and from it."""
        config = SimpleNamespace(quant_config="fp8" if quantised else None)
        self.model_config = SimpleNamespace(enable_sleep_mode=True, max_model_len=64)
        self.llm_engine = SimpleNamespace(vllm_config=config)
        self._worker = SimpleNamespace(
            vllm_config=config, model_runner=SimpleNamespace(get_model=lambda: self.module, module=self.module)
        )
        self.loses_more = False
        """Whether level 2 also loses tensors that are no weights."""
        self._awake = {"weights", "kv_cache"}
        self._in_host: list[Tensor] | None = None
        self._access = FrozenAccess(replace(loaded, module=self.module))

    def sleep(self, level: int) -> None:
        self.calls.append(f"sleep {level}")
        assert self._awake == {"weights", "kv_cache"}
        self._in_host = [w.detach().clone() for w in self._weights()] if level == 1 else None
        self.host_bytes += self.weight_bytes if level == 1 else 0
        with torch.no_grad():
            for weight in self._weights():
                weight.fill_(torch.nan)
            for other in self.module.buffers() if self.loses_more else ():
                other.zero_()
        self._awake.clear()

    def wake_up(self, tags: list[str] | None = None) -> None:
        self.calls.append(f"wake {tags}")
        assert not self._awake.intersection(tags or ())
        self._awake |= set(tags or ("weights", "kv_cache"))
        if self._in_host is not None and (tags is None or "weights" in tags):
            self.host_bytes += self.weight_bytes
            with torch.no_grad():
                for weight, kept in zip(self._weights(), self._in_host, strict=True):
                    weight.copy_(kept)

    def collective_rpc(self, method: Callable[..., Any], args: tuple[Any, ...] = ()) -> list[Any]:
        self.calls.append(method.__name__)
        assert "weights" in self._awake, "memory that is not mapped is read or written"
        return [method(self._worker, *args)]

    def reset_prefix_cache(self) -> bool:
        self.calls.append("reset_prefix_cache")
        assert "kv_cache" in self._awake
        return True

    def logprobs(self, context: Sequence[int], tokens: Sequence[int]) -> list[float]:
        assert self._awake == {"weights", "kv_cache"}
        return self._access.logprobs(context, tokens)

    @property
    def weight_bytes(self) -> int:
        return sum(w.nbytes for w in self._weights())

    def _weights(self) -> list[Tensor]:
        return list(self.module.parameters())


def load(worker: Any, tensors: Iterable[tuple[str, Tensor]]) -> None:
    own = dict(worker.model_runner.module.named_parameters())
    with torch.no_grad():
        for name, tensor in tensors:
            own[name].copy_(tensor)


def draw(llm: SleepingEngine, requests: Sequence[Request], *others: Any, **named: Any) -> list[list[Generation]]:
    llm.calls.append("draw")
    return [
        [Generation(TOKENS, tuple(llm.logprobs(request.context, TOKENS)), "length") for _ in request.seeds]
        for request in requests
    ]


def score(llm: SleepingEngine, texts: Sequence[Text], **named: Any) -> list[list[float]]:
    llm.calls.append("score")
    return [llm.logprobs(text.context, text.tokens) for text in texts]


class Trainer(FrozenAccess):
    """The policy, whose forwards are written down too: one after the other once."""

    def __init__(self, loaded: LoadedModel, calls: list[str]) -> None:
        super().__init__(loaded)
        self._calls = calls

    def logprobs(self, context: Sequence[int], tokens: Sequence[int]) -> list[float]:
        if self._calls[-1:] != [BESIDE]:
            self._calls.append(BESIDE)
        return super().logprobs(context, tokens)


class Open:
    """A sampler on such an engine: `model` is the trainer's, `calls` are those after the opening."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, quantised: bool = False) -> None:
        self.model = tiny_loaded()
        self.engine = SleepingEngine(self.model, quantised=quantised)
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: self.engine.calls.append("empty_cache"))
        for name, double in (("load_into_worker", load), ("draw_samples", draw), ("score_texts", score)):
            monkeypatch.setattr(colocated, name, double)
        policy = PerturbedPolicy(Trainer(self.model, self.engine.calls), self.model)
        site = SamplerSite(self.model, "cpu", 64)
        self.sampler = ColocatedSampler(self.engine, site, policy, 0.1, None)
        self.opening = list(self.engine.calls)
        self.engine.calls.clear()
        self.engine.host_bytes = 0

    @property
    def calls(self) -> list[str]:
        return self.engine.calls

    def update(self) -> None:
        with torch.no_grad():
            for weight in self.model.module.parameters():
                weight.mul_(0.9)

    def draws_what_is_trained(self) -> None:
        (drawn,) = self.sampler.generate(REQUESTS, DECODING)
        expected = FrozenAccess(self.model).logprobs(REQUESTS[0].context, TOKENS)
        assert all(list(one.logps) == expected for one in drawn)


def test_weights_are_pushed_into_mapped_memory_and_compared_before_the_cache_takes_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = Open(monkeypatch)
    assert found.opening[-1] == "sleep 2"
    found.update()
    found.sampler.sync(1)
    assert not found.calls, "nothing is awake while the trainer works"
    found.draws_what_is_trained()
    assert found.calls == [BESIDE, *WAKING, "score", "draw", "engine_rows", "sleep 2"]


def test_who_draws_again_without_new_weights_pushes_them_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """As evaluations and refills do: the engine has forgotten them."""
    found = Open(monkeypatch)
    for _ in range(2):
        found.draws_what_is_trained()
    # The trainer's log-probabilities of these weights are known since it opened.
    assert found.calls == 2 * [*WAKING, "score", "draw", "engine_rows", "sleep 2"]


def test_no_weight_goes_through_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    found, keeping = Open(monkeypatch), Open(monkeypatch, quantised=True)
    for one in (found, keeping):
        one.update()
        one.sampler.sync(1)
        one.draws_what_is_trained()
    assert found.engine.host_bytes == 0
    assert keeping.engine.host_bytes == 4 * keeping.engine.weight_bytes, "four copies a step"


def test_weights_that_no_push_replaces_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a quantised engine, which cannot be compared either, and an adapter's base."""
    found = Open(monkeypatch, quantised=True)
    assert found.opening[-1] == "sleep 1"
    found.update()
    found.sampler.sync(1)
    found.draws_what_is_trained()
    renewed = [BESIDE, *WAKING, "score", "sleep 1"]
    assert found.calls == [*renewed, "empty_cache", "wake None", "draw", "engine_rows", "sleep 1"]
    assert colocated.forgets(Open(monkeypatch).engine, None)
    an_adapter: Any = SimpleNamespace()
    assert not colocated.forgets(Open(monkeypatch).engine, an_adapter)


def test_an_update_that_was_not_synced_is_not_drawn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Open(monkeypatch)
    found.sampler.sync(1)
    found.update()
    with pytest.raises(RunFailed, match="have changed after they were last pushed"):
        found.sampler.generate(REQUESTS, DECODING)
    assert not found.calls
    found.sampler.sync(2)
    found.draws_what_is_trained()


def test_a_push_that_goes_wrong_as_the_engine_wakes_is_not_drawn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Open(monkeypatch)
    found.update()
    found.sampler.sync(1)
    monkeypatch.setattr(colocated, "load_into_worker", lambda worker, tensors: load(worker, list(tensors)[1:]))
    with pytest.raises(
        RunFailed, match="after update 1 the engine does not hold the trainer's weights, some are not fin"
    ):
        found.sampler.generate(REQUESTS, DECODING)
    assert "draw" not in found.calls


def test_what_sleep_loses_beside_the_weights_is_seen_before_anything_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors that vLLM derives from weights, say, which no push replaces and no comparison of rows reads."""
    found = Open(monkeypatch)
    found.draws_what_is_trained()
    found.engine.loses_more = True
    found.sampler.generate(REQUESTS, DECODING)
    found.calls.clear()
    with pytest.raises(RunFailed, match="after update 0 the sampler's log-probabilities differ from the trainer's"):
        found.sampler.generate(REQUESTS, DECODING)
    assert "draw" not in found.calls

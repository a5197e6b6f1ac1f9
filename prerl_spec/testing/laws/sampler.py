"""The laws of samplers: samples come from the model's tempered distribution, reproducibly and without side effects."""

from collections.abc import Sequence
from threading import current_thread
from typing import Any

import torch

from prerl_spec.registry.component import Component
from prerl_spec.registry.kinds.model import LoadedModel
from prerl_spec.registry.kinds.sampler import EndedSample, OpenSampler, Sampler, SamplerSite, StreamingSampler
from prerl_spec.testing.laws.together import Laws
from prerl_spec.types import Decoding, Generation, Request

NATS = 1e-3
"""Tolerance between the sampler's log-probability and a plain float32 forward's: other kernels, other summation order."""

_REQUESTS = (Request((1, 2, 3), (11, 12, 13)), Request((4, 5), (21, 22)))


def check_sampler(sampler: Component, model: LoadedModel, *, device: str = "cpu") -> None:
    """Raises AssertionError, with a message, if a sampler breaks a law; samples some 60 tokens from `model`."""
    with Laws(sampler):
        named: Any = sampler
        declared: Sampler = named
        decoding = Decoding(temperature=0.7, max_new_tokens=12)
        mode, state = model.module.training, torch.get_rng_state()
        with declared.open(SamplerSite(model, device, max_length=64)) as opened:
            drawn = _draw(opened, decoding)
            assert _draw(opened, decoding) == drawn, "equal seeds on equal weights yield unequal samples"
            if isinstance(opened, StreamingSampler):
                _check_told(opened, decoding, drawn)
        assert model.module.training is mode, "the sampler changed the module's train mode"
        assert torch.equal(torch.get_rng_state(), state), "the sampler changed the global random generator"
        flat = [g for generations in drawn for g in generations]
        assert len({g.tokens for g in flat}) > 1, "samples of different seeds are all equal"
        for request, generations in zip(_REQUESTS, drawn, strict=True):
            for generation in generations:
                _check_generation(generation, decoding, model)
                _check_logps(request, generation, decoding, model)


def _draw(opened: OpenSampler, decoding: Decoding) -> list[list[Generation]]:
    drawn = opened.generate(_REQUESTS, decoding)
    counts = [len(generations) for generations in drawn]
    assert counts == [3, 2], f"{counts} samples for requests of 3 and 2 seeds"
    return drawn


def _check_told(opened: StreamingSampler, decoding: Decoding, drawn: list[list[Generation]]) -> None:
    told: list[EndedSample] = []
    threads = {current_thread()}

    def ended(samples: Sequence[EndedSample]) -> None:
        threads.add(current_thread())
        told.extend(samples)

    assert opened.stream(_REQUESTS, decoding, ended) == drawn, "stream() and generate() yield unequal samples"
    assert len(threads) == 1, "stream() tells samples in another thread than its caller's"
    places = [(one.request, one.sample) for one in told]
    drawn_places = {(i, k) for i, generations in enumerate(drawn) for k in range(len(generations))}
    assert not set(places) - drawn_places, "stream() tells samples that nobody has asked for"
    assert len(set(places)) == len(places), "stream() tells a sample twice"
    for one in told:
        returned = drawn[one.request][one.sample]
        assert (one.tokens, one.stop) == (returned.tokens, returned.stop), (
            "stream() tells other samples than it returns"
        )


def _check_generation(generation: Generation, decoding: Decoding, model: LoadedModel) -> None:
    size = len(generation.tokens)
    assert len(generation.logps) == size, f"{len(generation.logps)} log-probabilities for {size} tokens"
    ended = bool(generation.tokens) and generation.tokens[-1] in model.codec.eos_ids
    assert (generation.stop == "eos") is ended, f"stop is {generation.stop!r}, which contradicts the last token"
    assert generation.stop != "length" or size == decoding.max_new_tokens, (
        f"stop is 'length' after {size} tokens, not {decoding.max_new_tokens}"
    )


@torch.no_grad()
def _check_logps(request: Request, generation: Generation, decoding: Decoding, model: LoadedModel) -> None:
    ids = torch.tensor([[*request.context, *generation.tokens]])
    module: Any = model.module
    logits = module(input_ids=ids.to(module.device), use_cache=False).logits[0, len(request.context) - 1 : -1].float()
    tempered = (logits / decoding.temperature).log_softmax(-1)
    expected = tempered[torch.arange(len(generation.tokens)), torch.tensor(generation.tokens)]
    gap = float((torch.tensor(generation.logps) - expected.cpu()).abs().max())
    assert gap <= NATS, f"log-probabilities differ by {gap:.1e} nats from those of the tempered distribution"

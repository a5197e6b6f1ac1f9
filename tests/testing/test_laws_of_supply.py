"""The laws of what a run is fed with, data, models and samples: the stock obeys them, and each is seen to fail."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from prerl_components.data.arithmetic_chains import ArithmeticChains
from prerl_components.models.hf_causal import HfCausal
from prerl_components.samplers.transformers import Transformers

from prerl_spec.registry.kinds.model import ModelSite
from prerl_spec.sdk import Decoding, EndedSample, Generation, LoadedModel, Request, SamplerSite
from prerl_spec.testing.laws import check_data, check_model, check_sampler
from prerl_spec.testing.tiny import save_tiny, tiny_loaded


def test_the_stock_obeys(tmp_path: Path) -> None:
    check_data(ArithmeticChains(part="easy"))
    check_model(HfCausal(name=str(save_tiny(tmp_path))), ModelSite(0, "cpu", lambda name: tmp_path))
    check_sampler(Transformers(), tiny_loaded())


class Drifts(ArithmeticChains):
    """The fingerprint stays, the rows do not."""

    def open(self, name: str) -> Any:
        data = super().open(name)
        rows = iter(range(10_000))

        class Drifting:
            rendering = data.rendering
            fingerprint = data.fingerprint

            def __len__(self) -> int:
                return len(data)

            def row(self, index: int) -> Any:
                return data.row(next(rows))

        return Drifting()


def test_data_that_changes_between_openings_is_caught() -> None:
    with pytest.raises(AssertionError, match="row 0 differs when read again"):
        check_data(Drifts())


class Unseeded(HfCausal):
    """Draws from the global generator."""

    def build(self, site: ModelSite) -> LoadedModel:
        loaded = super().build(site)
        next(loaded.module.parameters()).data.normal_()  # torch.nn.init's own may be replaced by transformers'
        return loaded


class HalfWeights(HfCausal):
    """Keeps its weights in bfloat16."""

    def build(self, site: ModelSite) -> LoadedModel:
        loaded = super().build(site)
        loaded.module.bfloat16()
        return loaded


@pytest.mark.parametrize(
    ("broken", "words"),
    [(Unseeded, "changes the global random generator"), (HalfWeights, "trained weights are float32")],
)
def test_a_broken_model_is_caught(broken: type[HfCausal], words: str, tmp_path: Path) -> None:
    site = ModelSite(0, "cpu", lambda name: tmp_path)
    with pytest.raises(AssertionError, match=words):
        check_model(broken(name=str(save_tiny(tmp_path))), site)


class Tampering(Transformers):
    """The stock sampler, with something done to what it draws."""

    def open(self, site: SamplerSite) -> Any:
        @contextmanager
        def opened() -> Iterator[Any]:
            with super(Tampering, self).open(site) as honest:
                yield self.as_opened(honest, site)

        return opened()

    def as_opened(self, honest: Any, site: SamplerSite) -> Any:
        return Tampered(honest, site)


class Tampered:
    """What `Tampering` opens; `how` is set by each test."""

    how: Callable[[Any, SamplerSite, Sequence[Request], Decoding], list[list[Generation]]]

    def __init__(self, honest: Any, site: SamplerSite) -> None:
        self.honest, self.site = honest, site

    def generate(self, requests: Sequence[Request], decoding: Decoding, progress: Any = None) -> list[list[Generation]]:
        return type(self).how(self.honest, self.site, requests, decoding)


def raw_logps(honest: Any, site: SamplerSite, requests: Sequence[Request], decoding: Decoding) -> Any:
    """Log-probabilities of the distribution before the temperature."""
    drawn = honest.generate(requests, decoding)
    return [[replace(g, logps=tuple(p * decoding.temperature for p in g.logps)) for g in group] for group in drawn]


def one_seed(honest: Any, site: SamplerSite, requests: Sequence[Request], decoding: Decoding) -> Any:
    """Every sample from the same seed, and the same context."""
    return honest.generate([Request(requests[0].context, (1,) * len(r.seeds)) for r in requests], decoding)


def no_seed(honest: Any, site: SamplerSite, requests: Sequence[Request], decoding: Decoding) -> Any:
    """The seeds come from the global generator."""
    shift = int(torch.randint(1 << 30, ()))
    return honest.generate([Request(r.context, tuple(s + shift for s in r.seeds)) for r in requests], decoding)


def too_few(honest: Any, site: SamplerSite, requests: Sequence[Request], decoding: Decoding) -> Any:
    """Loses a request's last sample."""
    return [group[:-1] for group in honest.generate(requests, decoding)]


def evaluating(honest: Any, site: SamplerSite, requests: Sequence[Request], decoding: Decoding) -> Any:
    """Leaves dropout off."""
    site.model.module.eval()
    return honest.generate(requests, decoding)


Ended = Callable[[Sequence[EndedSample]], None]


class Teller(Tampered):
    """Draws as it should; `tells(drawn, ended)` is set by each test."""

    tells: Callable[[list[list[Generation]], Ended], None]

    def generate(self, requests: Sequence[Request], decoding: Decoding, progress: Any = None) -> list[list[Generation]]:
        return self.honest.generate(requests, decoding)

    def stream(
        self, requests: Sequence[Request], decoding: Decoding, ended: Ended, progress: Any = None
    ) -> list[list[Generation]]:
        drawn = self.generate(requests, decoding)
        type(self).tells(drawn, ended)
        return drawn

    def sync(self, version: int) -> None: ...


class Telling(Tampering):
    """Tells what it should not."""

    def as_opened(self, honest: Any, site: SamplerSite) -> Any:
        return Teller(honest, site)


def first_of(drawn: list[list[Generation]]) -> EndedSample:
    return EndedSample(0, 0, drawn[0][0].tokens, drawn[0][0].stop)


def in_a_thread(drawn: list[list[Generation]], ended: Ended) -> None:
    with ThreadPoolExecutor(1) as threads:
        threads.submit(ended, [first_of(drawn)]).result()


@pytest.mark.parametrize(
    ("tells", "words"),
    [
        (lambda drawn, ended: ended([first_of(drawn)] * 2), "tells a sample twice"),
        (lambda drawn, ended: ended([first_of(drawn)._replace(request=2)]), "tells samples that nobody has asked for"),
        (lambda drawn, ended: ended([first_of(drawn)._replace(sample=-3)]), "tells samples that nobody has asked for"),
        (lambda drawn, ended: ended([first_of(drawn)._replace(tokens=(1,))]), "tells other samples than it returns"),
        (in_a_thread, "tells samples in another thread than its caller's"),
    ],
)
def test_a_sampler_that_tells_what_it_must_not_is_caught(
    tells: Any, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Teller, "tells", staticmethod(tells), raising=False)
    with pytest.raises(AssertionError, match=words):
        check_sampler(Telling(), tiny_loaded())


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (raw_logps, "nats from those of the tempered distribution"),
        (one_seed, "samples of different seeds are all equal"),
        (no_seed, "equal seeds on equal weights yield unequal samples"),
        (too_few, "samples for requests of 3 and 2 seeds"),
        (evaluating, "changed the module's train mode"),
    ],
)
def test_a_broken_sampler_is_caught(how: Any, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tampered, "how", staticmethod(how), raising=False)
    with pytest.raises(AssertionError, match=words):
        check_sampler(Tampering(), tiny_loaded())

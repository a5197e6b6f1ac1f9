"""A real site for evaluators: a tiny model, the embedded sampler, verdicts from the verifier itself."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from prerl_components.samplers.transformers import Transformers

from prerl_spec.engine.policy import continuation_logps
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.weights import weights_hash
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.run.evaluation_site import EvaluationPoint, EvaluationSetup, build_site
from prerl_spec.engine.run.position import Position
from prerl_spec.engine.run.shared_calls import SharedCalls
from prerl_spec.registry.component import Component
from prerl_spec.registry.kinds.data import DataSet
from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.registry.kinds.sampler import OpenSampler, SamplerSite
from prerl_spec.testing.tiny import Shape, tiny_loaded
from prerl_spec.types import Decoding, Generation, Outcome, Rendering, Request, Verdict

GREEDY = Decoding(temperature=0.0, max_new_tokens=12)
SAMPLED = Decoding(max_new_tokens=12)


class EvenLength(Component):
    """Right where the response has an even number of characters: about every second answer of a random model."""

    kind: ClassVar[Literal["verifier"]] = "verifier"

    def judge(self, response: str, gold: str) -> Verdict:
        even = len(response) % 2 == 0
        return Verdict(Outcome.RIGHT, 1.0) if even else Verdict(Outcome.WRONG, 0.0)

    def check_gold(self, gold: str) -> str | None:
        return "it is unfit" if gold == "unfit" else None


class Speechless(EvenLength):
    """Never comes to a verdict."""

    def judge(self, response: str, gold: str) -> Verdict:
        return Verdict(Outcome.TIMEOUT, None, detail="still thinking")


class Busy(EvenLength):
    """Is kept busy by every second kind of response, as the engine would find."""

    def judge(self, response: str, gold: str) -> Verdict:
        even = len(response) % 2 == 0
        return Verdict(Outcome.RIGHT, 1.0) if even else Verdict(Outcome.TIMEOUT, None, by_answer=True)


@dataclass
class Heard:
    """A sampler that notes what it is asked, and then draws."""

    sampler: OpenSampler
    requests: list[Request] = field(default_factory=list)
    decodings: list[Decoding] = field(default_factory=list)

    def generate(self, requests: Sequence[Request], decoding: Decoding, progress: Any = None) -> list[list[Generation]]:
        self.requests += requests
        self.decodings.append(decoding)
        return self.sampler.generate(requests, decoding, progress)

    def sync(self, version: int) -> None:
        self.sampler.sync(version)


@dataclass(frozen=True)
class Scene:
    """The site, what its sampler was asked, and the policy behind it."""

    site: EvaluationSite
    heard: Heard
    policy: Policy
    ticks: list[tuple[str, int, int]]


def invariant_logps(scene: Scene) -> list[tuple[float, bool]]:
    """Of 30 pairs of very unequal lengths in batches of some three, scored by whatever processes there are."""
    ranks = Ranks.start(invariant=True)
    texts = np.random.default_rng(5)
    pairs = [
        (tuple(texts.integers(0, 250, 1 + 5 * (i % 7)).tolist()), tuple(texts.integers(0, 250, i % 4).tolist()))
        for i in range(30)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(continuation_logps, "TOKENS_PER_FORWARD", 96)
        calls = SharedCalls(scene.policy, scene.heard, ranks, judge, lambda *_: None, check_golds=check_golds)
        return calls.continuation_logps(pairs)


def check_golds(verifier: Any, golds: Sequence[str], progress: Any = None) -> list[str | None]:
    """The verifier's own check, in this process."""
    return [verifier.check_gold(gold) for gold in golds]


def judge(verifier: Any, evidence: Sequence[tuple[str, str, bool]]) -> list[Verdict]:
    """The verifier in this process; a truncated response is judged as any other, unlike in a run."""
    return [verifier.judge(response, gold) for response, gold, _ in evidence]


@cache
def opened(shape: Shape, chat: bool) -> tuple[Ranks, Policy, OpenSampler]:
    """Opened once for all tests: an evaluation leaves no trace in any of them, which is tested."""
    loaded = tiny_loaded(shape, chat=chat)
    ranks = Ranks.start()
    policy = Policy(loaded, ranks.device)
    site = SamplerSite(loaded, str(ranks.device), policy.max_length)
    return ranks, policy, _UNTIL_THE_END.enter_context(Transformers().open(site))


_UNTIL_THE_END = ExitStack()


@contextmanager
def tiny_scene(
    folder: Path,
    *,
    shape: Shape = "qwen3",
    chat: bool = False,
    decoding: Decoding = SAMPLED,
    rendering: Rendering | None = None,
    verifier: Component | None = None,
    data: Mapping[str, DataSet] | None = None,
    seed: int = 0,
) -> Iterator[Scene]:
    """A site on this rank; `seed` is that of the responses. At the end the policy and the global random numbers must be
    as they were."""
    ranks, policy, sampler = opened(shape, chat)
    before = state_of(policy)
    ticks: list[tuple[str, int, int]] = []
    heard = Heard(sampler)
    site = build_site(
        SharedCalls(policy, heard, ranks, judge, lambda *told: ticks.append(told), check_golds=check_golds),
        EvaluationSetup(folder, seed, rendering if rendering is not None else Rendering(), data or {}),
        EvaluationPoint("base", Position(), decoding, verifier if verifier is not None else EvenLength()),
    )
    yield Scene(site, heard, policy, ticks)
    assert state_of(policy) == before


def state_of(policy: Policy) -> tuple[Any, ...]:
    """Weights, modes, gradients, and the global generators of python, numpy and torch."""
    numpy = np.random.get_state(legacy=False)["state"]
    module = policy.module
    return (
        weights_hash(module),
        [part.training for part in module.modules()],
        [parameter.grad for parameter in module.parameters()],
        random.getstate(),
        (numpy["key"].tolist(), numpy["pos"]),
        torch.random.get_rng_state().tolist(),
    )


def write_rows(file: Path, num_rows: int = 6, **columns: str) -> Path:
    """A benchmark of sums."""
    rows = [{"problem": f"What is {i} + {i}?", "answer": str(2 * i), **columns} for i in range(num_rows)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def samples_of(site: EvaluationSite, task: str) -> list[dict[str, Any]]:
    """The responses that were written down for people."""
    file = site.folder / "samples" / f"base-000000-{task}.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]

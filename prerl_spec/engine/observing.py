"""Vectors of a step that carry no gradient (old, reference, sampler), made once, before the first update, and only for the
samples that turn out to be trained on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import torch

from prerl_spec.engine.packing import pack_shares
from prerl_spec.engine.policy import Policy
from prerl_spec.engine.ranks import Ranks
from prerl_spec.engine.reference import Reference
from prerl_spec.engine.scoring import Scoring
from prerl_spec.types import Array, Need, Step, View


@dataclass
class Observed:
    """The step-wide vectors [N] of each Need without gradient, NaN where nothing was asked yet."""

    step: Step
    policy: Policy
    ranks: Ranks
    reference: Reference | None
    tokens_per_pass: int
    _known: dict[Need, Array] = field(default_factory=dict)

    def observe(self, wanted: Mapping[Need, Iterable[int]]) -> None:
        """Makes each vector for its samples of the step; asks for nothing twice, and for one forward where two vectors
        can share it."""
        for (_, of), together in _by_forward(wanted).items():
            known = [self._known.setdefault(n, np.full(self.step.tokens.num_tokens, np.nan)) for n in together]
            samples = sorted(set[int]().union(*(wanted[n] for n in together)))
            missing = [s for s in samples if any(np.isnan(k[_span(self.step, s)]).any() for k in known)]
            if not missing:
                continue
            if of == "sampler":
                self._from_sampler(known[0], missing)
            else:
                self._forward(together, known, missing)

    def part(self, first_sample: int, minibatch: Step, needs: Iterable[Need]) -> "Slice":
        """The view of a minibatch that begins at a sample: what `credit` and `terms` of that update may read."""
        return Slice(self, first_sample, minibatch, tuple(needs))

    def vector(self, need: Need) -> Array:
        return self._known[need]

    def _from_sampler(self, known: Array, samples: Sequence[int]) -> None:
        for sample in samples:
            logps = [p for s in self.step.samples[sample].segments if s.trained for p in (s.logps or ())]
            known[_span(self.step, sample)] = logps

    def _forward(self, needs: Sequence[Need], known: Sequence[Array], samples: Sequence[int]) -> None:
        """Fills the vectors `known` of Needs that share a view and weights: one forward."""
        view, of = needs[0].view, needs[0].of
        shares = pack_shares(
            self.step,
            {view: samples},
            self.policy.codec,
            self.ranks.division,
            tokens_per_pass=self.tokens_per_pass,
            alone=not self.policy.packs,
        )
        found = torch.zeros(len(needs), self.step.tokens.num_tokens, dtype=torch.float64, device=self.policy.device)
        with torch.no_grad(), self._weights(of) as scoring:
            for one in chain.from_iterable(shares.values()):
                if one.samples or self.policy.is_sharded:
                    vectors = self.policy.logprobs(
                        one, needs, temperature=self.step.temperature, of=of, scoring=scoring
                    )
                    where = torch.from_numpy(one.index_N).to(found.device)
                    for row, need in enumerate(needs):
                        found[row, where] = vectors[need].double()
        whole = self.ranks.sum(found).cpu().numpy()
        for row, vector in enumerate(known):
            for sample in samples:
                vector[_span(self.step, sample)] = whole[row, _span(self.step, sample)]

    def _weights(self, of: str) -> AbstractContextManager[Scoring | None]:
        """What scores instead of the policy (None: the policy itself)."""
        if of != "reference":
            return nullcontext()
        assert self.reference is not None, "the compiler makes a reference where a term needs one"
        return self.reference.scoring()


@dataclass(frozen=True)
class Slice(Mapping[Need, Array]):
    """A minibatch's part of what was observed. Reading a Need makes it for every sample of the minibatch: a credit rule
    that reads log-probabilities pays for them, one that does not costs nothing."""

    observed: Observed
    first_sample: int
    minibatch: Step
    needs: tuple[Need, ...]

    def __getitem__(self, need: Need) -> Array:
        if need not in self.needs:
            raise KeyError(need)
        samples = range(self.first_sample, self.first_sample + len(self.minibatch.samples))
        self.observed.observe(dict.fromkeys(_by_forward(self.needs)[need.view, need.of], samples))
        return self.made(need)

    def made(self, need: Need) -> Array:
        """The vector as far as it has been made."""
        start = int(self.observed.step.tokens.length_S[: self.first_sample].sum())
        return self.observed.vector(need)[start : start + self.minibatch.tokens.num_tokens]

    def __iter__(self) -> Iterator[Need]:
        return iter(self.needs)

    def __len__(self) -> int:
        return len(self.needs)


def _by_forward(needs: Iterable[Need]) -> dict[tuple[View, str], list[Need]]:
    """Needs that one forward makes: the log-probabilities and the entropies of one view through the same weights."""
    found: dict[tuple[View, str], list[Need]] = {}
    for need in needs:
        found.setdefault((need.view, need.of), []).append(need)
    return found


def _span(step: Step, sample: int) -> slice:
    ends = step.token_ends
    return slice(int(ends[sample]) - int(step.tokens.length_S[sample]), int(ends[sample]))

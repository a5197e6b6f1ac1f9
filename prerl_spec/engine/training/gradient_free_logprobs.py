"""Old-policy, reference, teacher and sampler log-probabilities of a batch, computed under no_grad before its first update."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np

from prerl_spec.engine.policy.batch_logprobs import batch_logprobs
from prerl_spec.engine.policy.forward import Scoring
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.reference import Reference
from prerl_spec.engine.policy.teachers import Teachers
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.needs import Need, Teacher, View
from prerl_spec.types import Array, Step


@dataclass(frozen=True)
class GradientFree:
    """Batch-wide vectors [N] in nats, one for each Need without gradient; NaN for tokens that are not computed yet.

    Only `compute` runs forwards. `read` runs none, so ranks that read different vectors cannot deadlock.
    """

    batch: Step
    policy: Policy
    ranks: Ranks
    reference: Reference | None
    tokens_per_pass: int
    teachers: Teachers = field(default_factory=Teachers)
    _vectors: dict[Need, Array] = field(default_factory=dict)

    def compute(self, wanted: Mapping[Need, Iterable[int]]) -> None:
        """Computes each vector for the samples wanted of it, none twice; vectors of one view and one model share a
        forward. A collective call."""
        for (_, of), together in _by_forward(wanted).items():
            vectors = [self._vectors.setdefault(n, np.full(self.batch.tokens.num_tokens, np.nan)) for n in together]
            samples = sorted(set[int]().union(*(wanted[n] for n in together)))
            missing = [s for s in samples if any(np.isnan(v[self._span(s)]).any() for v in vectors)]
            if not missing:
                continue
            if of == "sampler":
                self._from_sampler(vectors[0], missing)
            else:
                self._by_scoring(together, vectors, missing)

    def read(self, needs: Iterable[Need], samples: range) -> dict[Need, Array]:
        """The vectors of consecutive samples; NaN for tokens that are not computed."""
        start = int(self.batch.tokens.length_S[: samples.start].sum())
        end = start + int(self.batch.tokens.length_S[samples.start : samples.stop].sum())
        return {need: self._vectors[need][start:end] for need in needs}

    def whole(self, needs: Sequence[Need]) -> Array | None:
        """The vectors [len(needs), N] of all samples, if all of them are computed."""
        found = [self._vectors[need] for need in needs if need in self._vectors]
        return np.stack(found) if len(found) == len(needs) and not np.isnan(found).any() else None

    def _from_sampler(self, vector: Array, samples: Sequence[int]) -> None:
        for sample in samples:
            segments = self.batch.samples[sample].segments
            vector[self._span(sample)] = [p for s in segments if s.trained for p in (s.logps or ())]

    def _by_scoring(self, needs: Sequence[Need], vectors: Sequence[Array], samples: Sequence[int]) -> None:
        """Runs one forward: the needs share a view and a model."""
        of = needs[0].of
        with self._model(of) as scoring:
            found = batch_logprobs(
                self.batch,
                samples,
                needs,
                self.teachers.of(of) if isinstance(of, Teacher) else self.policy,
                self.ranks,
                tokens_per_pass=self.tokens_per_pass,
                of=str(of),
                scoring=scoring,
            )
        for vector, values in zip(vectors, found, strict=True):
            for sample in samples:
                vector[self._span(sample)] = values[self._span(sample)]

    def _model(self, of: str | Teacher) -> AbstractContextManager[Scoring | None]:
        """The reference, which scores in place of the policy's own weights (None: those, or a teacher's)."""
        if of != "reference":
            return nullcontext()
        assert self.reference is not None, "the compiler declares a reference model wherever a term needs one"
        return self.reference.scoring()

    def _span(self, sample: int) -> slice:
        end = int(self.batch.token_ends[sample])
        return slice(end - int(self.batch.tokens.length_S[sample]), end)


def _by_forward(needs: Iterable[Need]) -> dict[tuple[View, str | Teacher], list[Need]]:
    """Groups needs by forward: log-probabilities and entropies of the same view under the same model."""
    found: dict[tuple[View, str | Teacher], list[Need]] = {}
    for need in needs:
        found.setdefault((need.view, need.of), []).append(need)
    return found

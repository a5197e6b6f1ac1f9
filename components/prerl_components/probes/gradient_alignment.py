"""How far raising log P(y) raises log P(y|x): gradients of both, response by response, and what the update did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from prerl_components.probes.likelihoods import LogLikelihood, RewardedLikelihood
from prerl_spec.sdk import (
    AroundUpdate,
    Array,
    Conditional,
    GradientView,
    Marginal,
    Need,
    Objective,
    ProbeNeed,
    ProbeSite,
    Step,
)

Dots = Mapping[str, float]
"""Layer -> an inner product."""


class Pair(NamedTuple):
    """⟨g, g'⟩, ⟨g, g⟩ and ⟨g', g'⟩ by layer, of g = ∇log P(y) and g' = ∇log P(y|x)."""

    dot: Dots
    free: Dots
    given: Dots

    @classmethod
    def of(cls, free: GradientView, given: GradientView) -> Pair:
        return cls(free.dots(given), free.dots(free), given.dots(given))

    def summed(self, layers: Sequence[str]) -> tuple[float, float | None]:
        """(dot, cosine) over these layers; no cosine where a gradient is 0."""
        dot, free, given = (sum(of[layer] for layer in layers) for of in self)
        return dot, dot / (free * given) ** 0.5 if free * given > 0 else None


class Seen(NamedTuple):
    """What was seen before the update: the responses looked at, whether each is right, their pairs, log P(y|x) and
    log P(y) [N], and the pair of the whole batch."""

    samples: list[int]
    right: list[bool]
    pairs: list[Pair]
    given_N: Array
    free_N: Array
    batch: Pair | None


class GradientAlignment(AroundUpdate):
    """Alignment of ∇log P(y) with ∇log P(y|x) on a step's responses, before its update (arXiv:2604.14142).

    To first order, log P_θ'(y|x) ≈ log P_θ(y|x) + η·R·⟨∇log P_θ(y), ∇log P_θ(y|x)⟩ (eq. 4): where the inner product is
    positive, training on log P(y) moves log P(y|x) the same way. Metrics, means over the responses looked at, each with
    `_right` and `_wrong` for those alone (half of each where the step has them):

    - `dot`, `dot_min`, `dot_max`, `cosine`, and `negative`, the share with dot < 0; with `_embeddings`, `_blocks_1` … and
      `_head` over those layers alone
    - `delta_logp`: |Δ log P(y|x)| of the step's updates, nats per token; `change`: the same with its sign
    - `logp_gap`: |log π(y_t|x) − log π(y_t|b)|, nats, mean over tokens
    - `batch_dot`, `batch_cosine`: of Σ A ∇log P(y) and Σ A ∇log P(y|x) over the whole step, A = r − mean_group(r)

    The full text of the paper was not available to us. Its mean |Δ log p| of 0.16 is either the change that eq. 4 is about
    (`delta_logp`) or the difference of the two log-probabilities (`logp_gap`), whose size it has. Its inner product of 9.23 at
    a cosine of 0.44 means gradients of norm 4.6: the size of those of log P divided by its length, the default here.
    """

    gradients_held: ClassVar[int] = 2
    metric_names = ("gradient_alignment_*",)

    every: int = Field(10, ge=1, description="steps between measurements")
    samples: int = Field(8, ge=1, description="responses looked at, half of them right where the step has enough")
    prefix: str = Field(
        "auto",
        min_length=1,
        description='prefix b that replaces the question: a text, or "auto": the first special token of the chat '
        "template, else BOS, else EOS",
    )
    length: Literal["mean", "sum"] = Field("mean", description="gradients of log P divided by the length, or of log P")
    batch: Literal["on", "off"] = Field(
        "on", description="whether the gradients of the whole step are compared as well"
    )
    bands: int = Field(4, ge=1, description="groups of successive decoder layers, `blocks_1` the first")

    def needs(self, objective: Objective, num_samples: int) -> tuple[ProbeNeed, ...]:
        """Two gradients of each response looked at, and of the whole step; log P(y|x) before and after, log P(y) before."""
        given, free = Need(Conditional()), Need(self._free)
        looked_at = min(self.samples, num_samples)
        differentiated = looked_at + (num_samples if self.batch == "on" else 0)
        return (
            ProbeNeed(given, differentiated, gradient=True),
            ProbeNeed(free, differentiated, gradient=True),
            ProbeNeed(given, 2 * looked_at),
            ProbeNeed(free, looked_at),
        )

    def before(self, site: ProbeSite) -> Seen:
        chosen, right = balanced(site.step, self.samples)
        pairs = [
            Pair.of(*(site.gradient(LogLikelihood(view=view, length=self.length), [s]) for view in self._views))
            for s in chosen
        ]
        free_N, given_N = (site.log_probs(Need(view), chosen) for view in self._views)
        batch = None
        if self.batch == "on":
            batch = Pair.of(*(site.gradient(RewardedLikelihood(view=view)) for view in self._views))
        return Seen(chosen, right, pairs, given_N, free_N, batch)

    def after(self, site: ProbeSite, state: Seen) -> Mapping[str, float]:
        if not state.samples:
            return {}
        moved_N = site.log_probs(Need(Conditional()), state.samples) - state.given_N
        sample_N = site.step.tokens.sample_N
        change = [float(moved_N[sample_N == s].mean()) for s in state.samples]
        gap = [float(np.abs(state.given_N - state.free_N)[sample_N == s].mean()) for s in state.samples]
        found: dict[str, float] = {}
        for which, among in (("", [True, False]), ("_right", [True]), ("_wrong", [False])):
            mine = [i for i, right in enumerate(state.right) if right in among]
            if not mine:
                continue
            found |= aligned([state.pairs[i] for i in mine], self.bands, which)
            found[f"delta_logp{which}"] = float(np.mean([abs(change[i]) for i in mine]))
            found[f"change{which}"] = float(np.mean([change[i] for i in mine]))
            found[f"logp_gap{which}"] = float(np.mean([gap[i] for i in mine]))
        if state.batch is not None:
            dot, cosine = state.batch.summed(list(state.batch.dot))
            found |= {"batch_dot": dot} if cosine is None else {"batch_dot": dot, "batch_cosine": cosine}
        return {f"gradient_alignment_{name}": value for name, value in found.items()}

    @property
    def _free(self) -> Marginal:
        return Marginal(prefix=self.prefix)

    @property
    def _views(self) -> tuple[Marginal, Conditional]:
        return self._free, Conditional()


def balanced(step: Step, num_samples: int) -> tuple[list[int], list[bool]]:
    """Scored responses of a step, spread over its groups, and whether each is right: half of them where there are enough."""
    scored = [i for i, a in enumerate(step.samples) if a.reward is not None and a.num_trained]
    right = [i for i in scored if (v := step.samples[i].verdict) is not None and v.outcome == "right"]
    wrong = [i for i in scored if i not in right]
    num_right = min(len(right), max((num_samples + 1) // 2, num_samples - len(wrong)))
    chosen = sorted([*_spread(right, num_right), *_spread(wrong, num_samples - num_right)])
    return chosen, [i in right for i in chosen]


def _spread(items: Sequence[int], count: int) -> list[int]:
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[i] for i in places]


def aligned(pairs: Sequence[Pair], bands: int, which: str) -> dict[str, float]:
    """Means over responses of dot, share negative and cosine (of those with gradients), named `dot_right` for `_right`; for
    all responses (`which` is empty) also by layer group."""
    layers = list(pairs[0].dot)
    groups = {"": layers}
    if not which:
        groups |= {f"_{name}": inside for name, inside in layer_groups(layers, bands).items()}
    found: dict[str, float] = {}
    for name, inside in groups.items():
        summed = [pair.summed(inside) for pair in pairs]
        dots, cosines = [dot for dot, _ in summed], [cosine for _, cosine in summed if cosine is not None]
        found[f"dot{which}{name}"] = float(np.mean(dots))
        found[f"negative{which}{name}"] = float(np.mean([dot < 0 for dot in dots]))
        if cosines:
            found[f"cosine{which}{name}"] = float(np.mean(cosines))
        if not name:
            found |= {f"dot_min{which}": min(dots), f"dot_max{which}": max(dots)}
    return found


def layer_groups(layers: Sequence[str], bands: int) -> dict[str, list[str]]:
    """ "embeddings", "blocks_1" … and "head", as far as the model trains them: decoder layers in bands of even size."""
    blocks = [layer for layer in layers if layer.startswith("layer_")]
    split = np.array_split(np.arange(len(blocks)), min(bands, max(1, len(blocks))))
    found = {f"blocks_{n}": [blocks[i] for i in band] for n, band in enumerate(split, 1) if len(band)}
    return found | {layer: [layer] for layer in layers if layer not in blocks}

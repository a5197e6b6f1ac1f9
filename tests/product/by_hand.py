"""Loss and gradient of a combination's updates, assembled by hand from the same parts: loops over samples and tokens.

Nothing of the engine and of `Point`: a padded batch through the model in place of packed rows, one sample at a time
through surrogate and correction, and denominators counted token by token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prerl_spec.engine.policy.policy import Policy
from prerl_spec.needs import Need, View
from prerl_spec.registry.component_state import first_batch
from prerl_spec.types import Array, Step
from prerl_spec.views import Conditional
from tests.product.axes import SIGNS, Combination

CONDITIONAL = Conditional()


def scored(policy: Policy, step: Step, view: View, samples: Sequence[int]) -> tuple[list[Tensor], list[Tensor]]:
    """Log-probabilities and entropies of the tokens of these samples behind the view's context, with the model's graph."""
    owners = [group for group in step.groups for _ in group.attempts]
    rows = []
    for s in samples:
        layout = view.lay(owners[s].prompt, step.samples[s], policy.codec)
        rows.append((list(layout.context), list(step.samples[s].tokens)))
    longest = max(len(context) + len(response) for context, response in rows)
    ids = torch.tensor([[*c, *r, *[0] * (longest - len(c) - len(r))] for c, r in rows])
    mask = torch.tensor([[1] * (len(c) + len(r)) + [0] * (longest - len(c) - len(r)) for c, r in rows])
    logits = policy.module(input_ids=ids, attention_mask=mask).logits
    logps, entropies = [], []
    for row, (behind, response) in enumerate(rows):
        first = len(behind) - 1
        of_row = torch.log_softmax(logits[row, first : first + len(response)], -1)
        logps.append(of_row[torch.arange(len(response)), torch.tensor(response, dtype=torch.long)])
        entropies.append(-(of_row.exp() * of_row).sum(-1))
    return logps, entropies


@dataclass(frozen=True)
class Assembled:
    """A combination and a step, with what was known of the policy before its first update."""

    combination: Combination
    step: Step
    old: Mapping[View, list[Tensor]]
    old_entropy: Mapping[View, list[Tensor]]

    @classmethod
    def of(cls, combination: Combination, step: Step, policy: Policy) -> "Assembled":
        views: set[View] = {combination.objective().point().view, CONDITIONAL}
        with torch.no_grad():
            found = {view: scored(policy, step, view, range(len(step.samples))) for view in views}
        return cls(combination, step, {v: f[0] for v, f in found.items()}, {v: f[1] for v, f in found.items()})

    def weights(self) -> tuple[list[list[float]], list[list[list[float]]]]:
        """Advantage of each token of each sample, and its weight in each update."""
        point, step = self.combination.objective().point(), self.step
        positive, negative = SIGNS[self.combination.sign]
        lengths = [len(a.tokens) for a in step.samples]
        found = point.advantage.advantage(first_batch(point.advantage, step, self._read)).tolist()
        earned = (
            self._by_sample(found)
            if point.advantage.per == "token"
            else [[found[s]] * n for s, n in enumerate(lengths)]
        )
        advantage = [[a * (positive if a > 0 else negative) for a in row] for row in earned]
        counted = [
            [step.samples[s].reward is not None and self._is_trained(a) for a in row] for s, row in enumerate(earned)
        ]
        kept = [list(row) for row in counted]
        for selection in point.selection:
            ranked = [
                a if c else 0.0 for s in range(len(lengths)) for a, c in zip(advantage[s], counted[s], strict=True)
            ]
            keeps = self._by_sample(selection.keep(first_batch(selection, step, self._read), np.array(ranked)).tolist())
            for s, row in enumerate(keeps):
                for t, keep in enumerate(row):
                    kept[s][t] = kept[s][t] and keep
                    if not selection.in_denominator:
                        counted[s][t] = counted[s][t] and keep
        updates = []
        for samples in self.updates():
            per_token = self._per_token([counted[s] if s in samples else [] for s in range(len(lengths))])
            updates.append(
                [
                    [
                        per_token[s] if s in samples and kept[s][t] and advantage[s][t] != 0 else 0.0
                        for t in range(lengths[s])
                    ]
                    for s in range(len(lengths))
                ]
            )
        return advantage, updates

    def updates(self) -> list[range]:
        """The samples of each update: equally many groups."""
        sizes = [len(group.attempts) for group in self.step.groups]
        half = len(sizes) // self.combination.updates
        ends = [sum(sizes[: half * (u + 1)]) for u in range(self.combination.updates)]
        return [range(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]

    def loss(self, update: int, policy: Policy) -> Tensor | None:
        """The loss of an update under the policy as it is now, with its graph; None if no token has a weight."""
        point = self.combination.objective().point()
        advantage, weights = self.weights()
        weight = weights[update]
        samples = [s for s in self.updates()[update] if any(weight[s])]
        if not samples:
            return None
        current = dict(zip(samples, scored(policy, self.step, point.view, samples)[0], strict=True))
        loss = torch.zeros(())
        for s in samples:
            tokens, _ = self.step.tokens.of_samples([s])
            advantage_n = torch.tensor(advantage[s])
            old_n = self.old[point.view][s] if point.surrogate.uses_ratio else current[s].detach()
            loss_n = point.surrogate.loss(current[s], old_n, advantage_n, tokens, {})
            if point.correction is not None:
                sampler_n = torch.tensor(self.step.samples[s].segments[0].logps)
                loss_n = loss_n * point.correction.weight(self.old[CONDITIONAL][s], sampler_n, advantage_n, tokens)
            for t, w in enumerate(weight[s]):
                if w != 0.0:
                    loss = loss + w * loss_n[t]
        return loss

    def _is_trained(self, advantage: float) -> bool:
        if self.combination.sign == "both":
            return True
        return advantage > 0 if self.combination.sign == "positive" else advantage < 0

    def _per_token(self, counted: Sequence[Sequence[bool]]) -> list[float]:
        """For each sample, the weight of one of its tokens."""
        num_tokens = sum(map(sum, counted))
        num_samples = sum(any(row) for row in counted)
        if self.combination.aggregation == "token_mean":
            return [1 / num_tokens if num_tokens else 0.0] * len(counted)
        if self.combination.aggregation == "sequence_mean":
            return [1 / (num_samples * sum(row)) if any(row) else 0.0 for row in counted]
        return [1 / (num_samples * self.step.max_new_tokens) if num_samples else 0.0] * len(counted)

    def _read(self, needs: Any) -> dict[Need, Array]:
        found = {}
        for need in needs:
            assert need.of == "old"
            rows = (self.old_entropy if need.entropy else self.old)[need.view]
            found[need] = torch.cat(rows).double().numpy()
        return found

    def _by_sample(self, values: Sequence[Any]) -> list[list[Any]]:
        left = iter(values)
        return [[next(left) for _ in attempt.tokens] for attempt in self.step.samples]

"""Training written out a second time, as plainly as it goes: one sample at a time, in float64, with nothing of the engine.

The model is the transformers module itself, without packing, padding, tiles or a cache; the optimizer and the clipping of
gradients are torch's. Objectives are loops over samples and tokens, and rewards are fractions, so that "the mean of the
group" is exact. What is left out: ranks, adapters, 16-bit compute.
"""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from prerl_spec.testing.tiny import byte_tokenizer
from prerl_spec.types import Attempt, Group, Outcome, Step

TOKENIZER = byte_tokenizer()


@dataclass(frozen=True)
class Term:
    """One objective of a sum. A default is the value that its documentation names; None: it depends on the objective."""

    use: str
    coefficient: float = 1.0
    aggregation: str | None = None
    advantage: str | None = None
    center: str = "none"
    prefix: str = "auto"
    clip_low: float = 0.2
    clip_high: float = 0.2
    dual_clip: float | None = None
    importance: str = "off"
    importance_cap: float = 2.0
    unparsable: str = "wrong"
    estimator: str = "k3"

    @property
    def sees_question(self) -> bool:
        return not self.use.startswith("marginal")

    @property
    def has_ratio(self) -> bool:
        return self.use == "grpo" or self.use.startswith("marginal")


@dataclass
class Update:
    """What one optimizer step was made of: its loss, its gradient before clipping, and how many tokens a clip acted on."""

    loss: float = 0.0
    magnitude: float = 0.0
    """Σ |weight × term|: what the loss's digits are lost against."""
    gradient: dict[str, Tensor] = field(default_factory=dict)
    applied: dict[str, Tensor] = field(default_factory=dict)
    """The gradient after clipping."""
    num_clipped: int = 0
    largest_log_ratio: float = 0.0


@dataclass
class Training:
    """A step's updates and the counts that a report shows. An update without any weight does not appear."""

    updates: list[Update] = field(default_factory=list)
    trained_tokens: int = 0
    groups_with_signal: int = 0

    @property
    def loss(self) -> float:
        return sum(u.loss for u in self.updates) / max(1, len(self.updates))


@dataclass
class Scorer:
    """A model at one moment; remembers what it was asked, so that a sample goes forward once per context."""

    module: Any
    temperature: float
    found: dict[tuple[int, bool, str], tuple[Tensor, Tensor]] = field(default_factory=dict)

    def __call__(self, term: Term, group: Group, attempt: Attempt) -> tuple[Tensor, Tensor]:
        """[T] log-probabilities of the attempt's trained tokens, and [T] entropies of the distributions they come from."""
        key = (id(attempt), term.sees_question, "" if term.sees_question else term.prefix)
        if key not in self.found:
            context = list(group.prompt.context) if term.sees_question else prefix_ids(term.prefix)
            self.found[key] = self._forward(context, attempt)
        return self.found[key]

    def _forward(self, context: list[int], attempt: Attempt) -> tuple[Tensor, Tensor]:
        ids, trained = list(context), [False] * len(context)
        for segment in attempt.segments:
            ids += segment.tokens
            trained += [segment.trained] * len(segment.tokens)
        logits_TV = self.module(input_ids=torch.tensor([ids]), use_cache=False).logits[0] / self.temperature
        logp_TV = logits_TV.log_softmax(-1)
        entropy_T = -(logp_TV.exp() * logp_TV).sum(-1)
        places = [place for place, flag in enumerate(trained) if flag]
        logps = [logp_TV[place - 1, ids[place]] for place in places]  # what stands at a place is predicted before it
        return torch.stack(logps), torch.stack([entropy_T[place - 1] for place in places])


def train(
    module: Any,
    step: Step,
    terms: Sequence[Term],
    *,
    num_updates: int,
    lr: float,
    max_grad_norm: float,
    reference: Any = None,
) -> Training:
    """Trains `module` (float64) in place with plain SGD; `reference` is the other model of a `kl` term."""
    terms = [decided(term, terms) for term in terms]
    before = Scorer(copy.deepcopy(module).requires_grad_(False), step.temperature)
    other = Scorer(reference, step.temperature)
    optimizer = torch.optim.SGD(module.parameters(), lr=lr)
    training = Training()
    each = len(step.groups) // num_updates
    assert each * num_updates == len(step.groups), "how a remainder is shared out is not the matter here"
    for start in range(0, len(step.groups), each):
        groups = step.groups[start : start + each]
        now = Scorer(module, step.temperature)
        loss = torch.zeros((), dtype=torch.float64)
        carrying: set[tuple[int, int]] = set()
        update = Update()
        for term in terms:
            for (g, i), (advantage, weight) in shares(term, groups, step.max_new_tokens).items():
                group, attempt = groups[g], groups[g].attempts[i]
                carrying.add((g, i))
                for token_loss in losses_of(term, group, attempt, float(advantage), now, before, other, update):
                    loss = loss + float(weight) * token_loss
                    update.magnitude += abs(float(weight) * token_loss.item())
        if not carrying:
            continue
        training.trained_tokens += sum(num_trained(groups[g].attempts[i]) for g, i in carrying)
        training.groups_with_signal += len({g for g, _ in carrying})
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        update.loss = loss.item()
        update.gradient = {n: p.grad.clone() for n, p in module.named_parameters()}
        torch.nn.utils.clip_grad_norm_(module.parameters(), max_grad_norm)
        update.applied = {n: p.grad.clone() for n, p in module.named_parameters()}
        optimizer.step()
        training.updates.append(update)
    return training


def decided(term: Term, beside: Sequence[Term]) -> Term:
    """The term with its aggregation: as written, else the objective's own; penalties average as the first policy gradient
    beside them."""
    if term.aggregation is not None:
        return term
    others = [decided(t, ()) for t in beside if t.has_ratio]
    if term.use in ("kl", "entropy") and others:
        return replace(term, aggregation=others[0].aggregation)
    return replace(term, aggregation="sequence_mean" if term.use == "grpo" else "token_mean")


def shares(
    term: Term, groups: Sequence[Group], max_new_tokens: int
) -> dict[tuple[int, int], tuple[Fraction | float, Fraction]]:
    """(advantage, weight of each of its tokens) of the samples of an update that a term trains, by (group, attempt)."""
    counted: dict[tuple[int, int], Fraction | float] = {}
    for g, group in enumerate(groups):
        for i, advantage in advantages(term, group).items():
            if num_trained(group.attempts[i]) > 0:
                counted[g, i] = advantage
    lengths = {(g, i): num_trained(groups[g].attempts[i]) for g, i in counted}
    found = {}
    for key, advantage in counted.items():
        if term.has_ratio and advantage == 0:
            continue  # it has nothing to teach, and the denominator has counted it
        denominator = {
            "token_mean": sum(lengths.values()),
            "sequence_mean": len(lengths) * lengths[key],
            "constant": len(lengths) * max_new_tokens,
        }[str(term.aggregation)]
        found[key] = (advantage, Fraction(term.coefficient) / denominator)
    return found


def advantages(term: Term, group: Group) -> dict[int, Fraction | float]:
    """What each attempt of a group earns; attempts that the denominator does not count are left out."""
    if term.use == "next_token":
        return dict.fromkeys(range(len(group.attempts)), 0.0)
    rewards = {i: Fraction(a.reward) for i, a in enumerate(group.attempts) if a.reward is not None}
    if not term.has_ratio:
        return dict.fromkeys(rewards, 0.0)
    mean = sum(rewards.values(), Fraction(0)) / max(1, len(rewards))
    earned: dict[int, Fraction | float] = {}
    for i, reward in rewards.items():
        earned[i] = reward - 1 if term.advantage == "minus_one" else reward - mean
    if term.use == "grpo":
        squares = sum(((r - mean) ** 2 for r in rewards.values()), Fraction(0))
        std = math.sqrt(squares / max(1, len(rewards) - 1))
        earned = {i: float(a) / (std + 1e-6) for i, a in earned.items()}
    trainable = [i for i in earned if not (term.unparsable == "mask" and is_unparsable(group.attempts[i]))]
    sign = {"marginal_nsr": -1, "marginal_psr": 1}.get(term.use, 0)
    selected = [i for i in trainable if sign == 0 or sign * earned[i] > 0]
    if term.center == "none":
        return {i: earned[i] for i in selected}
    kept = {i: earned[i] if i in selected else Fraction(0) for i in trainable}
    # Each log P(y) weighs as each of its tokens does: the coefficients on them sum to zero.
    long = {i: num_trained(group.attempts[i]) for i in kept}
    size = {i: Fraction(1, n) if term.aggregation == "sequence_mean" else Fraction(1) for i, n in long.items() if n}
    middle = sum((size[i] * kept[i] for i in size), Fraction(0)) / max(sum(size.values()), Fraction(1, 10**9))
    return {i: a - middle for i, a in kept.items()}


def losses_of(
    term: Term,
    group: Group,
    attempt: Attempt,
    advantage: float,
    now: Scorer,
    before: Scorer,
    other: Scorer,
    seen: Update,
) -> list[Tensor]:
    """The loss of each trained token, before its weight; notes in `seen` where a clip acted."""
    logp_T, entropy_T = now(term, group, attempt)
    if term.use == "next_token":
        return [-logp for logp in logp_T]
    if term.use == "entropy":
        return [-entropy for entropy in entropy_T]
    if term.use == "kl":
        differences = other(term, group, attempt)[0] - logp_T
        estimate = {"k1": lambda d: -d, "k2": lambda d: d * d / 2, "k3": lambda d: d.exp() - 1 - d}[term.estimator]
        return [estimate(d) for d in differences]
    old_T = before(term, group, attempt)[0]
    losses = []
    for logp, old in zip(logp_T, old_T, strict=True):
        rho = (logp - old).exp()
        inside = min(max(rho.item(), 1 - term.clip_low), 1 + term.clip_high)
        # A clip that acts leaves a number without a gradient.
        clipped = rho if inside == rho.item() else torch.tensor(inside, dtype=torch.float64)
        token_loss = -torch.minimum(rho * advantage, clipped * advantage)
        if term.dual_clip is not None and advantage < 0 and token_loss.item() > -advantage * term.dual_clip:
            token_loss = torch.tensor(-advantage * term.dual_clip, dtype=torch.float64)
        seen.num_clipped += not token_loss.requires_grad or token_loss.item() != (-rho * advantage).item()
        seen.largest_log_ratio = max(seen.largest_log_ratio, abs((logp - old).item()))
        losses.append(token_loss)
    if term.importance == "off":
        return losses
    drawn_T = before(Term("kl"), group, attempt)[0]  # given the question, whatever the loss's own view
    told = [p for s in attempt.segments if s.trained for p in (s.logps or ())]
    weights = [math.exp(drawn.item() - p) for drawn, p in zip(drawn_T, told, strict=True)]
    cap = term.importance_cap
    weights = [min(w, cap) if term.importance == "truncate" else w if w <= cap else 0.0 for w in weights]
    return [w * token_loss for w, token_loss in zip(weights, losses, strict=True)]


def prefix_ids(prefix: str) -> list[int]:
    """The tokens of a prefix; "auto" is the first special token of the chat template."""
    ids: list[int] = TOKENIZER.encode("<|im_start|>" if prefix == "auto" else prefix, add_special_tokens=False)
    return ids


def num_trained(attempt: Attempt) -> int:
    return sum(len(s.tokens) for s in attempt.segments if s.trained)


def is_unparsable(attempt: Attempt) -> bool:
    return attempt.verdict is not None and attempt.verdict.outcome is Outcome.UNPARSABLE

"""The laws of objectives: weights before forwards, gradients that no packing changes, no gradient without a signal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prerl_spec.needs import Credit, Need
from prerl_spec.registry.component import Component
from prerl_spec.registry.component_state import first_batch
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.testing.laws.broken import NOTHING_TO_DIVIDE_BY, LawBroken, require
from prerl_spec.testing.laws.stateful import check_states
from prerl_spec.testing.laws.together import Laws
from prerl_spec.testing.steps import Result, made_documents, made_step
from prerl_spec.types import Array, Index, Outcome, Step

TOLERANCE = 1e-12
"""In float64: sums of a few dozen terms of size 1, in another order."""

ROUNDING = 1e-12
"""An advantage smaller than this for rewards of size 1 is the rounding error of a mean, and no signal."""

Vectors = Mapping[Need, Array]

_MIXED: Sequence[Sequence[Result]] = (
    (1.0, 0.0, 0.0, Outcome.UNPARSABLE),
    (1.0, 1.0, Outcome.TIMEOUT, 0.0),
    (0.0, 0.0, 0.0, 0.0),
    (Outcome.ERROR, 0.25, 0.75, 1.0),
)
_SCORED: Sequence[Sequence[Result]] = (
    (1.0, 0.0, 0.0, Outcome.UNPARSABLE),
    (1.0, 1.0, 0.0),
    (0.0, 0.0),
    (0.25, 0.75, 1.0),
)


def check_objective(objective: Component) -> None:
    """Raises AssertionError, with a message, if an objective breaks laws of its kind: all of them are told."""
    with Laws(objective) as laws:
        named: Any = objective
        whole: Objective = named
        parts = whole.parts()
        assert parts, "parts() is empty: an objective without nested terms returns (self,)"
        found = [_check_part(laws, part) for part in parts]
        steps = [step for step in found if step is not None]
        if len(steps) < len(parts):
            return
        step = min(steps, key=lambda one: len(one.samples))
        laws.hold(check_splits_agree, parts, step)
        read = {need for part in parts for need in part.reads()}
        vectors = random_vectors(read, step.tokens.num_tokens)
        laws.hold(check_states, whole, step, lambda needs: {need: vectors[need] for need in needs})


def _check_part(laws: Laws, part: Objective) -> Step | None:
    """Tests a part by itself. Returns a step for which its credit and terms are sound; None where there is none."""
    if not laws.hold(_check_declared, part):
        return None
    step = _mixed_step(part)
    if not getattr(part, "trains", True):
        return step if laws.hold(_check_null, part) else None
    is_sound = laws.hold(_check_credit, part, step)
    if not is_sound and part.uses_rollouts:
        step = made_step(_SCORED)  # NaN of an unscored sample, the commonest fault, hides no other one
        is_sound = laws.hold(_check_credit, part, step)
    is_sound = laws.hold(_check_terms, part, step) and is_sound
    laws.hold(_check_permutation, part, step)
    laws.hold(_check_degenerate, part)
    if isinstance(getattr(part, "coefficient", None), int | float):
        laws.hold(_check_coefficient, part, step)
    if part.uses_rollouts:
        laws.hold(_check_unscored, part, _mixed_step(part))
        if part.min_group > 1 and not getattr(part, "trains_zero", False):
            laws.hold(_check_constant_rewards, part)
        if getattr(part, "prefers_right", True):
            laws.hold(_check_right_rises, part)
    return step if is_sound else None


def _check_declared(part: Objective) -> None:
    assert part.parts() == (part,), "parts() of a part must be (part,)"
    assert part.min_group >= 1, f"min_group is {part.min_group}"
    assert part.scope in ("response", "all"), f"scope is {part.scope!r}"
    if not getattr(part, "trains", True):
        return
    assert any(n.of == "policy" for n in part.needs()), (
        "needs() names no Need of the policy: nothing would be differentiated; an objective that never trains declares "
        "trains = False"
    )
    assert all(n.of != "policy" for n in part.reads()), (
        "reads() names a Need of the policy: credit comes before the forward with gradient, and reads `old`"
    )


def _check_null(part: Objective) -> None:
    """What declares that it never trains has weight 0 on every token, and asks for no forward."""
    assert not part.needs(), f"trains is False, and needs() asks for {sorted(map(str, part.needs()))}"
    assert not _credit(part, _mixed_step(part)).weight_N.any(), "trains is False, and a token carries weight"
    _check_degenerate(part)


def _mixed_step(objective: Objective) -> Step:
    return made_step(_MIXED) if objective.uses_rollouts else made_documents((3, 1, 5, 2))


def random_vectors(needs: Iterable[Need], num_tokens: int, *, seed: int = 0) -> dict[Need, Array]:
    """Random log-probabilities (nats, −3 to 0) or entropies (0 to 3) for each Need, [N]."""
    random = np.random.default_rng(seed)
    ordered = sorted(needs, key=repr)
    return {n: random.uniform(0, 3, num_tokens) * (1 if n.entropy else -1) for n in ordered}


def credit_of(part: Objective, step: Step, vectors: Vectors) -> Credit:
    """The part's credit for these vectors, of which it receives only those that `reads()` names, in a phase's first step."""
    (credit,) = part.credits(first_batch(part, step, lambda needs: {need: vectors[need] for need in needs}), [step])
    return credit


def gradients(
    parts: Sequence[Objective], step: Step, vectors: Vectors, passes: Sequence[Sequence[int]]
) -> dict[Need, Array]:
    """∂(Σ weight × term)/∂logp for each Need of the policy, [N], summed over passes of these samples."""
    leaves = {n: torch.tensor(v, requires_grad=True) for n, v in vectors.items() if n.of == "policy"}
    inputs = {n: leaves[n] if n in leaves else torch.tensor(v) for n, v in vectors.items()}
    credits = [(part, part.needs(), credit_of(part, step, vectors)) for part in parts]
    for samples in passes:
        tokens, index = step.tokens.of_samples(samples)
        where = torch.from_numpy(index)
        for part, needs, credit in credits:
            logp = {n: v[where] for n, v in inputs.items() if n in needs}
            term = part.terms(logp, torch.from_numpy(credit.advantage_N[index]), tokens)
            loss: Tensor = (torch.from_numpy(credit.weight_N[index]) * term).sum()
            if loss.requires_grad:
                torch.autograd.backward(loss)
    return {n: np.zeros(v.shape) if v.grad is None else v.grad.numpy() for n, v in leaves.items()}


def check_splits_agree(parts: Sequence[Objective], step: Step) -> None:
    """One pass, one sample per pass, and a shuffled two-way split must yield the same summed gradient."""
    needs = {n for part in parts for n in (*part.needs(), *part.reads())}
    vectors = random_vectors(needs, step.tokens.num_tokens)
    order = np.random.default_rng(1).permutation(len(step.samples)).tolist()
    whole = gradients(parts, step, vectors, [list(range(len(order)))])
    for passes in ([[s] for s in order], [order[::2], order[1::2]]):
        split = gradients(parts, step, vectors, passes)
        for need, gradient in whole.items():
            gap = np.abs(split[need] - gradient).max(initial=0.0)
            require(
                gap <= TOLERANCE,
                f"{len(passes)} passes yield another gradient than one ({gap:.1e}, {need.view.name}): terms() must depend "
                "on nothing but the sample's own tokens, and never average",
                help="a mean over the batch, a norm or a rank is credit: compute it in credit(), which sees the whole update",
            )


def _credit(part: Objective, step: Step, vectors: Vectors | None = None) -> Credit:
    vectors = random_vectors(part.reads(), step.tokens.num_tokens) if vectors is None else vectors
    try:
        with np.errstate(divide="raise", invalid="raise"):
            credit = credit_of(part, step, vectors)
    except KeyError as error:
        raise AssertionError(f"credit() reads {error}, which reads() does not name") from error
    except (FloatingPointError, ZeroDivisionError) as error:
        counts = f"{len(step.samples)} samples of {step.tokens.num_tokens} tokens"
        raise LawBroken(f"credit() fails on {counts}: {error}", help=NOTHING_TO_DIVIDE_BY) from error
    for name, vector in (("advantage_N", credit.advantage_N), ("weight_N", credit.weight_N)):
        require(
            vector.shape == (step.tokens.num_tokens,),
            f"{name} has shape {vector.shape}, not one entry per token",
            help="what belongs to samples becomes one entry per token with `value_S[step.tokens.sample_N]`",
            about=name,
        )
        require(
            np.isfinite(vector).all(),
            f"{name} contains a value that is not finite",
            help="the reward of a timeout is NaN in `step.reward_S`: a mean over a group is `np.nanmean`, or goes over "
            "`step.scored_groups()`",
            about=name,
        )
    require(
        (credit.weight_N >= 0).all(),
        "weight_N is negative: the sign belongs to the advantage",
        help="weight_N is mask × coefficient ÷ denominator; write the sign into advantage_N",
        about="weight_N",
    )
    assert credit.denominator, "the denominator has no name"
    return credit


def _check_credit(part: Objective, step: Step) -> None:
    first, second = _credit(part, step), _credit(part, step)
    assert first.weight_N.any(), "no token of a mixed step carries weight"
    same = (first.weight_N == second.weight_N).all() and (first.advantage_N == second.advantage_N).all()
    require(
        same,
        "credit() returns another result when called again: it must be pure",
        help="draw no random numbers and keep nothing on `self`: what must be remembered is state, see docs/state.md",
    )


def _check_terms(part: Objective, step: Step) -> None:
    vectors = random_vectors(part.needs(), step.tokens.num_tokens)
    advantage_n = torch.from_numpy(_credit(part, step).advantage_N)
    leaves = {n: torch.tensor(v, requires_grad=n.of == "policy") for n, v in vectors.items()}
    terms = part.terms(leaves, advantage_n, step.tokens)
    require(
        terms.shape == advantage_n.shape,
        f"terms() returns shape {tuple(terms.shape)}: it must return one loss per token",
        help="return the loss of each token, and no sum or mean: the engine sums weight × term",
    )
    assert torch.isfinite(terms).all(), "terms() returns a value that is not finite"
    assert terms.requires_grad, "terms() carries no gradient"
    # With one update per batch, the engine does not compute old log-probabilities of a differentiated view.
    detached = {
        n: leaves[n._replace(of="policy")].detach() for n in leaves if n.of == "old" and _differentiated(n, leaves)
    }
    without = part.terms({n: v for n, v in leaves.items() if n not in detached}, advantage_n, step.tokens)
    same = part.terms({**leaves, **detached}, advantage_n, step.tokens)
    assert torch.equal(without, same), "without an old log-probability, terms() must use the detached current one"


def _differentiated(need: Need, vectors: Mapping[Need, Any]) -> bool:
    return need._replace(of="policy") in vectors


def reordered(step: Step) -> tuple[Step, Index]:
    """The step with its groups, and the attempts of each, in reverse; and where each token of `step` stands there."""
    flipped = replace(
        step, groups=tuple(replace(g, attempts=g.attempts[::-1]) for g in reversed(step.groups)), discarded=()
    )
    _, index = flipped.tokens.of_samples(list(range(len(step.samples)))[::-1])
    return flipped, index


def _check_permutation(part: Objective, step: Step) -> None:
    """Reordering groups and attempts does not change a token's advantage and weight."""
    flipped, index = reordered(step)
    vectors = random_vectors(part.reads(), step.tokens.num_tokens)
    moved = {need: np.empty_like(vector) for need, vector in vectors.items()}
    for need, vector in vectors.items():
        moved[need][index] = vector
    there, back = _credit(part, step, vectors), _credit(part, flipped, moved)
    gap = (
        np.abs(there.weight_N - back.weight_N[index]).max() + np.abs(there.advantage_N - back.advantage_N[index]).max()
    )
    require(
        gap <= TOLERANCE,
        "credit() depends on the order of groups or attempts",
        help="find a group's samples with `step.scored_groups()` or `step.group_S`, not by their place in the step",
    )


def _check_degenerate(part: Objective) -> None:
    """Credit is finite, never 0/0, for an empty step, an empty selection, and groups without a comparison."""
    results: list[list[list[Result]]] = [[], [[]], [[1.0]], [[0.0]], [[Outcome.TIMEOUT, Outcome.ERROR]]]
    results += [[[Outcome.UNPARSABLE] * 3], [[1.0, Outcome.TIMEOUT]], [[0.0, 0.0], [1.0, 1.0]]]
    steps = [made_step(r) for r in results] + [made_step([[1.0, 0.0]], lengths=[0, 0])]
    if not part.uses_rollouts:
        steps = [made_documents(()), made_documents((0,)), made_documents((1,))]
    for step in steps:
        _credit(part, step)


def _check_coefficient(part: Objective, step: Step) -> None:
    named: Any = part
    doubled = named.model_copy(update={"coefficient": 2 * named.coefficient})
    same = np.allclose(_credit(doubled, step).weight_N, 2 * _credit(part, step).weight_N, rtol=TOLERANCE, atol=0)
    require(
        same,
        "twice the coefficient is not twice the weight",
        help="multiply weight_N by `self.coefficient`, once, and the advantage not at all",
        about="weight_N",
    )


def _check_unscored(part: Objective, step: Step) -> None:
    with np.errstate(all="ignore"):  # an advantage that is NaN there is another law's
        weight_N = credit_of(part, step, random_vectors(part.reads(), step.tokens.num_tokens)).weight_N
    unscored_N = np.isnan(step.reward_S)[step.tokens.sample_N]
    require(
        not weight_N[unscored_N].any(),
        "a timeout or an error carries weight: it says nothing about the response",
        help="its reward is NaN in `step.reward_S`, and every comparison with NaN is False: test `np.isnan(step.reward_S)`, or "
        "take samples from `step.scored_groups()`",
        about="weight_N",
    )


def _check_constant_rewards(part: Objective) -> None:
    for reward in (0.0, 0.1, 1.0):
        credit = _credit(part, made_step([[reward] * 3, [reward] * 7]))
        size = np.abs(credit.advantage_N[credit.weight_N > 0]).max(initial=0.0)
        is_rounding = 0 < size <= ROUNDING
        require(
            not credit.weight_N.any(),
            f"groups where every reward is {reward} carry weight"
            + (f": {size:.1e} of advantage, the rounding error of a mean" if is_rounding else ""),
            help="`minus_mean(reward_s)` of prerl_spec.sdk is r − mean and exactly 0 where rewards are equal; after a mean of "
            "your own, `without_rounding(difference_s, reward_s)`"
            if is_rounding
            else "a group of equal rewards compares nothing: set weight_N to 0 where the advantage is 0",
            about="advantage_N" if is_rounding else "weight_N",
        )


def _check_right_rises(part: Objective) -> None:
    """At ρ = 1 a step of gradient descent does not lower the log-probability of right responses relative to wrong ones of
    their group. Objectives whose credit does not change when right and wrong trade places have no such preference."""
    results: list[list[float]] = [[1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0], [0.0, 1.0]]
    lengths = (3, 1, 4, 2, 5, 2, 3, 6, 1)
    step = made_step(results, lengths=lengths)
    traded = made_step([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0, 1.0], [1.0, 0.0]], lengths=lengths)
    needs = {*part.needs(), *part.reads()}
    of_view = random_vectors({Need(need.view, "policy") for need in needs}, step.tokens.num_tokens)
    vectors = random_vectors(needs, step.tokens.num_tokens)
    for need in vectors:
        if need.of in ("policy", "old", "sampler") and not need.entropy:
            vectors[need] = of_view[Need(need.view, "policy")]
    one, other = _credit(part, step, vectors), _credit(part, traded, vectors)
    if (one.advantage_N == other.advantage_N).all() and (one.weight_N == other.weight_N).all():
        return
    found = gradients([part], step, vectors, [list(range(len(lengths)))])
    moved_N = -sum((g for need, g in found.items() if not need.entropy), np.zeros(step.tokens.num_tokens))
    moved_S = np.bincount(step.tokens.sample_N, moved_N, len(lengths))
    for group in range(len(results)):
        mine = step.group_S == group
        right, wrong = (moved_S[mine & (step.reward_S == reward)].mean() for reward in (1.0, 0.0))
        require(
            right - wrong >= -TOLERANCE,
            f"at ρ = 1 a step changes the log-probability of right responses by {right:.2g} times the learning rate, of "
            f"wrong ones of the same group by {wrong:.2g}: terms() returns a loss, which is minimised, −A·log π, not "
            "A·log π; an objective that means it declares prefers_right = False",
            help="turn the sign of what terms() returns, or of advantage_N, if that is not meant",
        )

"""The laws of selections: one truth per token, pure, whatever the order, and not decided by tokens without a signal."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from prerl_spec.needs import Need
from prerl_spec.registry.component import Component
from prerl_spec.registry.component_state import first_batch
from prerl_spec.registry.kinds.objective_parts import Selection
from prerl_spec.testing.laws.broken import NOTHING_TO_DIVIDE_BY, LawBroken
from prerl_spec.testing.laws.objective import random_vectors, reordered
from prerl_spec.testing.laws.together import Laws
from prerl_spec.testing.steps import Result, made_step
from prerl_spec.types import Array, Step

_RESULTS: list[list[Result]] = [[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0, 0.0, 0.0], [0.0, 1.0]]

Vectors = Mapping[Need, Array]


def check_selection(selection: Component) -> None:
    """Raises AssertionError, with a message, if a selection breaks a law of its kind."""
    with Laws(selection) as laws:
        named: Any = selection
        whole: Selection = named
        assert isinstance(whole.in_denominator, bool), "in_denominator is a truth: whether dropped tokens still count"
        assert all(need.of != "policy" for need in whole.reads()), (
            "reads() names a Need of the policy: a selection comes before the forward with gradient, and reads `old`"
        )
        lengths = np.random.default_rng(6).integers(8, 40, sum(map(len, _RESULTS))).tolist()
        step = made_step(_RESULTS, lengths=lengths)
        vectors = random_vectors(whole.reads(), step.tokens.num_tokens, seed=3)
        advantage_N = np.random.default_rng(7).normal(size=len(step.samples))[step.tokens.sample_N]
        advantage_N[np.isin(step.tokens.sample_N, (2, 9))] = 0.0
        laws.hold(_check_pure, whole, step, vectors, advantage_N)
        laws.hold(_check_order, whole, step, vectors, advantage_N)
        laws.hold(_check_signal, whole, step, vectors, advantage_N)
        for results in ([], [[1.0]], [[0.0, 0.0]]):
            empty = made_step(results)
            none_N = np.zeros(empty.tokens.num_tokens)
            laws.hold(_keep, whole, empty, random_vectors(whole.reads(), len(none_N)), none_N)


def _keep(selection: Selection, step: Step, vectors: Vectors, advantage_N: Array) -> npt.NDArray[np.bool_]:
    known, given_N = {need: vector.copy() for need, vector in vectors.items()}, advantage_N.copy()
    try:
        with np.errstate(divide="raise", invalid="raise"):
            kept_N = selection.keep(first_batch(selection, step, lambda _: known), given_N)
    except KeyError as error:
        raise AssertionError(f"keep() reads {error}, which reads() does not name") from error
    except (FloatingPointError, ZeroDivisionError) as error:
        raise LawBroken(f"keep() fails on {len(advantage_N)} tokens: {error}", help=NOTHING_TO_DIVIDE_BY) from error
    assert kept_N.shape == advantage_N.shape, f"keep() returns shape {kept_N.shape}: one truth per token is wanted"
    assert kept_N.dtype == np.bool_, f"keep() returns {kept_N.dtype}, not bool"
    untouched = (given_N == advantage_N).all() and all((known[n] == v).all() for n, v in vectors.items())
    assert untouched, "keep() changes what it reads"
    return kept_N


def _check_pure(selection: Selection, step: Step, vectors: Vectors, advantage_N: Array) -> None:
    kept_N = _keep(selection, step, vectors, advantage_N)
    same = (_keep(selection, step, vectors, advantage_N) == kept_N).all()
    assert same, "keep() chooses other tokens when called again: a random choice must be a function of the step"
    assert kept_N[advantage_N != 0].any(), "keep() drops every token of a mixed step"


def _check_order(selection: Selection, step: Step, vectors: Vectors, advantage_N: Array) -> None:
    """Reordering groups and attempts moves the choice along."""
    flipped, index = reordered(step)
    moved = {need: np.empty_like(vector) for need, vector in vectors.items()}
    for need, vector in vectors.items():
        moved[need][index] = vector
    there_N = np.empty_like(advantage_N)
    there_N[index] = advantage_N
    same = _keep(selection, flipped, moved, there_N)[index] == _keep(selection, step, vectors, advantage_N)
    assert same.all(), "keep() depends on the order of groups or attempts"


def _check_signal(selection: Selection, step: Step, vectors: Vectors, advantage_N: Array) -> None:
    """Masked and unscored tokens come with advantage 0: whatever is known of them, the others are chosen as before."""
    without_N = advantage_N == 0
    other = random_vectors(selection.reads(), len(advantage_N), seed=8)
    moved = {need: np.where(without_N, 10 * other[need], vector) for need, vector in vectors.items()}
    same = _keep(selection, step, moved, advantage_N) == _keep(selection, step, vectors, advantage_N)
    assert same[~without_N].all(), "tokens with advantage 0, masked ones among them, decide which others are kept"

"""A token's numbers in a table: the push is the gradient of the engine's loss with respect to its log-probability."""

from collections.abc import Mapping

import numpy as np
import pytest
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.weighted_sum import WeightedSum
from torch import Tensor

from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.token_terms import PartTerms, token_terms
from prerl_spec.needs import Need
from prerl_spec.registry.component import Component
from prerl_spec.report.terminal.token_table import token_table
from prerl_spec.types import Array, Tokens
from prerl_spec.views import Conditional
from tests.engine.steps import random_step, tiny_policy

STEP = random_step(4, 4)


class Uphill(Grpo):
    """GRPO's credit with −A·log π as its term: another value, the same gradient at ρ = 1."""

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        return -advantage_n * logp[Need(Conditional())]


def parts_of(objective: Component) -> list[PartTerms]:
    return token_terms(objective, STEP, tiny_policy(), Ranks.start())  # type: ignore[arg-type]


def pushes(objective: Component) -> Array:
    total: Array = np.sum([part.push_N for part in parts_of(objective)], axis=0)
    return total


def test_objectives_with_unlike_terms_and_one_gradient_push_alike() -> None:
    (mine,), (theirs,) = parts_of(Uphill()), parts_of(Grpo())
    assert np.abs(mine.term_N - theirs.term_N).max() > 0.1
    assert np.abs(theirs.push_N).max() > 0
    np.testing.assert_allclose(mine.push_N, theirs.weight_N * theirs.advantage_N, rtol=1e-6)
    np.testing.assert_allclose(mine.push_N, theirs.push_N, rtol=1e-6)


def test_the_pushes_of_a_sum_are_those_of_its_terms_and_a_part_by_its_weight() -> None:
    half = Grpo(coefficient=0.5)
    np.testing.assert_allclose(pushes(WeightedSum(terms=(Grpo(), half))), 1.5 * pushes(Grpo()), rtol=1e-6)


class Codec:
    """Writes an id as its number."""

    def decode(self, ids: list[int], *, skip_special: bool) -> str:
        return str(ids[0])


def test_a_table_has_both_pushes_beside_each_other_in_one_named_unit() -> None:
    mine, theirs = parts_of(Uphill(coefficient=2.0)), parts_of(Grpo())
    table = token_table(STEP, Codec(), mine, [0], beside=theirs)  # type: ignore[arg-type]
    head, row = table.splitlines()[1], table.splitlines()[4].split()
    assert head.split()[-2:] == ["Uphill", "Grpo"]
    assert float(row[-2]) == pytest.approx(2 * float(row[-1]), rel=0.02)
    assert float(row[-1]) == pytest.approx(theirs[0].push_N[0], rel=0.01)
    assert "in loss per nat, the same unit for every\nobjective" in table
    right_N = (STEP.reward_S == 1.0)[STEP.tokens.sample_N]
    assert f"Grpo: sum of push {theirs[0].push_N[right_N].sum():+.4g} on right responses" in table

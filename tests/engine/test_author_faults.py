"""An exception of an author's component names the component, the author's line, and what to do."""

import inspect
from functools import partial

import numpy as np
import pytest
from prerl_components.filters.mixed_groups import MixedGroups
from prerl_components.objectives.token_losses.entropy import Entropy
from prerl_components.objectives.weighted_sum import WeightedSum

from prerl_spec.engine.author_faults import blames, require_finite, sample_place, token_place
from prerl_spec.errors import AuthorFault, RunFailed
from prerl_spec.sdk import Attempt, Component, Conditional, Group, Need, OnePartObjective
from prerl_spec.testing.steps import made_step

STEP = made_step([[1.0, 0.0], [1.0]])
OLD = Need(Conditional(), "old")


class Ratio(Component):
    """Divides by nothing."""

    kind = "reward"

    def reward(self, attempt: Attempt, group: Group) -> float:
        return 1 / (len(group.attempts) - len(group.attempts))


class Forgetful(OnePartObjective):
    """Reads a vector that it has not asked for."""

    def needs(self) -> frozenset[Need]:
        return frozenset({Need(Conditional())})

    def terms(self, logp, advantage_n, tokens):  # type: ignore[no-untyped-def]
        return logp[OLD]


def _line_of(method: object, text: str) -> int:
    lines, first = inspect.getsourcelines(method)  # type: ignore[arg-type]
    return first + next(i for i, line in enumerate(lines) if text in line)


def test_the_component_the_authors_line_and_the_cause_are_named() -> None:
    with pytest.raises(AuthorFault) as caught, blames(Ratio(), "reward", name="acme.ratio"):
        Ratio().reward(STEP.samples[0], STEP.groups[0])
    line = _line_of(Ratio.reward, "1 /")
    assert caught.value.exit_code == 5
    assert caught.value.message == (
        f"the reward `acme.ratio` failed in `Ratio.reward` ({__file__}:{line}): ZeroDivisionError: division by zero"
    )
    assert caught.value.hint is not None
    assert "fix `Ratio.reward`" in caught.value.hint


def test_an_error_in_a_library_is_placed_at_the_authors_call_of_it() -> None:
    class Shapes(Component):
        """Multiplies what does not fit."""

        kind = "reward"

        def reward(self, attempt: Attempt, group: Group) -> float:
            return self.solved()

        def solved(self) -> float:
            return float(np.linalg.solve(np.ones((2, 3)), np.ones(2)))

    with pytest.raises(AuthorFault, match=r"Shapes\.solved") as caught, blames(Shapes(), "reward"):
        Shapes().reward(STEP.samples[0], STEP.groups[0])
    assert f"{__file__}:{_line_of(Shapes.solved, 'np.linalg')}" in caught.value.message


def test_a_need_that_was_not_declared_is_to_be_added_where_its_reader_declares() -> None:
    for method, declared in (("terms", "needs()"), ("credit", "reads()")):
        with pytest.raises(AuthorFault) as caught, blames(Forgetful(), method):
            Forgetful().terms({}, None, None)
        assert caught.value.hint is not None
        assert f"add the `old` vector of the view `conditional` to its `{declared}`" in caught.value.hint


def test_a_part_of_an_author_in_a_sum_of_ours_is_the_authors() -> None:
    whole = WeightedSum(terms=(Entropy(), Forgetful()))
    with (
        pytest.raises(AuthorFault, match=r"the objective `WeightedSum` failed in `Forgetful\.terms`"),
        blames(whole, "terms"),
    ):
        whole.parts()[1].terms({}, None, None)  # type: ignore[arg-type]


def test_a_call_that_never_reached_the_author_points_at_the_class() -> None:
    with pytest.raises(AuthorFault) as caught, blames(Ratio(), "reward"):
        Ratio().reward()  # type: ignore[call-arg]
    assert f"{__file__}:{_line_of(Ratio, 'class Ratio')}" in caught.value.message


def test_what_built_ins_the_machine_and_deliberate_errors_raise_is_left_alone() -> None:
    with pytest.raises(ValueError, match="ours"), blames(MixedGroups(), "keep"):
        raise ValueError("ours")
    with pytest.raises(MemoryError), blames(Ratio(), "reward"):
        raise MemoryError
    with pytest.raises(RuntimeError, match="out of memory"), blames(Ratio(), "reward"):
        raise RuntimeError("CUDA out of memory")
    with pytest.raises(RunFailed, match="on purpose"), blames(Ratio(), "reward"):
        raise RunFailed("on purpose")
    with pytest.raises(KeyboardInterrupt), blames(Ratio(), "reward"):
        raise KeyboardInterrupt


def test_a_value_that_is_not_finite_is_named_with_its_sample_and_token() -> None:
    values_N = np.zeros(STEP.tokens.num_tokens)
    require_finite(Forgetful(), "credit", values_N, partial(token_place, STEP))
    last = int(STEP.token_ends[2]) - 1
    values_N[last] = np.nan
    place = STEP.tokens.position_N[last], STEP.tokens.id_N[last]
    prompt = STEP.groups[1].prompt
    where = f"prompt {prompt.data}[{prompt.row}], attempt 0, token {place[0]} (id {place[1]})"
    with pytest.raises(RunFailed) as caught:
        require_finite(Forgetful(), "credit", values_N, partial(token_place, STEP), name="acme.forgetful")
    assert (
        f"the objective `acme.forgetful` gives nan in `credit` for {where}: 1 of {len(values_N)}"
        in caught.value.message
    )
    assert sample_place(STEP, 1) == f"prompt {STEP.groups[0].prompt.data}[{STEP.groups[0].prompt.row}], attempt 1"

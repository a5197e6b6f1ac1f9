"""The presets named after their surrogates: their points, their laws, and settings that are the surrogate's own."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from prerl_components.objectives.presets.flat import Preset
from prerl_components.objectives.presets.off_policy import Cispo, Dppo, Gspo, Sapo, Topr

from prerl_spec.sdk import Component, Conditional, Need, Outcome, Place, Wiring
from prerl_spec.testing.laws import check_objective
from prerl_spec.testing.steps import made_step

PRESETS = (Cispo, Dppo, Gspo, Sapo, Topr)
POINTS = {
    Cispo: ("GroupStd", "token_mean"),
    Dppo: ("GroupMean", "constant"),
    Gspo: ("GroupStd", "sequence_mean"),
    Sapo: ("GroupStd", "sequence_mean"),
    Topr: ("Signed", "sequence_mean"),
}
SECOND_VALUES: dict[type[Preset], dict[str, Any]] = {
    Cispo: {"cap": 2.0},
    Dppo: {"distance": "kl", "threshold": 0.3, "cap": 20.0},
    Gspo: {"clip_low": 0.1, "clip_high": 0.3},
    Sapo: {"tau_positive": 2.0, "tau_negative": 3.0},
    Topr: {"level": "token"},
}


@pytest.mark.parametrize("cls", PRESETS)
def test_every_preset_obeys_the_laws(cls: type[Preset]) -> None:
    for settings in ({}, SECOND_VALUES[cls], {"importance": "truncate"}, {"unparsable": "mask", "coefficient": 0.3}):
        check_objective(cls.model_validate(settings))


@pytest.mark.parametrize("cls", PRESETS)
def test_advantage_and_aggregation_are_the_papers(cls: type[Preset]) -> None:
    preset = cls()
    point = preset.point()
    assert (type(point.advantage).__name__, preset.aggregation) == POINTS[cls]
    assert preset.needs() == {Need(Conditional(), "policy"), Need(Conditional(), "old")}
    assert preset.min_group == (1 if cls is Topr else 2)


@pytest.mark.parametrize("cls", PRESETS)
def test_a_presets_bounds_are_its_surrogates_with_the_same_names_defaults_and_words(cls: type[Preset]) -> None:
    surrogate = type(cls().surrogate_part())
    for name, field in surrogate.model_fields.items():
        own = cls.model_fields[name]
        assert (own.default, own.description, own.metadata) == (field.default, field.description, field.metadata)
        assert repr(own.annotation) == repr(field.annotation)
    assert set(cls.ratio_settings) == set(surrogate.ratio_settings) == set(surrogate.model_fields)
    assert cls().surrogate_part() == surrogate()
    assert cls.model_validate(SECOND_VALUES[cls]).point().surrogate == surrogate.model_validate(SECOND_VALUES[cls])


@pytest.mark.parametrize("cls", PRESETS)
def test_a_preset_says_what_it_computes_where_from_and_where_it_differs(cls: type[Component]) -> None:
    assert cls.formula
    assert "arXiv:" in cls.source
    assert cls.peers
    assert set(cls.unlike) <= {"use", *cls.model_fields}


@pytest.mark.parametrize("cls", PRESETS)
def test_bounds_written_with_one_update_a_batch_have_no_effect(cls: type[Preset]) -> None:
    preset = cls.model_validate(SECOND_VALUES[cls])
    found = [(c.code, c.places) for c in preset.check(Wiring(frozenset(SECOND_VALUES[cls]), objective=preset))]
    assert found == [("W0702", (Place("self", setting),)) for setting in cls.ratio_settings]
    wired = Wiring(frozenset(SECOND_VALUES[cls]), objective=preset, updates_per_batch=2)
    assert list(preset.check(wired)) == []


def test_topr_trains_right_and_wrong_responses_of_every_group_by_plus_and_minus_one() -> None:
    step = made_step([[1.0], [0.0, 0.0], [Outcome.TIMEOUT]], lengths=[2, 1, 4, 3])
    credit = Topr().credit(step, {})
    assert_allclose(credit.advantage_N[:7], [1, 1, -1, -1, -1, -1, -1], rtol=0)
    assert_allclose(credit.weight_N, [1 / 6] * 2 + [1 / 3] + [1 / 12] * 4 + [0] * 3, rtol=1e-15)


def test_dppo_divides_by_samples_and_the_response_budget() -> None:
    step = made_step([[1.0, 0.0]], lengths=[2, 3])
    credit = Dppo().credit(step, {})
    assert_allclose(credit.advantage_N, [0.5] * 2 + [-0.5] * 3, rtol=1e-15)
    assert_allclose(credit.weight_N, np.full(5, 1 / (2 * 8)), rtol=1e-15)

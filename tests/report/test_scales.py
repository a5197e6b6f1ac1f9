"""Ticks, short numbers, and thinning that hides no spike."""

import doctest

import pytest

from prerl_spec.report.formatting import scales
from prerl_spec.report.formatting.scales import span_of, thinned, ticks


def test_the_examples_in_the_docstrings_hold() -> None:
    results = doctest.testmod(scales)
    assert results.attempted >= 3
    assert results.failed == 0


def test_a_spike_of_one_step_in_ten_thousand_survives_thinning() -> None:
    ys = [0.5] * 10_000
    ys[7_321], ys[42] = 9.0, -3.0
    points = thinned(range(1, 10_001), ys)
    assert len(points) <= 240
    assert (max(p.high for p in points), min(p.low for p in points)) == (9.0, -3.0)


def test_thinning_keeps_the_mean() -> None:
    points = thinned(range(2_400), [float(x % 7) for x in range(2_400)], max_points=240)
    assert len(points) == 240
    assert sum(p.mean for p in points) / 240 == pytest.approx(sum(x % 7 for x in range(2_400)) / 2_400)


def test_a_spread_that_is_thinned_keeps_its_ends() -> None:
    bounds = [(0.4, 0.6)] * 1_000
    bounds[500] = (0.1, 0.95)
    points = thinned(range(1_000), [0.5] * 1_000, bounds)
    assert len(points) <= 240
    assert (min(p.low for p in points), max(p.high for p in points)) == (0.1, 0.95)


def test_a_short_curve_is_left_as_it_is() -> None:
    assert [(p.x, p.low, p.mean, p.high) for p in thinned([3, 9], [0.1, 0.2])] == [
        (3, 0.1, 0.1, 0.1),
        (9, 0.2, 0.2, 0.2),
    ]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-0.9, -0.3), (1e-7, 3e-7), (0, 1e6), (651, 710), (0.5, 1.5)])
def test_ticks_are_few_inside_and_evenly_apart(low: float, high: float) -> None:
    marks = ticks(low, high)
    assert 2 <= len(marks) <= 8
    assert all(low - 1e-9 <= m <= high + 1e-9 for m in marks)
    assert marks == sorted(set(marks))


@pytest.mark.parametrize("value", [3.0, -2.0])
def test_a_constant_still_has_room_around_it(value: float) -> None:
    low, high = span_of([value, value])
    assert low < value < high


def test_a_share_that_stays_at_zero_has_no_axis_below_it() -> None:
    assert span_of([0.0, 0.0]) == (0.0, 1.0)

"""What may be said of a difference."""

from dataclasses import replace
from typing import Any

import pytest

from prerl_spec.comparison.claims import finding_of, with_findings
from prerl_spec.comparison.equal_amounts import AtEqual
from prerl_spec.comparison.estimates import over_seeds
from prerl_spec.comparison.findings import NO_FINDING, Difference, Estimate
from prerl_spec.comparison.written.words import finding_words
from prerl_spec.statistics.intervals import Interval
from prerl_spec.statistics.seeds import detectable_effect

ENDS = AtEqual("ends", 0.1, 100.0)
BETTER = Difference(
    arm="dsrl",
    task="easy",
    metric="pass@1",
    values={"seed 0": 0.6, "seed 1": 0.6, "seed 2": 0.6},
    baseline_values={"seed 0": 0.5, "seed 1": 0.5, "seed 2": 0.5},
    by_seeds=Estimate("seeds", 3, Interval(0.1, 0.05, 0.15), 0.01, 0.06, 0.08),
    by_questions=Estimate("questions", 40, Interval(0.1, 0.08, 0.12), 0.001, 0.06, 0.03),
    why_no_questions="",
    axes={"generated_tokens": ENDS, "updates": ENDS, "seconds": ENDS},
    ends_alike=("generated_tokens", "updates", "seconds"),
    adjusted_p=None,
    finding=NO_FINDING,
)


def covering_zero(estimate: Estimate | None) -> Estimate:
    assert estimate is not None
    return replace(estimate, interval=Interval(0.1, -0.01, 0.21), p_value=0.06)


def test_a_claim_needs_the_interval_holm_and_one_sign_over_all_axes() -> None:
    assert finding_of(BETTER, 0.02).code == "better"
    assert finding_of(replace(BETTER, by_seeds=covering_zero(BETTER.by_seeds)), 0.02).code == "none"
    after_holm = finding_of(BETTER, 0.06)
    assert (after_holm.code, after_holm.words) == ("not_claimed", "higher, not claimed: p 0.060 after Holm")
    unknown = replace(BETTER, axes={**BETTER.axes, "seconds": AtEqual("unknown")})
    assert finding_of(unknown, 0.06).words == "higher, not claimed: p 0.060 after Holm, not known at equal seconds"
    for axis in ("generated_tokens", "updates", "seconds"):
        turned = replace(BETTER, axes={**BETTER.axes, axis: AtEqual("curve", -0.01, 90.0)})
        found = finding_of(turned, 0.02)
        assert (found.code, found.words) == (
            "not_claimed",
            f"higher, not claimed: not so at equal {axis.replace('_', ' ')}",
        )


def test_an_axis_that_is_not_known_bears_out_nothing_and_one_that_is_not_spent_forbids_nothing() -> None:
    unknown = finding_of(replace(BETTER, axes={**BETTER.axes, "seconds": AtEqual("unknown")}), 0.02)
    assert (unknown.code, unknown.words) == ("not_claimed", "higher, not claimed: not known at equal seconds")
    assert finding_of(replace(BETTER, axes={**BETTER.axes, "updates": AtEqual("unmoved")}), 0.02).code == "better"
    nothing = replace(BETTER, axes=dict.fromkeys(BETTER.axes, AtEqual("unmoved")))
    assert finding_of(nothing, 0.02).code == "not_claimed"


def test_a_claim_names_the_amount_in_which_the_arms_end_alike_and_needs_one() -> None:
    assert finding_of(replace(BETTER, ends_alike=("trained_tokens",)), 0.02).words == "better at equal trained tokens"
    nowhere = finding_of(replace(BETTER, ends_alike=()), 0.02)
    assert (nowhere.code, nowhere.words) == ("not_claimed", "higher, not claimed: the arms end alike on no axis")


def test_questions_say_something_about_checkpoints_alone() -> None:
    one_seed = replace(BETTER, by_seeds=None)
    assert finding_of(one_seed, 0.02).words == "this checkpoint scores higher at equal generated tokens"
    as_they_are = replace(one_seed, axes={}, ends_alike=())
    assert finding_of(as_they_are, 0.02).words == "this checkpoint scores higher"
    lower = Estimate("questions", 40, Interval(-0.1, -0.12, -0.08), 0.001, 0.06, 0.03)
    assert finding_of(replace(as_they_are, by_questions=lower), 0.02).code == "lower"
    assert finding_of(replace(one_seed, by_questions=None), None).code == "unknown"


def test_over_seeds_wide_intervals_are_not_made_narrow_by_questions() -> None:
    uncertain = replace(BETTER, by_seeds=covering_zero(BETTER.by_seeds))
    assert finding_of(uncertain, 0.06).words == "no detectable difference (detectable: 0.080)"


def test_holm_goes_over_the_family_and_leaves_the_others_exploratory() -> None:
    second = replace(BETTER, arm="null", by_seeds=replace(covering_zero(BETTER.by_seeds), p_value=0.03))
    other = replace(BETTER, metric="pass@4")
    found = with_findings([BETTER, second, other], [True, True, False])
    assert [d.adjusted_p for d in found] == [pytest.approx(0.02), pytest.approx(0.03), None]
    assert [d.finding.code for d in found] == ["better", "none", "exploratory"]
    assert found[2].finding.words == "exploratory: higher, not adjusted"


def test_what_is_detectable_within_a_family_is_so_at_holms_first_threshold() -> None:
    three = with_findings([replace(BETTER, arm=name) for name in ("a", "b", "c")], [True] * 3)[0].by_seeds
    alone, outside = (with_findings([BETTER], [inside])[0].by_seeds for inside in (True, False))
    assert three is not None
    assert three.detectable == detectable_effect(0.06, 3, num_comparisons=3)
    assert alone == outside == BETTER.by_seeds


def by_margin(low: float, high: float, margin: float, **changed: Any) -> tuple[str | None, str]:
    assert BETTER.by_seeds is not None
    estimate = replace(BETTER.by_seeds, interval=Interval((low + high) / 2, low, high))
    found = with_findings([replace(BETTER, by_seeds=estimate, **changed)], [True], margin)[0]
    return found.margin, finding_words(found)


def test_a_margin_says_which_intervals_lie_within_and_which_claims_beyond_it() -> None:
    assert by_margin(0.05, 0.15, 0.02) == ("beyond", "better at equal generated tokens; beyond the margin")
    assert by_margin(-0.15, -0.05, 0.02)[0] == "undecided"  # its sign is another on every axis: not claimed
    assert by_margin(0.01, 0.15, 0.02) == ("undecided", "better at equal generated tokens; margin undecided")
    assert by_margin(0.005, 0.015, 0.02) == ("within", "better at equal generated tokens; within the margin")
    none = "no detectable difference (detectable: 0.080)"
    assert by_margin(-0.02, 0.02, 0.02) == ("within", f"{none}; within the margin")
    assert by_margin(-0.021, 0.02, 0.02) == ("undecided", f"{none}; margin undecided")
    assert by_margin(-0.02, 0.021, 0.02)[0] == "undecided"


def test_equal_scores_at_unequal_amounts_are_no_equivalence() -> None:
    assert by_margin(-0.01, 0.01, 0.02, ends_alike=())[0] == "undecided"
    assert by_margin(-0.01, 0.01, 0.02, ends_alike=(), axes={})[0] == "within"
    lost = replace(BETTER, by_seeds=None, by_questions=None, why_no_questions="one question alone has no spread")
    found = with_findings([lost], [True], 0.02)[0]
    assert (found.margin, found.finding.words) == (
        None,
        "one run each, no interval over questions either: one question alone has no spread",
    )


def test_two_seeds_claim_nothing() -> None:
    assert BETTER.by_seeds is not None
    two = replace(BETTER, by_seeds=replace(BETTER.by_seeds, count=2))
    (found,) = with_findings([two], [True], 0.2)
    assert (found.finding.code, found.finding.words) == (
        "not_claimed",
        "higher, not claimed: 2 seeds, and a claim needs 3",
    )
    assert found.margin == "undecided"


def test_seeds_that_repeat_by_chance_are_no_equivalence() -> None:
    repeated = replace(BETTER, by_seeds=over_seeds([0.0, 0.0, 0.0]))
    assert repeated.by_seeds is not None
    assert (repeated.by_seeds.interval.low, repeated.by_seeds.interval.high) == (0.0, 0.0)
    assert with_findings([repeated], [True], 0.02)[0].margin == "undecided"


def test_scores_that_are_equal_by_chance_promise_no_power() -> None:
    equal = Estimate("questions", 20, Interval(0.0, 0.0, 0.0), 1.0, 0.0, None)
    found = finding_of(replace(BETTER, by_seeds=None, by_questions=equal), 1.0)
    assert found.words == "no detectable difference (0 for each of the 20 questions: the spread is not known)"


def test_an_interval_with_width_is_not_said_to_come_from_equal_scores() -> None:
    seen = Estimate("questions", 20, Interval(0.0, -0.1, 0.1), 1.0, 0.1, None)
    found = finding_of(replace(BETTER, by_seeds=None, by_questions=seen), 1.0)
    assert found.words == "no detectable difference"

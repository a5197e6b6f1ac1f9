"""What counts as the same answer, kind by kind: right forms beside near misses, and what cannot be decided.

`verdicts.jsonl` holds a row a line: kind, gold answer, content of the box, outcome. Kinds that begin with `reported` are
public reports that were misjudged once.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest
from prerl_components.verifiers import equality
from prerl_components.verifiers.compared.exact import rational, same_number
from prerl_components.verifiers.compared.parsing import parsed
from prerl_components.verifiers.math_verify import MathVerify
from prerl_components.verifiers.written.units import split_unit
from sympy import Float, Integer, Pow, Rational, sqrt

from prerl_spec.types import Outcome

RIGHT, WRONG, UNPARSABLE = Outcome.RIGHT, Outcome.WRONG, Outcome.UNPARSABLE
ROWS = [json.loads(line) for line in (Path(__file__).parent / "verdicts.jsonl").read_text().splitlines()]
LONG = {"reviewed forms", "intervals", "further forms", "formulas and words", "complex numbers", "characters"}


def outcome(answer: str, gold: str, **settings: str) -> Outcome:
    return MathVerify.model_validate(settings).judge(f"Therefore \\boxed{{{answer}}}.", gold).outcome


def by_kind() -> Iterator[object]:
    for kind, rows in groupby(ROWS, key=lambda row: row["kind"]):
        yield pytest.param(list(rows), id=kind, marks=[pytest.mark.slow] if kind in LONG else [])


@pytest.mark.parametrize("rows", list(by_kind()))
def test_each_kind_is_judged_by_what_it_says(rows: list[dict[str, str]]) -> None:
    judged = {(row["gold"], row["answer"]): outcome(row["answer"], row["gold"]).value for row in rows}
    assert judged == {(row["gold"], row["answer"]): row["outcome"] for row in rows}


def test_each_kind_has_right_forms_and_near_misses() -> None:
    own = [row for row in ROWS if not row["kind"].startswith("reported")]
    right = Counter(row["kind"] for row in own if row["outcome"] == "right")
    missed = Counter(row["kind"] for row in own if row["outcome"] != "right")
    assert {kind for kind in right if right[kind] + missed[kind] < 10} <= {"matrices", "constants"}
    assert set(right) == set(missed)


@pytest.mark.parametrize(
    ("answer", "gold"), [("25\\%", "25\\%"), ("25%", "25\\%"), ("25", "25"), ("25\\text{ percent}", "25\\%")]
)
def test_a_strict_percent_sign_on_both_sides_is_right(answer: str, gold: str) -> None:
    assert outcome(answer, gold, percent="strict") is RIGHT


@pytest.mark.parametrize(("answer", "gold"), [("25", "25\\%"), ("0.25", "25\\%"), ("25\\%", "25"), ("25\\%", "0.25")])
def test_a_strict_percent_sign_on_one_side_is_wrong(answer: str, gold: str) -> None:
    assert outcome(answer, gold) is RIGHT
    assert outcome(answer, gold, percent="strict") is WRONG


def test_large_powers_are_compared_exactly_and_never_raise() -> None:
    assert outcome("2^{1099}\\cdot 2", "2^{1100}") is RIGHT
    assert outcome("2^{1099}\\cdot 2+1", "2^{1100}") is WRONG
    assert outcome("2^{1099}\\cdot 2\\sqrt{2}", "2^{1100}\\sqrt{2}") is RIGHT
    assert outcome("2^{1099}\\cdot 3\\sqrt{2}", "2^{1100}\\sqrt{2}") is WRONG


@pytest.mark.parametrize("answer", ["9⁹⁹⁹⁹⁹", "1e99999", "2^{9⁹⁹⁹⁹⁹}", "1e-123456"])
def test_what_the_gate_does_not_see_before_it_is_spelled_out_is_refused_after(answer: str) -> None:
    began = time.monotonic()
    assert outcome(answer, "5") is UNPARSABLE
    assert time.monotonic() - began < 0.1


def test_a_number_too_large_to_compute_is_undecided_and_not_computed() -> None:
    tower = Pow(Pow(Integer(2), 9999, evaluate=False), 9999, evaluate=False)
    began = time.monotonic()
    assert rational(tower) is None
    assert same_number(tower, Pow(tower, Integer(2), evaluate=False)) is not True
    assert time.monotonic() - began < 1


def test_a_decimal_is_the_fraction_that_its_digits_spell() -> None:
    assert parsed("0.1") == Rational(1, 10)
    assert same_number(Float("0.1"), Rational(1, 10))
    assert same_number(Float("0.33333333"), Rational(1, 3)) is False
    assert same_number(sqrt(2) ** 2 * Float("0.5"), Integer(1))


def test_numbers_differ_in_the_thousandth_digit() -> None:
    power = Pow(Integer(3), Integer(2000), evaluate=False)
    assert same_number(power, power + 1) is False
    assert same_number(sqrt(2) * power, sqrt(2) * power + 1) is False


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5\\text{ km}", "5"),
        ("5 km", "5"),
        ("\\$5.20", "5.20"),
        ("7\\text{ million dollars}", "7"),
        ("2t", "2t"),
        ("3m/n", "3m/n"),
        ("\\text{June}", "\\text{June}"),
        ("65^\\circ", "65"),
    ],
)
def test_a_unit_is_set_aside_and_a_variable_is_not(text: str, number: str) -> None:
    assert split_unit(text)[0] == number


def test_a_gold_answer_of_the_public_set_that_only_looks_odd_is_accepted() -> None:
    for gold in (
        "\\frac{2469}{20,000}",
        "\\sin^2t",
        "{A5}_{11}",
        "-2{or}-12",
        "\\approx8.24",
        "{(E)},",
        "2,3,{}4",
        "\\pir",
        "\\sinx",
    ):
        assert MathVerify().check_gold(gold) is None, gold
        assert outcome(gold + " ", gold) is RIGHT, gold


def test_lenient_takes_the_gold_answer_word_for_word_at_the_end() -> None:
    lenient = MathVerify(extract="lenient")
    for response in ("\\boxed{12:00}", "They meet at 12:00.", "so $12:00$"):
        assert lenient.judge(response, "12:00").outcome is RIGHT
    for response in ("They meet at 1:12:00.", "\\boxed{12:30}", "12:00 or later, at 13:00"):
        assert lenient.judge(response, "12:00").outcome is not RIGHT


def test_a_box_that_cannot_be_decided_says_so() -> None:
    verdict = MathVerify().judge("\\boxed{cat}", "act")
    assert (verdict.outcome, verdict.answer) == (UNPARSABLE, "cat")
    assert "decided" in str(verdict.detail)


def test_integers_are_compared_without_a_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    def parser(_: str) -> None:
        raise AssertionError("no parser is needed")

    monkeypatch.setattr(equality, "read", parser)
    assert equality.equal("1,000", "1000")
    assert equality.equal("7", "8") is False


@pytest.mark.parametrize(
    "text", ["5 " + "€" * 390 + "\\", "\\text{x}" + "个" * 380 + "!", "\\text{a}" + "a" * 380 + "\\", "1," * 200]
)
def test_a_text_that_repeats_one_sign_is_read_at_once(text: str) -> None:
    began = time.process_time()
    equality.equal(text, "5")
    assert time.process_time() - began < 2


def test_a_list_with_an_element_that_does_not_parse_is_unparsable() -> None:
    assert outcome("5, \\frac{1}", "5") is UNPARSABLE
    assert outcome("5, 6", "5") is WRONG

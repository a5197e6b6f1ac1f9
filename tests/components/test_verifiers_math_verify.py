"""Mathematical equality: what counts as the same answer, what is refused unseen, and what real gold answers do."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from prerl_components.verifiers import equality
from prerl_components.verifiers.compared import expressions
from prerl_components.verifiers.math_verify import MathVerify

from prerl_spec.engine.verification.verifier_pool import VerifierPool
from prerl_spec.types import Outcome

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no real rows beside the checkout")

RIGHT, WRONG, UNPARSABLE = Outcome.RIGHT, Outcome.WRONG, Outcome.UNPARSABLE


def outcome(answer: str, gold: str) -> Outcome:
    return MathVerify().judge(f"Therefore \\boxed{{{answer}}}.", gold).outcome


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("4", "4"),
        ("4", " 4 "),
        ("4", "+4"),
        ("1000", "1,000"),
        ("1000", "1{,}000"),
        ("\\frac{1}{2}", "0.5"),
        ("\\frac12", "\\dfrac{1}{2}"),
        ("10", "9+1"),
        ("5", "x=5"),
        ("5", "2+3=5"),
        ("5", "x=y=5"),
        ("x+1", "1+x"),
        ("(3,-1)", "\\left(3, -1\\right)"),
        ("1,2", "2,1"),
        ("90^\\circ", "90"),
        ("5", "5\\text{ cm}"),
        ("50\\%", "50\\%"),
        ("\\text{Monday}", "Monday"),
        ("2^{2004}-1", "2^{2004}-1"),
        ("\\begin{pmatrix}-7\\16\\end{pmatrix}", "\\begin{pmatrix}-7\\\\16\\end{pmatrix}"),
    ],
)
def test_the_same_answer_in_other_words_is_right(gold: str, answer: str) -> None:
    assert outcome(answer, gold) is RIGHT


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("4", "5"),
        ("5", "7=5"),
        ("5", "2+4=5"),
        ("\\frac{1}{3}", "0.333333"),
        ("0.0000001", "0.0000002"),
        ("0", "0.0000001"),
        ("5", "5,6"),
        ("5", "\\text{not } 5"),
        ("5", "4<5"),
        ("(1,2)", "(2,1)"),
        ("\\frac{1}{3}", "0.33"),
    ],
)
def test_another_answer_is_wrong_though_math_verify_may_like_it(gold: str, answer: str) -> None:
    assert outcome(answer, gold) is WRONG


@pytest.mark.parametrize(
    "response",
    ["I refuse. 5", "the answer is $5$", "\\boxed{5", "\\boxed{}", "\\boxed{\\leq}", "<think>\\boxed{5}</think>"],
)
def test_a_response_without_a_readable_box_is_unparsable(response: str) -> None:
    verdict = MathVerify().judge(response, "5")
    assert (verdict.outcome, verdict.score) == (UNPARSABLE, 0.0)
    assert verdict.detail


def test_lenient_takes_what_strict_refuses() -> None:
    lenient = MathVerify(extract="lenient")
    for response in ("I refuse. 5", "the answer is $5$", "\\boxed{7=5}"):
        assert lenient.judge(response, "5").outcome is RIGHT
    assert lenient.judge("no idea", "5").outcome is UNPARSABLE


def test_a_response_that_boxes_without_end_is_unparsable() -> None:
    assert MathVerify().judge("\\boxed{5} " * 64, "5").outcome is RIGHT
    assert MathVerify().judge("\\boxed{5} " * 65, "5").outcome is UNPARSABLE


def test_running_out_of_memory_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(expressions, "verify", exhausted)
    with pytest.raises(MemoryError):
        equality.equal("f(x)+2", "f(x)+3")


@pytest.mark.parametrize("gold", ["4", "\\frac{1}{2}", "\\text{even}", "(1,2)", "x^2+1", "12\\%"])
def test_a_gold_answer_that_parses_is_accepted(gold: str) -> None:
    assert MathVerify().check_gold(gold) is None


@pytest.mark.parametrize(("gold", "reason"), [("", "empty"), ("\\frac{", "does not parse"), ("9^{9^9}", "exponent")])
def test_a_gold_answer_that_nothing_can_equal_is_refused(gold: str, reason: str) -> None:
    assert reason in str(MathVerify().check_gold(gold))


def test_math_verify_does_not_warn_that_its_timeouts_are_off(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        outcome("f(x)+2", "f(x)+3")
    assert caplog.records == []


def test_settings_reach_the_pool() -> None:
    verifier = MathVerify(deadline_seconds=2.5, workers=3, memory_mb=512)
    assert (verifier.seconds_allowed, verifier.num_workers, verifier.memory_bytes) == (2.5, 3, 2**29)


@pytest.fixture(scope="module")
def pool() -> Iterator[VerifierPool]:
    entry = "prerl_components.verifiers.math_verify:MathVerify"
    with VerifierPool(MathVerify(deadline_seconds=2, memory_mb=1024), entry_value=entry) as opened:
        yield opened


def test_workers_judge_as_the_declaration_does(pool: VerifierPool) -> None:
    items = [("\\boxed{0.5}", "\\frac12"), ("\\boxed{7=5}", "5"), ("5", "5"), ("\\boxed{x+1}", "1+x")]
    verdicts = pool.verify([(response, gold, False) for response, gold in items])
    assert verdicts == [MathVerify().judge(response, gold) for response, gold in items]
    assert [v.outcome for v in verdicts] == [RIGHT, WRONG, UNPARSABLE, RIGHT]


@pytest.mark.shared
@needs_shared
@pytest.mark.parametrize("name", ["aime24", "aime25", "amc23"])
def test_benchmark_gold_answers_equal_themselves(name: str) -> None:
    golds = [json.loads(line)["answer"] for line in (SHARED / name / "test.jsonl").read_text().splitlines()]
    assert [g for g in golds if MathVerify().check_gold(str(g)) is not None] == []
    assert {outcome(str(g), str(g)) for g in golds} == {RIGHT}


@pytest.mark.shared
@needs_shared
def test_gsm8k_gold_answers_equal_themselves() -> None:
    lines = (SHARED / "gsm8k/test.jsonl").read_text().splitlines()
    golds = [json.loads(line)["answer"].rpartition("####")[2].strip() for line in lines]
    assert [g for g in golds if MathVerify().check_gold(g) is not None or outcome(g, g) is not RIGHT] == []


@pytest.mark.shared
@needs_shared
def test_math_gold_answers_equal_themselves_respelled() -> None:
    lines = (SHARED / "math/train.jsonl").read_text().splitlines()
    golds = [g for g in dict.fromkeys(json.loads(line)["answer"].strip() for line in lines) if g][::40]
    unfit = [g for g in golds if MathVerify().check_gold(g) is not None]
    respelled = {g: g.replace(",", ", ").replace("\\frac", "\\dfrac") for g in golds if g not in unfit}
    assert len(unfit) <= 1
    assert [g for g, answer in respelled.items() if outcome(answer, g) is not RIGHT] == []

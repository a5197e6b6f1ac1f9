"""Values at a few points refute an equality; they never establish one, and never contradict what is the same."""

import time

import pytest
from prerl_components.verifiers.compared.parsing import parsed
from prerl_components.verifiers.compared.refutation import differ
from prerl_components.verifiers.math_verify import MathVerify

from prerl_spec.types import Outcome


def refuted(gold: str, answer: str) -> bool:
    one, other = parsed(gold), parsed(answer)
    assert one is not None
    assert other is not None
    return differ(one, other)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("5", "6"),
        ("5", r"\sqrt{24}"),
        ("x+1", "x+2"),
        (r"x^2+\sin y", "2^{2008}-2"),
        ("2x", "2y"),
        ("(1,2)", "(2,1)"),
        ("[1,2]", "[1,3]"),
        (r"\{1,2,3x\}", r"\{1,2,y+1\}"),
        (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix}1\\3\end{pmatrix}"),
        ("y=3x+1", "x^{9999}+x+1=0"),
        ("y=3x+1", r"\sin x\cos y=\tan z"),
        ("x^2+y^2=9", "x^2+y^2=8"),
        ("x>3", "x^9-x^3+2x>7"),
        ("1<x<3", "1<x<4"),
    ],
)
def test_values_that_are_far_apart_refute(gold: str, answer: str) -> None:
    assert refuted(gold, answer)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("5", "5"),
        (r"\frac{1}{3}", "0.333333"),
        ("x+1", "1+x"),
        ("(x+1)^2", "x^2+2x+1"),
        ("5", "x-x+5"),
        ("0", r"\sqrt{2}\sqrt{2}-2"),
        (r"\sin(2x)", r"2\sin(x)\cos(x)"),
        (r"\log_2 3", r"\frac{\ln 3}{\ln 2}"),
        ("2^{1100}", r"2^{1099}\cdot 2"),
        ("(1,2)", "(1,2)"),
        (r"\{1,2\}", r"\{2,1\}"),
        (r"\{1,2\}", "(1,2)"),
        ("xy", "yx"),
        (r"\text{even}", "even"),
        (r"\frac{1}{x-1}", r"\frac{x+1}{x^2-1}"),
        (r"\sum_{k=1}^{10}k", "55"),
        ("y=3x+1", "2y=6x+2"),
        ("x^2+y^2=9", "y^2+x^2-9=0"),
        ("x^2+y^2=9", r"\sqrt{x^2+y^2}=3"),
        ("x>3", "2x>6"),
        ("x>3", "3<x"),
        ("1<x<3", "1<x<3"),
    ],
)
def test_what_is_the_same_or_cannot_be_told_is_never_refuted(gold: str, answer: str) -> None:
    assert not refuted(gold, answer)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        (r"x^2+\sin y", r"\binom{1234}{567}"),
        (r"x^2+\sin y", "(x+y)^{40}"),
        ("5", r"(1+\sqrt{2})^{9999}"),
        (r"x^2+\sin y", "999!"),
        (r"\{x^2,7\}", r"\{(x+y)^{40},7\}"),
    ],
)
def test_a_wrong_answer_is_never_simplified(gold: str, answer: str) -> None:
    """Each keeps Math-Verify's comparison busy for more than 10 s."""
    began = time.process_time()
    assert MathVerify().judge(f"\\boxed{{{answer}}}", gold).outcome is Outcome.WRONG
    assert time.process_time() - began < 4

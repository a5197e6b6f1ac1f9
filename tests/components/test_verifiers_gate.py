"""The gate: what is refused unseen, by kind of construct, and what ordinary mathematics passes."""

import json
import time
from pathlib import Path

import pytest
from prerl_components.verifiers.gate import refusal
from prerl_components.verifiers.math_verify import MathVerify

from prerl_spec.types import Outcome

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no real rows beside the checkout")


@pytest.fixture(autouse=True, scope="module")
def warm() -> None:
    """Importing sympy takes a second, which is not the gate's."""
    MathVerify().warm_up()


def matrix(rows: int, entry: str, environment: str = "pmatrix") -> str:
    row = "&".join([entry] * rows)
    return rf"\begin{{{environment}}}" + r"\\".join([row] * rows) + rf"\end{{{environment}}}"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("1" * 61, "digits"),
        ("x" * 401, "characters"),
        ("{" * 11 + "1" + "}" * 11, "nested"),
        ("9^{9^{9}}", "exponent"),
        ("9^9^9", "exponent"),
        ("2^{2^{2^{2^{2}}}}", "nested"),
        ("x^{10000}", "exponent"),
        ("(-9)^{(9^{(9)})}", "exponent"),
        ("+".join(["x^2"] * 13), "exponents"),
        # Factorials and the like.
        ("1000!", "factorial"),
        ("5!!", "factorial"),
        ("(9^9)!", "factorial"),
        (r"\left(99999\right)!", "factorial"),
        (r"99999\,!", "factorial"),
        ("9,999!", "factorial"),
        ("9{,}999!", "factorial"),
        (r"\frac{99999}{3}!", "factorial"),
        (r"\binom{99}{50}!", "factorial"),
        (r"(99\cdot99)!", "factorial"),
        (r"\Gamma(99999)", "factorial"),
        (r"\Gamma\left(10^9\right)", "factorial"),
        (r"\Gamma(\Gamma(\Gamma(5)))", "factorial"),
        ("a" * 90 + "!" * 30, "factorials"),
        ("(999999)_{500000}", "falling"),
        # Binomials, in each spelling.
        (r"\binom{999999999}{500000000}", "binomial"),
        (r"\dbinom{999999999}{500000000}", "binomial"),
        (r"{999999999 \choose 500000000}", "binomial"),
        (r"\binom{9!}{8!}", "binomial"),
        (r"\binom{2^{999}}{30}", "binomial"),
        (r"\binom{\binom{99}{50}}{30}", "binomial"),
        (r"\binom{99\cdot99\cdot99}{99}", "binomial"),
        (r"\binom{x}{200}", "binomial"),
        (r"\binom{\frac12}{99999}", "binomial"),
        (r"\gcd(10^{12},\sqrt{2})", "divisor"),
        # Matrices.
        (r"\det " + matrix(6, "a"), "determinant"),
        (matrix(4, "a", "vmatrix"), "determinant"),
        (r"\det " + matrix(9, "1"), "determinant"),
        (matrix(2, "a") + "^{20}", "power of a matrix"),
        (matrix(2, "3") + "^{x}", "power of a matrix"),
        (matrix(3, "3") + "^{0.5}", "power of a matrix"),
        (matrix(5, "a") + "^{-1}", "power of a matrix"),
        (matrix(2, "a") * 7, "matrices"),
        (r"\operatorname{eigenvals}(" + matrix(2, "3") + ")", "function of a matrix"),
        (r"\operatorname{zeros}(9999,9999)", "function of a matrix"),
        # Integrals, sums, products, limits, derivatives, values at a place.
        (r"\int_0^1 \sin(x^x)e^{x^3}dx", "int"),
        (r"\int_0^1\int_0^1\int_0^1 e^{xyz}dxdydz", "integral"),
        (r"\iint xy dxdy", "integral"),
        (r"\int \frac{1}{x^5+x+1}dx", "int"),
        (r"\int_{0}^{1}\frac{1}{1+x^{7}}dx", "int"),
        ("(x+1)^{40}>5", "inequality"),
        (r"5 \le x^{12}+x", "inequality"),
        (r"\sum_{k=0}^{50}\binom{50}{k}", "sum"),
        (r"\sum_{k=1}^{9}\sum_{j=1}^{9}\frac{1}{j+k}", "integral, sum"),
        (r"\sum_{k=1}^{\infty}\frac{\sin k}{k^3}", "sum"),
        (r"\sum_{k=1}^{n}\frac{1}{k^7+k+1}", "sum"),
        (r"\prod_{k=2}^{\infty}(1-\frac{1}{k^2})", "prod"),
        (r"\lim_{x\to 0} x^{x^x}", "lim"),
        (r"\lim_{x\to 0}\frac{\tan(\sin x)-\sin x}{x^7}", "lim"),
        (r"\frac{d}{dx}" * 9 + r"\tan(x)", "derivatives"),
        ("((x^9|_{x=x^9})|_{x=x^9})|_{x=x^9}", "value at a place"),
        (r"\lfloor (1+\sqrt{2})^{9999} \rfloor", "integer part"),
        (r"\lfloor e^{e^{3}} \rfloor", "integer part"),
        # Powers of sums, depth, chains.
        ("(x+y+z+w+u+v)^{99}", "monomials"),
        (r"\left(x+y\right)^{99}", "monomials"),
        (r"(x^2+x+1)^{12}", "monomials"),
        (r"\exp(\exp(\exp(\exp(9))))", "nested"),
        (r"e^{\exp{e^{e^x}}}", "nested"),
        (r"\sin(" * 6 + "x" + ")" * 6, "functions"),
        (r"\cdot".join(rf"\tan({n}x+y)" for n in range(1, 7)), "functions"),
        ("(" * 7 + "a" + ")" * 7, "brackets"),
        (r"\{" * 7 + "a" + r"\}" * 7, "brackets"),
        ("|a" * 14, "bars"),
        (r"\cup".join(f"({n},{n + 1})" for n in range(8)), "unions"),
        (r"\setminus".join("(a,b)" for _ in range(5)), "unions"),
        ("(x+1)/" * 12 + "x", "divisions"),
        ("a_" * 20 + "b", "subscripts"),
        ("a" * 101, "letters"),
        (r"\{" + "1," * 150 + r"2\}", "entries"),
    ],
)
def test_the_gate_refuses_what_could_keep_a_machine_busy(answer: str, reason: str) -> None:
    assert reason in str(refusal(answer))
    began = time.process_time()
    assert MathVerify().judge(f"\\boxed{{{answer}}}", "5").outcome is Outcome.UNPARSABLE
    assert time.process_time() - began < 0.1


@pytest.mark.parametrize(
    "answer",
    [
        "2^3+4^5",
        "e^{x^{2}}",
        "2^{2^{10}}",
        "10^{-5}",
        "10^{100}",
        "2^{2008}-2",
        "x < 2^{10}",
        r"x^2 \le 3",
        "(1+i)^{2004}",
        r"\left(1+\frac{0.06}{12}\right)^{120}",
        "(x+1)^{20}",
        "(x+y+z)^5",
        "10!",
        "999!",
        "(n+1)!",
        "5!+3!",
        r"\frac{(2n)!}{n!n!}",
        r"2^{10}\cdot 9!",
        r"\Gamma(5)",
        "x_{1}^{2}+x_{2}^{2}",
        r"\binom{9}{3}",
        r"\binom{2016}{1008}",
        r"\binom{2n}{n}+\binom{n}{2}",
        r"\gcd(12,18)",
        r"\sum_{k=1}^{10}k",
        r"\sum_{k=1}^{50}\frac{1}{k}",
        r"F_n = \sum_{k=0}^{n-1} F_k F_{n-k-1}",
        r"\prod_{k=1}^{5}k",
        r"\int_0^1 x^2 dx",
        r"\lim_{n\to\infty}\frac{n}{n+1}",
        r"\frac{d}{dx}x^2",
        r"\lfloor\frac{n}{2}\rfloor",
        matrix(8, "0"),
        r"\det " + matrix(3, "a"),
        matrix(2, "3") + "^{-1}",
        matrix(2, "3") + "^{99}",
        r"\cos(6)\sin(12)\csc(18)",
        r"\sqrt{2+\sqrt{2+\sqrt{2+\sqrt{2}}}}",
        "|x-1|+|x-2|",
        r"(-\infty,1)\cup(2,3)\cup(4,5)\cup(6,\infty)",
        r"\{(1,2),(3,4)\}",
        "1/2, 1/3, 1/4, 1/5, 1/6, 1/7, 1/8, 1/9, 1/10, 1/11",
        r"\text{the line through the two points that are named above, taken without its ends; and no other line whatever}",
        "4:51:06",
        "1011_2",
        "(10111)_{2}",
        "(10111)_2",
    ],
)
def test_the_gate_lets_ordinary_mathematics_pass(answer: str) -> None:
    assert refusal(answer) is None


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        (r"\binom{8}{3}", "56"),
        (r"\binom{2016}{2}", "2031120"),
        ("5!+3!", "126"),
        (r"\sum_{k=1}^{10}k", "55"),
        (r"\prod_{k=1}^{5}k", "120"),
        (r"\int_0^1 x^2 dx", r"\frac{1}{3}"),
        (r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", "-2"),
        (r"\gcd(12,18)", "6"),
    ],
)
def test_a_cheap_exact_number_is_still_decided(answer: str, gold: str) -> None:
    assert MathVerify().judge(f"\\boxed{{{answer}}}", gold).outcome is Outcome.RIGHT


@pytest.mark.parametrize(
    "gold", [r"\binom{999999999}{500000000}", r"\int_0^1 \sin(x^x)e^{x^3}dx", "(x+y+z+w+u+v)^{99}"]
)
def test_a_gold_answer_over_a_bound_is_refused_like_an_answer(gold: str) -> None:
    assert MathVerify().check_gold(gold) == refusal(gold)


@pytest.mark.shared
@needs_shared
@pytest.mark.parametrize(
    "name", ["math/train", "gsm8k/train", "gsm8k/test", "aime24/test", "aime25/test", "amc23/test"]
)
def test_every_public_gold_answer_passes_the_gate(name: str) -> None:
    rows = [json.loads(line) for line in (SHARED / f"{name}.jsonl").read_text().splitlines()]
    golds = {str(row["answer"]).rpartition("####")[2].strip() for row in rows} - {""}
    assert [gold for gold in golds if refusal(gold) is not None] == []

"""Answers that pass the gate and keep Math-Verify busy: random expressions of every construct that its grammar knows.

Each is judged in a process that can be killed, against a number, a fraction, an expression, an equation and an interval;
what takes more than 2 s of processor time is a gap in the gate.
"""

import random
import re
import time
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection

from prerl_components.verifiers.gate import refusal
from prerl_components.verifiers.math_verify import MathVerify

GOLDS = ("5", r"\frac12", r"x^2+\sin y", "y=3x+1", "(2,5)", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "1,2")
SECONDS = 2.0
SECONDS_TO_KILL = 15.0

_FUNCTIONS = tuple(
    "\\" + name for name in ["sin", "cos", "tan", "ln", "log", "exp", "arctan", "arcsin", "sinh", "Gamma"]
)
_LEAVES = (
    "x",
    "y",
    "n",
    "2",
    "3",
    "7",
    "12",
    "99",
    "999",
    "9999",
    r"\pi",
    "e",
    "i",
    "0.5",
    r"\sqrt{2}",
    r"\frac{1}{3}",
    "10^{12}",
)
_NUMBERS = ("2", "3", "5", "9", "12", "20", "50", "99", "200", "999", "4321")
_CONSTRUCTS = (
    "@P+@P",
    "@P-@P",
    "@P/@P/@P",
    r"@P \cdot @P",
    "(@P)(@P)",
    r"\frac{@P}{@P}",
    "(@P)^{@N}",
    "(@P)^{@P}",
    "@F(@P)",
    "@F(@P+@P)",
    r"\sqrt{@P+@P}",
    r"\sqrt[3]{@P+@P}",
    r"\sqrt[7]{@P}",
    r"\log_{@N}(@P)",
    r"\binom{@N}{@N}",
    r"\binom{@P}{@N}",
    r"\binom{@P}{@P}",
    "(@P)!",
    "@N!",
    r"\sum_{k=1}^{@T}@P",
    r"\sum_{k=1}^{@T}\frac{@P}{k}",
    r"\prod_{k=1}^{@T}(@P+k)",
    r"\int_0^{@P}@P dx",
    r"\lim_{x\to 0}@P",
    r"\lim_{x\to \infty}\frac{@P}{@P}",
    r"\frac{d}{dx}(@P)",
    r"\lfloor @P\rfloor",
    "|@P|",
    r"\gcd(@P,@P)",
    r"\lcm(@P,@P)",
    r"\max(@P,@P)",
    r"\begin{pmatrix}@M\end{pmatrix}",
    r"\begin{vmatrix}@M\end{vmatrix}",
    r"\begin{pmatrix}@M\end{pmatrix}^{@N}",
    r"\begin{pmatrix}@M\end{pmatrix}^{-1}",
    r"\begin{pmatrix}@M\end{pmatrix}\begin{pmatrix}@M\end{pmatrix}",
    "(@P,@P)",
    r"\{@P,@P\}",
    "[@P,@P]",
    r"(@P,@P)\cup(5,7)",
    "@P=@P",
    "@P<@P",
    r"@P \ge @P",
    r"@P \mod @N",
    r"@P \pm @P",
)
"""@P an expression, @N a number, @F a function, @T an end of a sum, @M the rows of a square matrix."""


@dataclass(frozen=True)
class Slow:
    """`Slow(r"\\binom{…}{…}", "5", 15.0)`: an answer, a gold, seconds of processor time (all allowed: killed)."""

    answer: str
    gold: str
    seconds: float


def random_answer(chance: random.Random, depth: int) -> str:
    """An expression of about this depth: any construct may stand inside any other."""
    if depth <= 0:
        return chance.choice(_LEAVES)

    def filled(place: re.Match[str]) -> str:
        match place[1]:
            case "P":
                return random_answer(chance, depth - chance.choice((1, 1, 2)))
            case "N":
                return chance.choice(_NUMBERS)
            case "F":
                return chance.choice(_FUNCTIONS)
            case "T":
                return chance.choice((chance.choice(_NUMBERS), "n", r"\infty"))
            case _:
                size = chance.choice((2, 2, 3, 4))
                return r"\\".join("&".join(chance.choice(_LEAVES) for _ in range(size)) for _ in range(size))

    return re.sub("@([PNFTM])", filled, chance.choice(_CONSTRUCTS))


def slow_answers(count: int = 1000, seed: int = 0) -> tuple[list[Slow], int]:
    """The slow ones of `count` answers that pass the gate, and how many the gate refused on the way."""
    chance = random.Random(seed)
    judge = _Judge()
    slow: list[Slow] = []
    refused = passed = 0
    while passed < count:
        answer = random_answer(chance, chance.choice((1, 2, 3)))
        if refusal(answer) is not None:
            refused += 1
            continue
        passed += 1
        gold = chance.choice(GOLDS)
        seconds = judge.seconds(answer, gold)
        if seconds > SECONDS:
            slow.append(Slow(answer, gold, seconds))
    judge.end()
    return slow, refused


class _Judge:
    """A process with the verifier in it, started again after each kill."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        context = get_context("fork")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other,), daemon=True)
        self._process.start()
        assert self._connection.recv() == "ready"

    def seconds(self, answer: str, gold: str) -> float:
        """Processor seconds of the verdict; SECONDS_TO_KILL for one that was killed after as many on the clock."""
        self._connection.send((answer, gold))
        if self._connection.poll(SECONDS_TO_KILL):
            try:
                return float(self._connection.recv())
            except EOFError:
                pass
        self.end()
        self._start()
        return SECONDS_TO_KILL

    def end(self) -> None:
        self._process.kill()
        self._process.join()


def _serve(connection: Connection) -> None:
    verifier = MathVerify()
    verifier.warm_up()
    connection.send("ready")
    while True:
        answer, gold = connection.recv()
        began = time.process_time()
        verifier.judge(f"\\boxed{{{answer}}}", gold)
        connection.send(time.process_time() - began)

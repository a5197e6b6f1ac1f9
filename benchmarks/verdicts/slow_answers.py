"""Answers that pass the gate and keep Math-Verify busy: random expressions of every construct that its grammar knows.

Each is judged in a process that can be killed, against a number, a fraction, an expression, an equation and an interval;
what takes more than 2 s of processor time is a gap in the gate.
"""

import random
import time
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection

from prerl_components.verifiers.gate import refusal
from prerl_components.verifiers.math_verify import MathVerify

GOLDS = ("5", r"\frac12", r"x^2+\sin y", "y=3x+1", "(2,5)", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "1,2")
SECONDS = 2.0
SECONDS_TO_KILL = 15.0

_FUNCTIONS = ("sin", "cos", "tan", "ln", "log", "exp", "arctan", "arcsin", "sinh", "sqrt", "Gamma")
_LEAVES = ("x", "y", "n", "2", "3", "7", "12", "99", "999", "9999", r"\pi", "e", "i", "0.5", r"\sqrt{2}", r"\frac{1}{3}", "10^{12}")


@dataclass(frozen=True)
class Slow:
    """`Slow(r"\\binom{…}{…}", "5", 15.0)`: an answer, a gold, seconds of processor time (all allowed: killed)."""

    answer: str
    gold: str
    seconds: float


def random_answer(chance: random.Random, depth: int) -> str:
    """An expression of about this depth: any construct may stand inside any other."""
    if depth == 0:
        return chance.choice(_LEAVES)

    def part() -> str:
        return random_answer(chance, max(0, depth - chance.choice((1, 1, 2))))

    def number() -> str:
        return str(chance.choice((2, 3, 5, 9, 12, 20, 50, 99, 200, 999, 4321)))

    match chance.randrange(22):
        case 0:
            return f"{part()}+{part()}"
        case 1:
            return f"({part()})({part()})"
        case 2:
            return rf"\frac{{{part()}}}{{{part()}}}"
        case 3:
            return f"({part()})^{{{chance.choice((part(), number(), number()))}}}"
        case 4:
            return rf"\{chance.choice(_FUNCTIONS)}({part()})".replace(r"\sqrt(", r"\sqrt (")
        case 5:
            return rf"\sqrt[{chance.choice('2357')}]{{{part()}+{part()}}}"
        case 6:
            return rf"\binom{{{chance.choice((part(), number()))}}}{{{chance.choice((part(), number()))}}}"
        case 7:
            return f"({part()})!"
        case 8:
            return rf"\sum_{{k=1}}^{{{chance.choice((number(), 'n', r'\infty'))}}}{chance.choice((part(), 'k^2', r'\frac{1}{k}'))}"
        case 9:
            return rf"\prod_{{k=1}}^{{{chance.choice((number(), 'n'))}}}({part()}+k)"
        case 10:
            return rf"\int_0^{{{part()}}}{part()}dx"
        case 11:
            return rf"\lim_{{x\to {chance.choice(('0', r'\infty'))}}}{part()}"
        case 12:
            return rf"\lfloor {part()}\rfloor"
        case 13:
            return f"|{part()}|"
        case 14:
            return rf"\log_{{{number()}}}({part()})"
        case 15:
            size = chance.choice((2, 2, 3, 4))
            rows = (r"\\").join("&".join(chance.choice(_LEAVES) for _ in range(size)) for _ in range(size))
            environment = chance.choice(("pmatrix", "vmatrix", "bmatrix"))
            power = chance.choice(("", "", "^{-1}", f"^{{{number()}}}", "^T"))
            return rf"\begin{{{environment}}}{rows}\end{{{environment}}}{power}"
        case 16:
            return chance.choice(("({},{})", r"\{{{},{}\}}", "[{},{}]", r"({},{})\cup(5,7)")).format(part(), part())
        case 17:
            return f"{part()}{chance.choice(('=', '<', r' \ge ', r' \ne '))}{part()}"
        case 18:
            return rf"\frac{{d}}{{dx}}({part()})"
        case 19:
            return rf"{chance.choice((r'\gcd', r'\lcm', r'\max', r'\min'))}({part()},{part()})"
        case 20:
            return f"{part()}/{part()}/{part()}"
        case _:
            return rf"{part()} \cdot {part()}-{part()}"


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

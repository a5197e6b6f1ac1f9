"""Answers a second, through the worker processes that a run uses: integers, and mixed LaTeX golds."""

import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from prerl_components.verifiers.math_verify import MathVerify

from benchmarks.verdicts.right_forms import RIGHT_FORMS
from benchmarks.verdicts.triples import ENTRY
from prerl_spec.engine.verification.verdict_batch import Item
from prerl_spec.engine.verification.verifier_pool import VerifierPool


@dataclass(frozen=True)
class Throughput:
    """`Throughput("integers", 1, 2000, 0.4)`: 2000 answers in 0.4 s by one worker."""

    answers: str
    workers: int
    count: int
    seconds: float


def throughputs(golds: Sequence[str], seed: int) -> list[Throughput]:
    """Half of the answers right in another spelling, half another gold. Starting the pool is not counted."""
    integers = [gold for gold in golds if re.fullmatch(r"-?\d+", gold)]
    mixed = [gold for gold in golds if not re.fullmatch(r"-?\d+", gold)]
    chance = random.Random(seed)
    found = []
    for name, kind, count in (("integers", integers, 4000), ("mixed LaTeX", mixed, 600)):
        items = [_item(kind, chance) for _ in range(count)]
        for workers in (1, 2):
            with VerifierPool(MathVerify(workers=workers), entry_value=ENTRY) as pool:
                began = time.monotonic()
                pool.verify(items)
                found.append(Throughput(name, workers, count, time.monotonic() - began))
    return found


def _item(golds: Sequence[str], chance: random.Random) -> Item:
    gold = chance.choice(golds)
    if chance.random() < 0.5:
        answer = chance.choice(golds)
    else:
        respelled = (RIGHT_FORMS[name](gold) for name in (r"\frac as \dfrac", "spaces", "plus sign"))
        answer = next((pair[1] for pair in respelled if pair is not None), gold)
    return f"So it is \\boxed{{{answer}}}.", gold, False

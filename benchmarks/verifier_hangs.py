"""How long a batch takes in which some answers keep the verifier busy for ever, with one worker and with two.

`python benchmarks/verifier_hangs.py [--answers 512] [--hanging 32] [--asleep]`: mixed answers (integers, fractions, roots,
polynomials, intervals) judged by math_verify, and hanging ones that burn a core, or sleep. Prints seconds and verdicts.
"""

import argparse
import os
import resource
import time
from collections import Counter
from pathlib import Path

from prerl_components.verifiers.math_verify import MathVerify

from prerl_spec.engine.verification.verdict_batch import Item
from prerl_spec.engine.verification.verifier_pool import VerifierPool
from prerl_spec.types import Verdict

BUSY, ASLEEP = "\\boxed{busy}", "\\boxed{asleep}"
FORMS = (
    ("{n}", "{n}"),
    ("\\frac{{{n}}}{{7}}", "{n}/7"),
    ("{n}\\sqrt{{2}}", "\\sqrt{{2}} \\cdot {n}"),
    ("x^2+{n}x+1", "1+{n}x+x^2"),
    ("[{n},\\infty)", "({n},\\infty)"),
    ("\\left({n},2\\right)", "({n}, 2)"),
)


class Hanging(MathVerify):
    """math_verify, but for two answers."""

    def judge(self, response: str, gold: str) -> Verdict:
        if response == ASLEEP:
            time.sleep(1e6)
        while response == BUSY:
            pass
        return super().judge(response, gold)


def mixed(num_answers: int, num_hanging: int, hanging: str) -> list[Item]:
    """Answers of every form, each fourth one wrong; the hanging ones are spread evenly."""
    items = []
    for n in range(num_answers):
        answer, gold = FORMS[n % len(FORMS)]
        items.append((f"\\boxed{{{answer.format(n=n + (n % 4 == 0))}}}", gold.format(n=n), False))
    for k in range(num_hanging):
        items[k * num_answers // num_hanging] = (hanging, "1", False)
    return items


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=512)
    parser.add_argument("--hanging", type=int, default=32)
    parser.add_argument("--asleep", action="store_true")
    arguments = parser.parse_args()
    items = mixed(arguments.answers, arguments.hanging, ASLEEP if arguments.asleep else BUSY)
    # Worker processes import it by this name.
    entry = f"{Path(__file__).stem}:{Hanging.__name__}"
    print(f"{len(items)} answers, {arguments.hanging} hang; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    for workers in (1, 2):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with VerifierPool(Hanging(workers=workers), entry_value=entry) as pool:
            began = time.monotonic()
            verdicts = pool.verify(items)
            seconds = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        counts = Counter(f"{v.outcome}{' of the answer' if v.by_answer else ''}" for v in verdicts)
        print(f"{workers} workers: {seconds:.1f} s, {used:.1f} s of the cores; {dict(counts)}", flush=True)


if __name__ == "__main__":
    main()

"""How often the intervals of lm-eval's corpus metrics hold the truth: a bootstrap over questions for BLEU and chrF, the
jackknife cut off at [0, 1] for F1. `python benchmarks/corpus_intervals.py` prints the table of docs/intervals.md.

Sentences of 5 to 40 words from a Zipf vocabulary; a system copies each word with a probability that differs by sentence,
Beta(a, b). The truth is the metric of 20,000 sentences, a benchmark n of them, drawn anew. Statistics by sentence are
sacrebleu's own, so that a resample is a sum; the metric of a sum is its own too.
"""

import argparse
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from prerl_spec.statistics.bounded import RESAMPLES, bounded_jackknife

Array = npt.NDArray[np.float64]
POOL, BENCHMARKS = 20_000, 250
SYSTEMS = {"good": (8.0, 2.0), "middling": (2.0, 2.0), "poor": (1.0, 6.0)}
SIZES = (10, 20, 30, 50, 100, 300)


def corpus(rng: np.random.Generator, a: float, b: float) -> tuple[list[str], list[str]]:
    """Hypotheses and references."""
    words = np.array([f"w{place}" for place in range(2_000)])
    weights = 1.0 / np.arange(1, len(words) + 1)
    weights /= weights.sum()
    hypotheses, references = [], []
    for kept in rng.beta(a, b, POOL):
        length = int(rng.integers(5, 41))
        reference, other = (words[rng.choice(len(words), length, p=weights)] for _ in range(2))
        hypotheses.append(" ".join(np.where(rng.random(length) < kept, reference, other)))
        references.append(" ".join(reference))
    return hypotheses, references


def coverage(
    metric: BLEU | CHRF, hypotheses: list[str], references: list[str], seed: int
) -> Iterator[tuple[int, float]]:
    """For each size, the share of benchmarks whose bootstrap interval holds the metric of the pool."""
    stats_PS = np.array(metric._extract_corpus_statistics(hypotheses, [references]), dtype=np.float64)

    def of_sums(sums_S: Array) -> float:
        return float(metric._compute_score_from_stats(sums_S.astype(int).tolist()).score)

    truth, rng = of_sums(stats_PS.sum(axis=0)), np.random.default_rng(seed)
    for size in SIZES:
        held = 0
        for _ in range(BENCHMARKS):
            own_QS = stats_PS[rng.integers(0, POOL, size)]
            weight_RQ = rng.multinomial(size, np.full(size, 1 / size), RESAMPLES)
            low, high = np.quantile([of_sums(sums) for sums in weight_RQ @ own_QS], [0.025, 0.975])
            held += low <= truth <= high
        yield size, held / BENCHMARKS


def f1_coverage(seed: int) -> Iterator[tuple[str, int, float, float]]:
    """System, size, coverage of the jackknife cut off at [0, 1], and the share of benchmarks without an interval."""
    rng = np.random.default_rng(seed)
    for name, (recall, false_alarms) in {"good": (0.95, 0.02), "middling": (0.7, 0.2), "poor": (0.3, 0.1)}.items():
        share = 0.4
        truth = 2 * share * recall / (share * recall + (1 - share) * false_alarms + share)
        for size in SIZES:
            held = missing = 0
            for _ in range(BENCHMARKS):
                gold = rng.random(size) < share
                found = rng.random(size) < np.where(gold, recall, false_alarms)
                interval = bounded_jackknife(list(zip(gold, found, strict=True)), f1, (0.0, 1.0))
                missing += bool(np.isnan(interval.low))
                held += interval.low <= truth <= interval.high
            yield name, size, held / max(1, BENCHMARKS - missing), missing / BENCHMARKS


def f1(items: list[tuple[bool, bool]]) -> float:
    gold, found = np.array(items).T
    both, either = int((gold & found).sum()), int(gold.sum() + found.sum())
    return 2 * both / either if either else 0.0


def main(print_line: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metric", choices=("BLEU", "chrF", "F1"), help="only this one")
    only = parser.parse_args().metric
    print_line("| metric | system | " + " | ".join(f"n = {size}" for size in SIZES) + " |")
    print_line("|---" * (2 + len(SIZES)) + "|")
    for metric_name, metric in (("BLEU", BLEU()), ("chrF", CHRF())):
        if only not in (None, metric_name):
            continue
        for number, (name, (a, b)) in enumerate(SYSTEMS.items()):
            hypotheses, references = corpus(np.random.default_rng(number), a, b)
            cells = [f"{share:.1%}" for _, share in coverage(metric, hypotheses, references, number)]
            print_line(f"| {metric_name} | {name} | " + " | ".join(cells) + " |")
    rows: dict[str, list[str]] = {}
    for name, _, held, missing in f1_coverage(7) if only in (None, "F1") else ():
        rows.setdefault(name, []).append(f"{held:.1%}" + (f" ({missing:.0%} none)" if missing >= 0.005 else ""))
    for name, cells in rows.items():
        print_line(f"| F1 | {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()

"""How often the intervals of scores hold the truth, simulated where truth is known: mixes of questions × sizes × metrics.

    python -m benchmarks.coverage [--replications 4000] [--held-out | --losses] [--out docs/evidence/intervals.json]

A replication draws Q questions from a mix (each is its probability of a right response), k responses to each, and asks whether
the 95 % interval holds the mean over the *mix*: questions are the clusters, other questions could have been asked. Differences
are those of two checkpoints on the same questions, each with k responses of its own; the second one's probabilities are
`same`, `shifted` (logit + 0.5), `redrawn` (three of ten questions anew from the mix), `learnt` or `fifth` (a tenth or a fifth
of the questions lose half of what they lacked, p → (1 + p)/2). `--held-out` takes other mixes and sizes, on which no constant
of the construction was chosen; `--losses` asks about second checkpoints that gain a little on every question (logit + 0.5) and
lose a few altogether: one of twenty (`forgotten`), or as many as take the mean gain away (`traded`). Compared: the shipped one,
Student's t (clipped; exact where all values are equal) and Wilson's with the effective n of the clusters.
`docs/write_intervals.py` writes the page.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, betaln, expit, logit, stdtrit

from benchmarks.coverage_limit import least_coverage
from prerl_spec.statistics.unseen import TAIL, difference_bounds, share_bounds

Array = npt.NDArray[np.float64]
SIZES = ((30, 16), (30, 64), (500, 1), (500, 4))
SHIFT, REDRAWN = 0.5, 0.3
LEARNT = {"learnt": 0.1, "fifth": 0.2}
"""Of the questions, that lose half of what they lacked."""
FORGOTTEN, TRADED = "forgotten", "traded"
LOST = 0.05
"""Of the questions, that are never right any more in a `forgotten` pair."""
AT_ONCE = 1000
LARGEST = 3
"""Differences whose share of all squared ones says how few questions carry a difference."""
FEW = 60
"""Up to this number of questions the least coverage that any interval could have is worked out."""
OUT, HELD_OUT = Path("docs/evidence/intervals.json"), Path("docs/evidence/held_out.json")
LOSSES = Path("docs/evidence/losses.json")


@dataclass(frozen=True)
class Mix:
    """How likely questions are answered right: Beta(a, b), or points with their weights."""

    name: str
    beta: tuple[float, float] | None = None
    points: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()

    def draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> Array:
        if self.beta is not None:
            return generator.beta(*self.beta, shape)
        return generator.choice(np.array(self.points), size=shape, p=self.weights)

    def mean(self, function: Callable[[Array], Array]) -> float:
        """The mean of a function of p over the mix; by 20,000 quantiles where it is a Beta."""
        if self.beta is None:
            return float(np.dot(self.weights, function(np.array(self.points))))
        return float(function(betaincinv(*self.beta, (np.arange(20_000) + 0.5) / 20_000)).mean())

    def rate(self) -> float:
        return self.beta[0] / sum(self.beta) if self.beta is not None else float(np.dot(self.weights, self.points))

    def failing(self, k: int) -> float:
        """E (1 − p)^k: the probability that none of k responses is right."""
        if self.beta is None:
            return float(np.dot(self.weights, (1 - np.array(self.points)) ** k))
        a, b = self.beta
        return float(np.exp(betaln(a, b + k) - betaln(a, b)))


MIXES = (
    *(Mix(f"Beta({a:g}, {b:g})", (a, b)) for a, b in ((0.05, 1), (0.1, 1), (0.5, 0.5), (1, 1), (5, 5), (1, 0.1))),
    Mix("all .02", points=(0.02,), weights=(1.0,)),
    Mix("all .98", points=(0.98,), weights=(1.0,)),
    Mix("half 0, half 1", points=(0.0, 1.0), weights=(0.5, 0.5)),
    Mix("90 % 0, 10 % .5", points=(0.0, 0.5), weights=(0.9, 0.1)),
)

HELD_OUT_SIZES = ((15, 8), (60, 8), (200, 4))
HELD_OUT_MIXES = (
    *(Mix(f"Beta({a:g}, {b:g})", (a, b)) for a, b in ((0.2, 2), (0.03, 0.3), (0.3, 0.1), (2, 8))),
    Mix("70 % .01, 20 % .3, 10 % .95", points=(0.01, 0.3, 0.95), weights=(0.7, 0.2, 0.1)),
    Mix("95 % 0, 5 % .9", points=(0.0, 0.9), weights=(0.95, 0.05)),
)


def shifted(p: Array) -> Array:
    return np.asarray(expit(logit(p) + SHIFT))


@dataclass(frozen=True)
class Case:
    """A metric in a mix: how a pair of arms is drawn, and its true value; `pairing` is None for one arm alone."""

    mix: Mix
    questions: int
    samples: int
    passes: bool
    pairing: str | None = None

    @property
    def metric(self) -> str:
        name = "pass@k" if self.passes else "avg@k"
        return name if self.pairing is None else f"difference of {name}, {self.pairing}"

    @property
    def effective_samples(self) -> int:
        """Responses that a share is a count of: pass@k is 0 or 1."""
        return 1 if self.passes else self.samples

    def truth(self) -> float:
        mix, k = self.mix, self.samples
        if self.pairing is None:
            return 1.0 - mix.failing(k) if self.passes else mix.rate()
        if self.pairing == "shifted":
            return (
                mix.mean(lambda p: (1 - p) ** k - (1 - shifted(p)) ** k)
                if self.passes
                else mix.mean(lambda p: shifted(p) - p)
            )
        if self.pairing in (FORGOTTEN, TRADED):
            return (1.0 - self.lost()) * mix.mean(lambda p: self._value(shifted(p))) - mix.mean(self._value)
        if self.pairing in LEARNT:
            return LEARNT[self.pairing] * (mix.failing(k) * (1 - 0.5**k) if self.passes else (1 - mix.rate()) / 2)
        return 0.0

    def differing(self) -> float | None:
        """How likely a question's pass@k differs, where it does so up as often as down; None for other cases."""
        if not self.passes or self.pairing not in ("same", "redrawn"):
            return None
        once, twice = self.mix.failing(self.samples), self.mix.failing(2 * self.samples)
        anew = REDRAWN if self.pairing == "redrawn" else 0.0
        return 2.0 * ((1.0 - anew) * (once - twice) + anew * once * (1.0 - once))

    def lost(self) -> float:
        """The share of questions that the second checkpoint never gets right, of those pairings that lose any."""
        if self.pairing == TRADED:
            return 1.0 - self.mix.mean(lambda p: p) / self.mix.mean(shifted)
        return LOST

    def _value(self, p: Array) -> Array:
        """What a question is expected to add to the metric."""
        return 1.0 - (1.0 - p) ** self.samples if self.passes else p

    def draw(self, generator: np.random.Generator, replications: int) -> list[Array]:
        """One array of shares [R, Q] for each arm."""
        shape = (replications, self.questions)
        p = self.mix.draw(generator, shape)
        probabilities = [p] if self.pairing is None else [p, self._second(generator, p)]
        counts = [generator.binomial(self.samples, of_arm) for of_arm in probabilities]
        return [(count > 0) * 1.0 if self.passes else count / self.samples for count in counts]

    def _second(self, generator: np.random.Generator, p: Array) -> Array:
        if self.pairing == "shifted":
            return shifted(p)
        if self.pairing in (FORGOTTEN, TRADED):
            return np.where(generator.random(p.shape) < self.lost(), 0.0, shifted(p))
        if self.pairing == "redrawn":
            return np.where(generator.random(p.shape) < REDRAWN, self.mix.draw(generator, p.shape), p)
        if self.pairing in LEARNT:
            return np.where(generator.random(p.shape) < LEARNT[self.pairing], (1 + p) / 2, p)
        return p


def cases(mixes: Sequence[Mix] = MIXES, sizes: Sequence[tuple[int, int]] = SIZES) -> Iterator[Case]:
    for pairing in (None, "same", "shifted", "redrawn", *LEARNT):
        for passes in (False, True):
            for mix in mixes:
                for questions, samples in sizes:
                    if not passes or samples > 1:
                        yield Case(mix, questions, samples, passes, pairing)


def cases_of_losses() -> Iterator[Case]:
    for pairing in (FORGOTTEN, TRADED):
        for mix in MIXES:
            for questions, samples in SIZES:
                yield Case(mix, questions, samples, passes=False, pairing=pairing)


def shipped(case: Case, arms: list[Array]) -> tuple[Array, Array]:
    if case.pairing is None:
        return share_bounds(arms[0])
    return difference_bounds(arms[0], arms[1], case.effective_samples)


def student(case: Case, arms: list[Array]) -> tuple[Array, Array]:
    value_Q = arms[0] if case.pairing is None else arms[1] - arms[0]
    least, num_questions, mean = (0.0 if case.pairing is None else -1.0), case.questions, value_Q.mean(axis=-1)
    reach = stdtrit(num_questions - 1, 1 - TAIL) * value_Q.std(axis=-1, ddof=1) / np.sqrt(num_questions)
    unseen = np.where(reach == 0.0, 1.0 - TAIL ** (1 / num_questions), 0.0)
    low, high = mean - reach - unseen * (mean - least), mean + reach + unseen * (1.0 - mean)
    return np.clip(low, least, 1.0), np.clip(high, least, 1.0)


def wilson(case: Case, arms: list[Array]) -> tuple[Array, Array] | None:
    """Wilson's score interval with n = p̂(1 − p̂) / (s²/Q), the binomial sample that has the clusters' standard error."""
    if case.pairing is not None:
        return None
    mean, num_questions = arms[0].mean(axis=-1), case.questions
    own, error = mean * (1 - mean), arms[0].var(axis=-1, ddof=1) / num_questions
    effective = np.where(error > 0, own / np.where(error > 0, error, 1.0), num_questions)
    z = stdtrit(num_questions - 1, 1 - TAIL)
    centre, scale = mean + z**2 / (2 * effective), 1 + z**2 / effective
    reach = z * np.sqrt(own / effective + z**2 / (4 * effective**2))
    return (centre - reach) / scale, (centre + reach) / scale


def of_largest(difference_RQ: Array) -> Array:
    """For each benchmark the share of Σ d² that its `LARGEST` largest differences hold; 1 where no question differs."""
    square_RQ = np.sort(difference_RQ**2, axis=-1)
    total_R = square_RQ.sum(axis=-1)
    return np.asarray(
        np.where(total_R > 0.0, square_RQ[:, -LARGEST:].sum(axis=-1) / np.where(total_R > 0.0, total_R, 1.0), 1.0)
    )


def measure(case: Case, replications: int, seed: int = 13) -> dict[str, float]:
    """Coverage of each interval in per cent, from which side it misses, and its median width; of differences also in how many
    benchmarks each excludes 0, how far it reaches to either side of the mean, how many questions differ, and what share of
    Σ d² three of them hold (medians)."""
    place = [mix.name for mix in (*MIXES, *HELD_OUT_MIXES)].index(case.mix.name)
    truth, ways = case.truth(), {"shipped": shipped, "student": student, "wilson": wilson}
    found: dict[str, list[tuple[Array, Array]]] = {name: [] for name in ways}
    constant, mean_parts, differing_parts, largest_parts = 0, list[Array](), list[Array](), list[Array]()
    for part in range(0, replications, AT_ONCE):
        metric = sum(map(ord, case.metric))
        generator = np.random.default_rng([seed, place, case.questions, case.samples, metric, part])
        arms = case.draw(generator, min(AT_ONCE, replications - part))
        value_Q = arms[0] if case.pairing is None else arms[1] - arms[0]
        constant += int((value_Q.min(axis=-1) == value_Q.max(axis=-1)).sum())
        mean_parts.append(value_Q.mean(axis=-1))
        differing_parts.append((value_Q != 0.0).sum(axis=-1))
        largest_parts.append(of_largest(value_Q))
        for name, way in ways.items():
            bounds = way(case, arms)
            if bounds is not None:
                found[name].append(bounds)
    row: dict[str, float] = {"constant": round(100 * constant / replications, 2)}
    differing = case.differing()
    if differing is not None and case.questions <= FEW:
        row["limit"] = round(100 * least_coverage(case.questions, differing), 2)
    if case.pairing is not None:
        row["differing"] = float(np.median(np.concatenate(differing_parts)))
        row["largest"] = round(100 * float(np.median(np.concatenate(largest_parts))), 1)
    for name, parts in found.items():
        if parts:
            low, high = (np.concatenate(bounds) for bounds in zip(*parts, strict=True))
            # 1e-9: where every sample is constant, a bound may be the truth itself.
            below, above = high < truth - 1e-9, low > truth + 1e-9
            row[name] = round(100 * float(1 - below.mean() - above.mean()), 2)
            row[f"{name}_width"] = float(f"{np.median(high - low):.3g}")
            if case.pairing is not None:
                row[f"{name}_excludes"] = round(100 * float(((low > 1e-9) | (high < -1e-9)).mean()), 2)
                mean_R = np.concatenate(mean_parts)
                row[f"{name}_down"] = float(f"{np.median(mean_R - low):.3g}")
                row[f"{name}_up"] = float(f"{np.median(high - mean_R):.3g}")
            if name == "shipped":
                row["below"], row["above"] = round(100 * float(below.mean()), 2), round(100 * float(above.mean()), 2)
            elif name == "student":
                row["student_below"] = round(100 * float(below.mean()), 2)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--replications", type=int, default=4000)
    others = parser.add_mutually_exclusive_group()
    others.add_argument("--held-out", action="store_true", help="other mixes and sizes; written to held_out.json")
    others.add_argument("--losses", action="store_true", help="gains paid for by losses; written to losses.json")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.losses:
        out, chosen = LOSSES, cases_of_losses()
    elif options.held_out:
        out, chosen = HELD_OUT, cases(HELD_OUT_MIXES, HELD_OUT_SIZES)
    else:
        out, chosen = OUT, cases()
    out = options.out or out
    rows = []
    for case in chosen:
        named = {"metric": case.metric, "mix": case.mix.name, "questions": case.questions, "samples": case.samples}
        rows.append({**named, **measure(case, options.replications)})
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    out.write_text(f'{{"replications": {options.replications}, "rows": [\n{lines}\n]}}\n', encoding="utf-8")
    for row in rows:
        if not 93 <= row["shipped"] <= 99:
            print(row)


if __name__ == "__main__":
    main()

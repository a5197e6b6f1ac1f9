"""The chain of a comparison on simulated studies: how often it claims what is not there, and what it detects of what is.

    python -m benchmarks.study_simulation [--studies 4000] [--json]

A study is arms × seeds × questions: Q questions of difficulty Uniform(.3, .7), drawn once a study; each seed of an arm moves
all of them by a normal amount (sd .03, half of its variance shared by the arms of a seed: what pairing removes); each question
gets k responses. Then the code that `compare` runs on what it has read (`comparison.claims.with_findings`): differences from
the baseline by seed, t over seeds, Holm over arms, one sign over the axes. The arms end alike in generated tokens, as a study's
`match` sees to. Updates and seconds are `ends`, alike as well, or `curves`: an arm is read at another place there, from k
other responses a question. Under the null every arm is the baseline's equal; a false positive is a study with any claim. For
power one arm is better by `detectable_effect` of the differences' true standard deviation for as many comparisons as arms, the
others are the baseline's equals (for Holm the least favourable case), and what counts is that the better one is claimed.

Not simulated: how amounts are read from a run's events, and arms whose curves cross.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

from prerl_spec.comparison.claims import with_findings
from prerl_spec.comparison.equal_amounts import AtEqual
from prerl_spec.comparison.estimates import over_seeds
from prerl_spec.comparison.findings import NO_FINDING, Difference
from prerl_spec.comparison.scored_run import AXES
from prerl_spec.statistics.seeds import detectable_effect

Axes = Literal["ends", "curves"]
Array = npt.NDArray[np.float64]
NUM_QUESTIONS, NUM_SAMPLES = 50, 8
EASIEST, HARDEST = 0.7, 0.3
SEED_SD = 0.03
"""Of an arm's shares between seeds, in addition to what 50 × 8 responses leave to chance."""
SHARED = 0.5
"""Share of the seeds' variance that the arms of a seed have in common."""
NUM_SEEDS, NUM_ARMS = (3, 5, 20), (1, 3)


@dataclass(frozen=True)
class Outcome:
    """Of how many studies which share claimed anything: `Outcome(3, 1, "ends", effect=0.0, studies=4000, claimed=.049)`."""

    seeds: int
    arms: int
    axes: Axes
    effect: float
    studies: int
    claimed: float

    @property
    def error(self) -> float:
        """Monte-Carlo standard error of a share of 5 % (null) or 80 % (effect) of these studies."""
        expected = 0.8 if self.effect else 0.05
        return sqrt(expected * (1 - expected) / self.studies)


def differences(generator: np.random.Generator, num_arms: int, num_seeds: int, effect: float, places: int = 1) -> Array:
    """[place, arm, seed] of one study: the first arm is better by `effect`, the others are the baseline's equals; each place
    has responses of its own to the same questions."""
    difficulty_Q = generator.uniform(HARDEST, EASIEST, NUM_QUESTIONS)
    of_seed_S = generator.normal(0.0, SEED_SD * sqrt(SHARED), num_seeds)
    of_arm_AS = generator.normal(0.0, SEED_SD * sqrt(1 - SHARED), (num_arms + 1, num_seeds))
    of_arm_AS[1] += effect
    share_ASQ = np.clip(difficulty_Q + (of_seed_S + of_arm_AS)[:, :, None], 0.0, 1.0)
    right_PAS = generator.binomial(NUM_SAMPLES, share_ASQ, (places, *share_ASQ.shape)).mean(axis=3) / NUM_SAMPLES
    return np.asarray(right_PAS[:, 1:] - right_PAS[:, :1])


def difference_of(arm: str, difference_PS: Array) -> Difference:
    """As `compare` would have it: the first place is the ends, the others, if there are any, those of updates and seconds."""
    estimate = over_seeds(difference_PS[0].tolist())
    at_P = [
        AtEqual("ends" if place == 0 else "curve", float(of_seed.mean())) for place, of_seed in enumerate(difference_PS)
    ]
    return Difference(
        arm=arm,
        task="simulated",
        metric="pass@1",
        values={},
        baseline_values={},
        by_seeds=estimate,
        by_questions=None,
        why_no_questions="",
        axes={axis: at_P[min(place, len(at_P) - 1)] for place, axis in enumerate(AXES)},
        ends_alike=("generated_tokens",),
        adjusted_p=None,
        finding=NO_FINDING,
    )


def sd_of_differences(effect: float = 0.0) -> float:
    """Standard deviation of a paired difference between seeds: √(2 · own variance of an arm + E p(1−p) / Qk of either arm);
    an arm better by `effect` has less of the latter."""
    spread = (EASIEST - HARDEST) ** 2 / 12 + SEED_SD**2
    means = [(EASIEST + HARDEST) / 2 + gain for gain in (0.0, effect)]
    by_chance = [(mean * (1 - mean) - spread) / (NUM_QUESTIONS * NUM_SAMPLES) for mean in means]
    return sqrt(2 * SEED_SD**2 * (1 - SHARED) + sum(by_chance))


def claimed(
    num_studies: int, num_arms: int, num_seeds: int, *, effect: bool, axes: Axes = "ends", seed: int = 13
) -> Outcome:
    """The share of simulated studies in which any arm (under an effect: the better one, as better) is claimed."""
    generator = np.random.default_rng([seed, num_arms, num_seeds, effect])
    size = detectable_effect(sd_of_differences(), num_seeds, num_comparisons=num_arms) if effect else 0.0
    places = 1 if axes == "ends" else len(AXES)
    hits = 0
    for _ in range(num_studies):
        drawn_PAS = differences(generator, num_arms, num_seeds, size, places)
        found = with_findings(
            [difference_of(str(arm), drawn_PAS[:, arm]) for arm in range(num_arms)], [True] * num_arms
        )
        codes = [difference.finding.code for difference in found]
        hits += codes[0] == "better" if effect else any(code in ("better", "worse") for code in codes)
    return Outcome(num_seeds, num_arms, axes, size, num_studies, hits / num_studies)


def settings() -> Iterator[tuple[bool, int, int, Axes]]:
    """Effect or none, arms, seeds and axes of each row of the evidence, in its order."""
    both: tuple[Axes, ...] = ("ends", "curves")
    yield from product((False, True), NUM_ARMS, NUM_SEEDS, both)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--studies", type=int, default=4000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = [
        claimed(options.studies, arms, seeds, effect=effect, axes=axes) for effect, arms, seeds, axes in settings()
    ]
    if options.json:
        print(json.dumps([vars(outcome) for outcome in found], indent=1))
        return
    for outcome in found:
        what = f"power at {outcome.effect:.4f}" if outcome.effect else "false positives"
        which = f"{outcome.seeds:3} seeds, {outcome.arms} arms, axes {outcome.axes}"
        print(f"{which}: {what} {outcome.claimed:.2%} ± {outcome.error:.2%} (1 s.e.)")


if __name__ == "__main__":
    main()

"""The chain of a comparison on simulated studies: how often it claims what is not there, and what it detects of what is.

    python -m benchmarks.study_simulation [--studies 4000] [--json]

A study is arms × seeds × questions: Q questions of difficulty Uniform(.3, .7), drawn once a study; each seed of an arm moves
all of them by a normal amount (sd .03, half of its variance shared by the arms of a seed: what pairing removes); each question
gets k responses. Then the code that `compare` runs: differences from the baseline by seed, t over seeds, Holm over arms. Under
the null every arm is the baseline's equal; a false positive is a study with any claim. For power one arm is better by
`detectable_effect` of the differences' true standard deviation.
"""

import argparse
import json
from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt

from prerl_spec.statistics.claims import arm_differences
from prerl_spec.statistics.seeds import detectable_effect

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
    """Of how many studies which share claimed anything: `Outcome(seeds=3, arms=1, effect=0.0, studies=4000, claimed=.049)`."""

    seeds: int
    arms: int
    effect: float
    studies: int
    claimed: float

    @property
    def error(self) -> float:
        """Monte-Carlo standard error of a share of 5 % (null) or 80 % (effect) of these studies."""
        expected = 0.8 if self.effect else 0.05
        return sqrt(expected * (1 - expected) / self.studies)


def differences(generator: np.random.Generator, num_arms: int, num_seeds: int, effect: float) -> Array:
    """[arm, seed] of one study: the first arm is better by `effect`, the others are the baseline's equals."""
    difficulty_Q = generator.uniform(HARDEST, EASIEST, NUM_QUESTIONS)
    of_seed_S = generator.normal(0.0, SEED_SD * sqrt(SHARED), num_seeds)
    of_arm_AS = generator.normal(0.0, SEED_SD * sqrt(1 - SHARED), (num_arms + 1, num_seeds))
    of_arm_AS[1] += effect
    share_ASQ = np.clip(difficulty_Q + (of_seed_S + of_arm_AS)[:, :, None], 0.0, 1.0)
    right_AS = generator.binomial(NUM_SAMPLES, share_ASQ).mean(axis=2) / NUM_SAMPLES
    return np.asarray(right_AS[1:] - right_AS[0])


def sd_of_differences() -> float:
    """Standard deviation of a paired difference between seeds: √(2 (own variance of an arm + E p(1−p) / Qk))."""
    mean = (EASIEST + HARDEST) / 2
    spread = (EASIEST - HARDEST) ** 2 / 12 + SEED_SD**2
    by_chance = (mean * (1 - mean) - spread) / (NUM_QUESTIONS * NUM_SAMPLES)
    return sqrt(2 * (SEED_SD**2 * (1 - SHARED) + by_chance))


def claimed(num_studies: int, num_arms: int, num_seeds: int, *, effect: bool, seed: int = 13) -> Outcome:
    """The share of simulated studies in which any arm (under an effect: the better one, as better) is claimed."""
    generator = np.random.default_rng([seed, num_arms, num_seeds, effect])
    size = detectable_effect(sd_of_differences(), num_seeds) if effect else 0.0
    hits = 0
    for _ in range(num_studies):
        found = arm_differences(
            {str(arm): row.tolist() for arm, row in enumerate(differences(generator, num_arms, num_seeds, size))}
        )
        hits += found["0"].sign == 1 if effect else any(arm.sign for arm in found.values())
    return Outcome(num_seeds, num_arms, size, num_studies, hits / num_studies)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--studies", type=int, default=4000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = [
        *(claimed(options.studies, arms, seeds, effect=False) for arms in NUM_ARMS for seeds in NUM_SEEDS),
        *(claimed(options.studies, 1, seeds, effect=True) for seeds in NUM_SEEDS),
    ]
    if options.json:
        print(json.dumps([vars(outcome) for outcome in found], indent=1))
        return
    for outcome in found:
        what = f"power at {outcome.effect:.4f}" if outcome.effect else "false positives"
        print(
            f"{outcome.seeds:3} seeds, {outcome.arms} arms: {what} {outcome.claimed:.2%} ± {outcome.error:.2%} (1 s.e.)"
        )


if __name__ == "__main__":
    main()

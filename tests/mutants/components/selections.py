"""Faults in selections and ramps."""

from tests.mutants.mutant import Mutant
from tests.mutants.places import COMPONENTS, RAMPS, SELECTED, SELECTIONS

ROWS = (
    Mutant(
        "x23",
        f"{SELECTIONS}/top_entropy.py",
        "entropy_N >= np.quantile",
        "entropy_N <= np.quantile",
        "the most certain tokens are kept",
        SELECTED,
    ),
    Mutant(
        "x24",
        f"{SELECTIONS}/top_entropy.py",
        "1 - self.share",
        "self.share",
        "the share is that of the dropped",
        SELECTED,
    ),
    Mutant(
        "x25",
        f"{SELECTIONS}/top_entropy.py",
        "np.quantile(entropy_N[ranked_N],",
        "np.quantile(entropy_N,",
        "masked tokens decide which others are kept",
        SELECTED,
    ),
    Mutant(
        "x26",
        f"{SELECTIONS}/top_entropy.py",
        "in_denominator: ClassVar[bool] = False",
        "in_denominator: ClassVar[bool] = True",
        "dropped tokens still count in the denominator",
        SELECTED,
    ),
    Mutant(
        "x27",
        f"{SELECTIONS}/cov_mask.py",
        "(cov_N >= self.low)",
        "(cov_N <= self.low)",
        "tokens of low covariance are dropped",
        SELECTED,
    ),
    Mutant(
        "x28",
        f"{SELECTIONS}/cov_mask.py",
        "advantage_N - _mean(advantage_N[ranked_N])",
        "advantage_N",
        "the covariance forgets a mean",
        SELECTED,
    ),
    Mutant(
        "x29",
        "components/prerl_components/selections/lots.py",
        "step.stream, dtype",
        "0, dtype",
        "every step draws the same lots",
        SELECTED,
    ),
    Mutant(
        "va04",
        f"{COMPONENTS}/ramps/cosine.py",
        "(1 - math.cos(math.pi * self.progress(step))) / 2",
        "self.progress(step)",
        "a cosine is a straight line",
        RAMPS,
    ),
    Mutant(
        "va05",
        f"{COMPONENTS}/ramps/linear.py",
        "(self.end - self.start) * self.progress(step)",
        "(self.end - self.start) * self.progress(step + 1)",
        "a ramp ends one step early",
        RAMPS,
    ),
)

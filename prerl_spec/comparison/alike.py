"""Arms that differ in nothing: their text does, and the runs of every pair end in the same weights."""

from collections.abc import Sequence

from prerl_spec.comparison.arms import Absent, Arm
from prerl_spec.comparison.pairs import pairs_of
from prerl_spec.errors import UsageError


def that_differ(arms: Sequence[Arm]) -> tuple[list[Arm], list[Absent]]:
    """The arms without those whose runs of every seed end in the weights of an earlier arm's, and these, named.

    Raises UsageError where fewer than two arms are left.
    """
    if len(arms) < 2:
        only = f"all of arm {arms[0].name}: they differ in their seeds only" if arms else "none"
        raise UsageError(f"a comparison needs two arms, and the runs given are {only}", hint="name runs of another arm")
    left: list[Arm] = []
    absent = []
    for arm in arms:
        twin = next((earlier for earlier in left if _train_alike(earlier, arm)), None)
        if twin is None:
            left.append(arm)
        else:
            absent.append(Absent(arm.name, f"it ends in the weights of {twin.name}: the two differ in nothing"))
    if len(left) == 1:
        raise UsageError(
            f"{arms[0].name} and {arms[1].name} differ in nothing: they end in the same weights",
            hint="`prerl-spec report RUN` shows whether any update was applied",
        )
    return left, absent


def _train_alike(first: Arm, other: Arm) -> bool:
    pairs, _ = pairs_of(first, other)
    both = [(pair.first.last_weights, pair.second.last_weights) for pair in pairs]
    return bool(both) and all(weights is not None and weights == twin for weights, twin in both)

"""Metrics of right and wrong responses by their names: avg@n, pass@k, maj@k, G-Pass@k_0.5, mG-Pass@k."""

import re

from prerl_spec.statistics.majority import Votes, maj_at_k
from prerl_spec.statistics.pass_at_k import avg_at_k, pass_at_k
from prerl_spec.statistics.stable_pass import TAU, g_pass_at_k, mean_g_pass_at_k
from prerl_spec.types import Draw

_AT_K = re.compile(r"(avg|pass|maj|mG-Pass)@([1-9]\d*)|(G-Pass)@([1-9]\d*)_([01]|0\.\d+|1\.0)")


CONSENSUS = ("G-Pass@", "mG-Pass@")
"""What the names of the metrics begin with that come along with a written k, and that nobody asked for by name."""


def at_k_metrics(draw: Draw, *, has_answers: bool) -> list[str]:
    """The metrics of n responses a question, for each wanted k; maj@k where answers can be told apart, those of consensus
    where k is written and above 1 (for k = 1 all are avg@n), mG-Pass@k for an even k only."""
    names = [f"avg@{draw.samples}", *(f"pass@{k}" for k in draw.sizes)]
    for k in draw.k and draw.sizes:
        if k > 1:
            names += [f"maj@{k}"] if has_answers else []
            names += [f"G-Pass@{k}_{TAU:g}"]
            names += [f"mG-Pass@{k}"] if k % 2 == 0 else []
    return names


def wants_votes(draw: Draw) -> bool:
    """Whether it matters which responses gave one answer: some maj@k is wanted."""
    return any(k > 1 for k in draw.k)


def at_k_value(metric: str, num_right: int, num_samples: int, votes: Votes | None) -> float | None:
    """What a question with this many right responses adds to the mean of a metric; None for a metric of another kind, and for
    maj@k where it is not known which responses gave one answer. Raises ValueError for a k above the number of samples."""
    found = _AT_K.fullmatch(metric)
    if found is None:
        return None
    name, k = found[1] or found[3], int(found[2] or found[4])
    if name == "maj":
        return None if votes is None else maj_at_k(votes, num_samples, k)
    if name == "G-Pass":
        return g_pass_at_k(num_right, num_samples, k, float(found[5]))
    if name == "mG-Pass":
        return mean_g_pass_at_k(num_right, num_samples, k)
    estimate = pass_at_k(num_right, num_samples, k)
    return estimate if name == "pass" else avg_at_k(num_right, num_samples)

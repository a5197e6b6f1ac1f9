"""Which metrics are better where they are lower: by what the task says, and by names that say so themselves."""

from collections.abc import Collection

# fmt: off
LOWER_IS_BETTER = frozenset({
    "perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "brier_score", "ter", "wer", "cer", "loss", "nll",
    "mse", "rmse", "mae",
})
# fmt: on
"""Metrics of which lm-eval, or the name alone, says that less is better."""


def is_lower_better(metric: str, said: Collection[str] = ()) -> bool:
    """Whether less of a metric is better, by the names that its task says this of or by its own: True for "ter,none" and
    "avg@4,wer,none", False for "acc,none" and for any name that is not known."""
    return metric in said or not LOWER_IS_BETTER.isdisjoint(metric.split(","))

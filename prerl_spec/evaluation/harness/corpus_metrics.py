"""BLEU, chrF and TER by sentence: statistics whose sum over sentences gives a corpus its score, so that resamples are sums."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from lm_eval.api.metrics import _sacreformat
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from prerl_spec.statistics.bounded import bootstrap_interval, no_interval
from prerl_spec.statistics.intervals import Interval

OF_CORPORA: Mapping[str, Callable[[], Any]] = {
    "bleu": BLEU,
    "chrf": CHRF,
    "chrfpp": lambda: CHRF(word_order=2),
    "ter": TER,
}
"""lm-eval's aggregates by the names of their functions, with what computes them."""


def corpus_interval(name: str, item_Q: Sequence[Any], value: float) -> Interval:
    """The bootstrap interval of one of `OF_CORPORA` over (reference, hypothesis) pairs; none below 100 questions, and none
    where sacrebleu's statistics do not give lm-eval's value."""
    metric = OF_CORPORA[name]()
    references, hypotheses = _sacreformat(*map(list, zip(*item_Q, strict=True)))
    stats_QS = np.array(metric._extract_corpus_statistics(hypotheses, references))

    def score(rows: Sequence[npt.NDArray[Any]]) -> float:
        return float(metric._compute_score_from_stats(np.sum(rows, axis=0).tolist()).score)

    found = bootstrap_interval(list(stats_QS), score)
    # lm-eval's own settings of sacrebleu may change with its version.
    return found if abs(found.value - value) < 1e-6 else no_interval(value)

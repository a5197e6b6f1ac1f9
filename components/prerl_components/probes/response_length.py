"""Response lengths and truncation: the first metric to degrade in a long NSR warm-up."""

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from prerl_spec.sdk import Component, Outcome, Step


class ResponseLength(Component):
    """Tokens per response (EOS included): mean, median, 95th percentile, maximum; mean per verdict; share truncated."""

    kind = "probe"
    metric_names = ("response_length_*",)

    every: int = Field(1, ge=1, description="steps between measurements")

    def measure(self, step: Step) -> Mapping[str, float]:
        """The step's metrics; none for an empty step, or for a verdict that did not occur."""
        if not step.samples:
            return {}
        length_S = np.array([len(a.tokens) for a in step.samples], dtype=np.float64)
        metrics = {
            "response_length_mean": float(length_S.mean()),
            "response_length_median": float(np.median(length_S)),
            "response_length_p95": float(np.percentile(length_S, 95)),
            "response_length_max": float(length_S.max()),
            "response_length_truncated": float(np.mean([a.stop == "length" for a in step.samples])),
        }
        for outcome in (Outcome.RIGHT, Outcome.WRONG, Outcome.UNPARSABLE):
            judged_S = np.array([a.verdict is not None and a.verdict.outcome is outcome for a in step.samples])
            if judged_S.any():
                metrics[f"response_length_{outcome}"] = float(length_S[judged_S].mean())
        return metrics

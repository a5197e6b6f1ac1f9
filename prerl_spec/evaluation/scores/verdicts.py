"""What the verifier says of scored responses, and when it says so little that there is no score."""

from collections.abc import Sequence

from prerl_spec.errors import RunFailed
from prerl_spec.registry.kinds import EvaluationSite, Verifier
from prerl_spec.types import Outcome, Verdict

MAX_FAULT_SHARE = 0.05
MIN_FAULTS = 3


def verdicts_on(site: EvaluationSite, verifier: Verifier, evidence: Sequence[tuple[str, str, bool]]) -> list[Verdict]:
    """The verdicts on (response, gold, truncated), in order.

    Raises RunFailed where more than 5 % (and at least 3) are timeouts or errors: they say nothing about the responses,
    and a score over them would say it for them.
    """
    verdicts = site.verify(verifier, evidence)
    faults = [verdict for verdict in verdicts if verdict.outcome in (Outcome.TIMEOUT, Outcome.ERROR)]
    if len(faults) >= MIN_FAULTS and len(faults) > MAX_FAULT_SHARE * len(verdicts):
        raise RunFailed(
            f"the verifier gave no verdict on {len(faults)} of {len(verdicts)} responses, first: {faults[0].detail}",
            hint="hint the verifier, or raise its deadline_seconds",
        )
    return verdicts


def count_right(verdicts: Sequence[Verdict]) -> int:
    """How many are right: a score of 1. A timeout or an error is none, so that a fault never raises a score."""
    return sum(verdict.score is not None and verdict.score >= 1.0 for verdict in verdicts)

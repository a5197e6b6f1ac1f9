"""A verifier judges in a worker process as a run has it: under its deadline, with what it has declared and nothing else."""

from collections.abc import Sequence
from typing import Any

from prerl_spec.engine.verification.verifier_pool import VerifierPool
from prerl_spec.errors import EnvironmentUnmet, RunFailed
from prerl_spec.registry.kinds.judging import declared_environment, declares_network
from prerl_spec.testing.laws.judging import ODD_RESPONSES
from prerl_spec.types import Outcome


def check_in_a_worker(verifier: Any, examples: Sequence[tuple[str, str]]) -> None:
    """The verifier's examples (response, gold answer), and odd responses, get a verdict from a worker process.

    Raises AssertionError where it declares what no worker is given, cannot be started, raises, or takes longer than its
    deadline: a variable that is set here and not declared is not set there.
    """
    declared_environment(verifier)
    declares_network(verifier)
    kind = type(verifier)
    answers = [*examples, *((odd, examples[0][1]) for odd in ODD_RESPONSES)]
    try:
        with VerifierPool(verifier, entry_value=f"{kind.__module__}:{kind.__qualname__}") as pool:
            verdicts = pool.verify([(response, gold, False) for response, gold in answers])
    except (EnvironmentUnmet, RunFailed) as failure:
        raise AssertionError(f"in a worker process: {failure.message}") from failure
    for (response, _), verdict in zip(answers, verdicts, strict=True):
        late = verdict.outcome is Outcome.TIMEOUT
        assert not late, f"the verdict on {response[:40]!r} takes more than {verifier.seconds_allowed:g} s"
        failed = verdict.outcome is Outcome.ERROR
        assert not failed, f"in a worker process, the verdict on {response[:40]!r} is an error: {verdict.detail}"

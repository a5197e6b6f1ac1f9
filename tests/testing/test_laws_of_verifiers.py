"""The laws judge in a worker process: what hangs there, or lacks there what it reads here, breaks one."""

from typing import ClassVar

import pytest

from prerl_spec.sdk import BinaryVerifier, Outcome, Verdict
from prerl_spec.testing.conformance.in_a_worker import check_in_a_worker
from prerl_spec.testing.conformance.of_kind import check_laws
from tests.engine.nasty_verifiers import Down, Exemplary

WRONG = ("5", "4")


class Envious(BinaryVerifier):
    """Declares a variable that names a secret."""

    environment_names: ClassVar[tuple[str, ...]] = ("JUDGE_TOKEN",)
    right_example: ClassVar[tuple[str, str]] = ("4", "4")
    wrong_example: ClassVar[tuple[str, str]] = WRONG

    def judge(self, response: str, gold: str) -> Verdict:
        return Verdict(Outcome.RIGHT if response == gold else Outcome.WRONG, float(response == gold))


def test_a_verifier_that_hangs_breaks_a_law_within_seconds() -> None:
    with pytest.raises(AssertionError, match=r"the verdict on '4' takes more than 0.3 s"):
        check_in_a_worker(Down(), [Down.right_example, WRONG])


def test_a_verifier_that_fails_in_a_worker_breaks_a_law() -> None:
    with pytest.raises(AssertionError, match="in a worker process, the verdict on 'raise' is an error: "):
        check_in_a_worker(Exemplary(), [("raise", "4"), WRONG])


def test_a_verifier_that_declares_a_secret_breaks_a_law() -> None:
    with pytest.raises(AssertionError, match="environment_names has JUDGE_TOKEN"):
        check_laws(Envious(), is_default=True)


def test_a_sound_verifier_keeps_the_law() -> None:
    check_in_a_worker(Exemplary(), [Exemplary.right_example, WRONG])

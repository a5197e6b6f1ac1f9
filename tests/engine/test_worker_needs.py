"""A worker is given what its verifier declares, and the few variables that any program needs."""

from typing import Annotated, ClassVar

import pytest
from pydantic import Field

from prerl_spec.engine.verification.isolation import Isolation
from prerl_spec.engine.verification.worker_needs import environment_of, needs_of, network_of
from prerl_spec.registry.plugin_contract import PluginFault, check_declared_types
from prerl_spec.sdk import BinaryVerifier, Component, Outcome, Slot, Verdict


class Judge(BinaryVerifier):
    environment_names: ClassVar[tuple[str, ...]] = ("JUDGE_CACHE", "HOME")
    uses_network: ClassVar[bool] = True

    def judge(self, response: str, gold: str) -> Verdict:
        return Verdict(Outcome.WRONG, 0.0)


class Cautious(BinaryVerifier):
    second: Annotated[Component | None, Slot("verifier")] = Field(default=None)

    def judge(self, response: str, gold: str) -> Verdict:
        return Verdict(Outcome.WRONG, 0.0)


def test_a_verifier_asks_for_what_the_verifiers_in_its_slots_ask_for() -> None:
    assert (environment_of(Cautious()), network_of(Cautious())) == ((), False)
    assert (environment_of(Cautious(second=Judge())), network_of(Cautious(second=Judge()))) == (
        ("HOME", "JUDGE_CACHE"),
        True,
    )


def test_a_declared_variable_takes_the_place_of_the_private_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/users/ann")
    monkeypatch.setenv("LC_TIME", "C")
    monkeypatch.setenv("UNDECLARED", "x")
    monkeypatch.delenv("JUDGE_CACHE", raising=False)
    asked = needs_of(Judge(), Isolation.PROCESS).environment("/private")
    assert (asked["HOME"], asked["TMPDIR"], asked["LC_TIME"]) == ("/users/ann", "/private/tmp", "C")
    assert not {"UNDECLARED", "JUDGE_CACHE"} & asked.keys()
    assert needs_of(Cautious(), Isolation.PROCESS).environment("/private")["HOME"] == "/private/home"


@pytest.mark.parametrize(
    ("declared", "cause"),
    [
        (
            {"environment_names": ("OPENAI_API_KEY",)},
            "environment_names has OPENAI_API_KEY: take a secret as a setting",
        ),
        ({"environment_names": ("hf_token",)}, "take a secret as a setting"),
        ({"environment_names": "PATH"}, "not a tuple of names"),
        ({"environment_names": ("A=B",)}, "not a tuple of names"),
        ({"uses_network": "no"}, "uses_network is 'no', not a bool"),
    ],
)
def test_what_cannot_be_given_breaks_the_contract(declared: dict[str, object], cause: str) -> None:
    kind = type("Broken", (Cautious,), {"__module__": __name__, **declared})
    with pytest.raises(PluginFault, match="breaks the component contract") as caught:
        check_declared_types(kind(), "acme.broken", "acme")
    assert cause in caught.value.help


def test_a_name_that_only_sounds_like_a_secret_may_be_declared() -> None:
    kind = type("Fast", (Cautious,), {"__module__": __name__, "environment_names": ("TOKENIZERS_PARALLELISM",)})
    check_declared_types(kind(), "acme.fast", "acme")
    assert environment_of(kind()) == ("TOKENIZERS_PARALLELISM",)

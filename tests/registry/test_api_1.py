"""API 1 is frozen: every name, member and signature that it began with is still there, as it was."""

from collections.abc import Iterable
from pathlib import Path

from prerl_spec.registry.component import API
from tests.registry.api_table import api_table

TABLE = Path(__file__).with_name("api_1.txt")
HOW = "python -m tests.registry.api_table > tests/registry/api_1.txt"


def lost(frozen: Iterable[str], now: Iterable[str]) -> list[str]:
    """Lines of the frozen table that are gone or read differently now."""
    left = set(now)
    return [line for line in frozen if line not in left]


def frozen() -> list[str]:
    return TABLE.read_text(encoding="utf-8").splitlines()


def test_nothing_of_api_1_is_gone_or_changed() -> None:
    assert API == 1
    assert lost(frozen(), api_table()) == [], (
        "API 1 is frozen (docs/components.md): what is meant needs API 2 beside it"
    )


def test_what_is_new_is_frozen_as_well() -> None:
    assert lost(api_table(), frozen()) == [], f"new names of the API: `{HOW}` adds them"


def test_a_name_that_goes_and_a_parameter_that_is_renamed_are_seen() -> None:
    table = api_table()
    assert lost(table, [line for line in table if line != "sdk Advantage: class"]) == ["sdk Advantage: class"]
    renamed = [line.replace("advantage(self, batch: Batch)", "advantage(self, step: Step)") for line in table]
    assert len(lost(table, renamed)) == 2, "the base class's and the protocol's"

"""Every case of the table: all its mistakes at their exact places, and no others."""

import pytest

from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.compiler.rules.wire import diagnose
from tests.language.cases import CASES, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.sentence)
def test_each_mistake_is_found_at_its_place_and_nothing_else(case: Case) -> None:
    found = [
        (d.code, d.span.line, d.span.column) if d.span else (d.code, 0, 0)
        for d in diagnose(resolve_text(case.text, "case.toml"))
    ]
    wanted = [place[:3] for place in case.places] + list(case.also)
    assert sorted(found) == sorted(wanted), case.text

"""Row templates: what a spec may hold is seen without evaluating it, and only what is read of a row travels."""

import time
from datetime import date
from typing import Any

import pytest

from prerl_spec.templates import row_templates
from prerl_spec.templates.row_templates import fill_all, template_fault


@pytest.mark.parametrize(
    "template", ["{{ 'x' * 10 ** 11 }}", "{{ '%99999999d' % 5 }}", "{{ 9 ** 9 ** 9 ** 9 }}", "{{ 1 / 0 }}"]
)
def test_a_constant_expression_is_not_computed_to_see_whether_it_parses(template: str) -> None:
    began = time.monotonic()
    assert template_fault(template) is None
    assert time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{% nonsense %}", "unknown tag"),
        ("a\n{{ question | trimm }}", "no filter named 'trimm' (line 2)"),
        ("{{ question is strin }}", "no test named 'strin' (line 1)"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested too deeply"),
    ],
)
def test_what_can_never_render_is_seen_in_the_spec(template: str, words: str) -> None:
    assert words in str(template_fault(template))


def test_only_the_columns_that_a_template_reads_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    def render(kind: str, template: str, each: Any) -> list[str]:
        sent.extend(each)
        return ["" for _ in each]

    monkeypatch.setattr(row_templates.RENDERER, "render", render)
    fill_all(
        "{% for word in question.split() %}{{ word }}{{ level }}{% endfor %}", [{"question": "q", "solution": "long"}]
    )
    assert sent == [{"question": "q"}]


def test_a_value_that_is_no_json_is_its_text() -> None:
    assert fill_all(
        "{{ day }} {{ n + 1 }} {{ kept.a[0] }}", [{"day": date(2024, 5, 6), "n": 1, "kept": {"a": [2.5]}}]
    ) == ["2024-05-06 2 2.5"]

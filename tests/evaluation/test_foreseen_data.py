"""What the YAML of lm-eval's tasks tells of their local rows and data sets, before any of them is loaded."""

import json
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.evaluation.tasks.foreseen_data import HubData, hub_data, lacking_columns

TASK: dict[str, Any] = {"task": "sums", "dataset_path": "nobody/sums", "test_split": "test", "doc_to_target": "{{ a }}"}


def found(folder: Path, row: dict[str, str], name: str = "sums", **config: Any) -> list[str]:
    """What is said of a file with this row, by which a task of a folder is asked."""
    (folder / "sums.yaml").write_text(json.dumps({**TASK, **config}), encoding="utf-8")
    (folder / "rows.jsonl").write_text(json.dumps(row), encoding="utf-8")
    return [refused.found for refused in lacking_columns({name: folder / "rows.jsonl"}, (folder,))]


@pytest.mark.parametrize(
    "template",
    [
        "{% if kind == 'q' %}{{ q }}{% else %}{{ p }}{% endif %}",
        "{{ q or p }}",
        "{{ q and p }}",
        "{{ q if q else p }}",
        "{% for x in p %}{{ x }}{% endfor %}",
        "{% set p = q %}{{ p }}",
        "{% macro p(x) %}{{ y }}{% endmacro %}{{ p(q) }}",
        "{{ p | default(q) }}",
        "{{ p is defined }}",
        "{{ p is none }}",
        "{{ [q, p] }}",
        "{{ range(3) | join(q) }}",
        "{{ q",
    ],
)
def test_a_column_that_some_row_may_do_without_is_not_called_lacking(template: str, tmp_path: Path) -> None:
    assert found(tmp_path, {"q": "1", "a": "1"}, doc_to_text=template) == []


@pytest.mark.parametrize(
    "template",
    [
        "{{ q }}",
        "{% if a %}{{ a }}{% endif %}{{ q }}",
        "{{ q | trim }}",
        "{{ q.text }}",
        "{{ q[0] }}",
        "{{ a ~ q }}",
        "{{ 'Q: ' + q }}",
        "{{ a if a is defined else b }}{{ q.split(',') }}",
    ],
)
def test_a_column_that_every_row_is_printed_with_is_lacking(template: str, tmp_path: Path) -> None:
    assert found(tmp_path, {"a": "1"}, doc_to_text=template) == [
        'rows.jsonl: no row has "q", which doc_to_text prints; there is a'
    ]


def test_examples_are_printed_as_the_task_says_of_them(tmp_path: Path) -> None:
    row, name = {"q": "1", "a": "1"}, "sums:fewshot"
    shown = {"doc_to_text": "{{ q }}", "num_fewshot": 1, "fewshot_config": {"doc_to_text": "{{ p }}"}}
    assert found(tmp_path, row, name, **shown) == [
        'rows.jsonl: no row has "p", which doc_to_text prints; there is a, q'
    ]
    assert found(tmp_path, row, **shown) == []
    assert found(tmp_path, row, name, **{**shown, "num_fewshot": 0}) == []
    made = {"doc_to_text": "{{ p }}", "process_docs": "made"}
    assert found(tmp_path, row, name, **{**shown, "fewshot_config": made}) == []


@pytest.mark.parametrize("last", [{"q": "2"}, {"q": "2", "a": None}])
@pytest.mark.parametrize(
    ("config", "is_refused"),
    [
        ({}, True),
        ({"doc_to_target": "a"}, True),
        ({"doc_to_target": "{{ a.strip() }}"}, True),
        ({"doc_to_target": "{{ a | int }}"}, False),
        ({"doc_to_target": "{{ q.join(a) }}"}, False),
        ({"doc_to_target": "{{ a or q }}"}, False),
        ({"process_docs": "made"}, False),
    ],
)
def test_a_row_to_ask_without_what_is_printed_of_it_is_named(
    last: dict[str, Any], config: dict[str, Any], is_refused: bool, tmp_path: Path
) -> None:
    (tmp_path / "sums.yaml").write_text(json.dumps({**TASK, "doc_to_text": "{{ q }}", **config}), encoding="utf-8")
    file = tmp_path / "rows.jsonl"
    file.write_text(f'{{"q": "1", "a": "1"}}\n{json.dumps(last)}\n', encoding="utf-8")
    said = [refused.found for refused in lacking_columns({"sums": file}, (tmp_path,))]
    assert said == ['rows.jsonl:2: no "a", which doc_to_target prints'] * is_refused
    assert list(lacking_columns({"sums": file}, (tmp_path,), limit=1)) == []
    assert list(lacking_columns({"sums:fewshot": file}, (tmp_path,), num_fewshot=1)) == []


def test_a_data_set_is_needed_in_every_revision_that_a_task_reads(tmp_path: Path) -> None:
    revisions = {"first": "a", "second": "b", "again": "a", "newest": None}
    for name, revision in revisions.items():
        pinned = {} if revision is None else {"dataset_kwargs": {"revision": revision}}
        (tmp_path / f"{name}.yaml").write_text(json.dumps({**TASK, "task": name, **pinned}), encoding="utf-8")
    assert list(hub_data(list(revisions), {}, (tmp_path,))) == [
        HubData("nobody/sums", "a", "first"),
        HubData("nobody/sums", "b", "second"),
        HubData("nobody/sums", None, "newest"),
    ]


@pytest.mark.parametrize(("path", "of_hub"), [("json", 0), ("pandas", 0), ("hdf5", 0), ("pdffolder", 0), ("glue", 1)])
def test_a_format_of_files_is_no_data_set_of_the_hub(path: str, of_hub: int, tmp_path: Path) -> None:
    (tmp_path / "sums.yaml").write_text(json.dumps({**TASK, "dataset_path": path}), encoding="utf-8")
    assert len(list(hub_data(["sums"], {}, (tmp_path,)))) == of_hub

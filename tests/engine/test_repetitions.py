"""What a run says of questions that its data asks more than once, at its opening and nowhere else."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.graph import Graph
from prerl_spec.engine.batches.datasets import OpenDataSet
from prerl_spec.engine.batches.repetitions import repetition_warnings
from prerl_spec.testing.tiny import tiny_loaded
from tests.engine.runs import SPEC, Heard, start

ROWS = [("1+1?", "2"), ("1 + 1 ?", "2"), ("$1+1$?", "two"), ("2+2?", "4"), ("2+2?", "4")]


def a_spec(folder: Path, rows: list[tuple[str, str]], **settings: Any) -> Path:
    lines = [json.dumps({"question": question, "answer": answer}) for question, answer in rows]
    (folder / "rows.jsonl").write_text("\n".join(lines))
    table = "".join(f", {name} = {json.dumps(value)}" for name, value in settings.items())
    own = f'train = {{ use = "jsonl", path = "rows.jsonl", chat = "off"{table} }}'
    text = SPEC.replace('train = { use = "arithmetic_chains", part = "easy", steps = [1, 1] }', own)
    assert own in text
    (folder / "spec.toml").write_text(text)
    return folder / "spec.toml"


def said(graph: Graph) -> list[str]:
    codec = tiny_loaded().codec
    opened = {name: named.component.open(name) for name, named in graph.data.items()}
    datasets = {name: OpenDataSet(name, data, None, range(len(data)), codec) for name, data in opened.items()}
    return list(repetition_warnings(graph, datasets))


def test_rows_that_ask_again_are_counted_and_golds_compared_as_text(tmp_path: Path) -> None:
    assert said(compile_spec(a_spec(tmp_path, ROWS)).graph) == [
        "data.train: 3 rows of 5 ask a question again, and the golds of 1 question are written differently: "
        "`prerl-spec check-data SPEC` names them"
    ]


def test_one_question_with_other_columns_in_its_template_is_not_asked_again(tmp_path: Path) -> None:
    spec = a_spec(tmp_path, ROWS, template="{{ question }} {{ answer }}")
    assert said(compile_spec(spec).graph) == [
        "data.train: 2 rows of 5 ask a question again: `prerl-spec check-data SPEC` names them"
    ]


def test_different_questions_and_generated_rows_are_not_spoken_of(tmp_path: Path) -> None:
    assert said(compile_spec(a_spec(tmp_path, [("1+1?", "2"), ("1-1?", "2"), ("11?", "2"), ("1!?", "2")])).graph) == []
    (tmp_path / "spec.toml").write_text(SPEC)
    assert said(compile_spec(tmp_path / "spec.toml").graph) == []


def test_a_run_says_it_once_also_when_it_is_resumed(tmp_path: Path) -> None:
    text = a_spec(tmp_path, ROWS).read_text()
    before, _, phases = text.partition("[[phases]]\n")
    (prune,) = [phase for phase in phases.split("[[phases]]\n") if 'id = "prune"' in phase]
    (tmp_path / "spec.toml").write_text(f"{before}[[phases]]\n{prune}")

    def killed_at_the_second_step(event: Mapping[str, Any]) -> None:
        if event["event"] == "step" and event["global_step"] == 2:
            raise KeyboardInterrupt

    text = (tmp_path / "spec.toml").read_text()
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path, text, Heard(killed_at_the_second_step))
    folder = start(tmp_path, text)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert [e["event"] for e in events].count("resume") == 1
    assert [e["message"] for e in events if e["event"] == "warning"] == said(compile_spec(tmp_path / "spec.toml").graph)

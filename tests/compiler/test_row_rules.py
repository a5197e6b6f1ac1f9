"""Data that cannot serve a phase is refused by plan, at the component that asks for it."""

import json
from pathlib import Path

import pytest

from prerl_spec.compiler.compile import check_spec
from prerl_spec.compiler.hardware import Hardware
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.errors import Diagnostic, SpecInvalid
from tests.compiler.specs import bent, under, written

QUESTIONS = ('[data.train]\nuse = "arithmetic_chains"', '[data.train]\nuse = "jsonl"\npath = "rows.jsonl"\n')
ROWS = [{"question": f"{n} + 1?", "answer": str(n + 1)} for n in range(6)]


def refused(folder: Path, text: str) -> list[Diagnostic]:
    resolved, _ = check_spec(written(folder, text))
    with pytest.raises(SpecInvalid) as refusal:
        make_plan(resolved, Hardware(2, 16 << 30))
    return list(refusal.value.diagnostics)


def test_a_supervised_phase_wants_documents(tmp_path: Path) -> None:
    written(tmp_path, "\n".join(map(json.dumps, ROWS)), "rows.jsonl")
    text = bent(QUESTIONS, ('data = "corpus"\ndocuments_per_step = 32', 'data = "train"\ndocuments_per_step = 4'))
    (found,) = refused(tmp_path, text)
    assert (found.code, under(text, found)) == ("E0601", '"next_token"')


def test_a_phase_that_verifies_wants_gold_answers(tmp_path: Path) -> None:
    text = bent(('id = "prune"', 'id = "prune"\ndata = "corpus"'))
    (found,) = refused(tmp_path, text)
    assert (found.code, under(text, found)) == ("E0601", '"marginal_nsr"')


def test_a_row_with_a_gold_answer_is_enough(tmp_path: Path) -> None:
    rows = [{"question": "2?", "text": "two"}, {"question": "3?", "answer": "3", "text": "three"}]
    written(tmp_path, "\n".join(map(json.dumps, rows * 3)), "rows.jsonl")
    resolved, _ = check_spec(written(tmp_path, bent((QUESTIONS[0], QUESTIONS[1] + 'document = "text"\n'))))
    assert make_plan(resolved, Hardware(2, 16 << 30)).phases


def test_a_step_takes_no_more_rows_than_there_are(tmp_path: Path) -> None:
    written(tmp_path, "\n".join(map(json.dumps, ROWS[:5])), "rows.jsonl")
    text = bent(QUESTIONS)
    (found,) = refused(tmp_path, text)
    assert (found.code, under(text, found)) == ("E0701", "6")

"""Rows are checked before anything is trained: what cannot be asked or verified is named, or left out where allowed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from prerl_components.data.chain_rows import ChainRows
from prerl_components.data.jsonl import Jsonl
from prerl_components.verifiers.math_verify import MathVerify

from prerl_spec.engine.batches.datasets import check_prompts
from prerl_spec.engine.verification.verifier_pool import VerifierPool
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.testing.tiny import tiny_loaded
from prerl_spec.types import Row
from tests.engine.nasty_verifiers import Nasty

ROWS = [
    {"question": "2+2?", "answer": "4"},
    {"question": "2+2 " * 50, "answer": "4"},
    {"question": "3+3?", "answer": "\\frac{"},
    {"question": "4+4?", "answer": "8"},
]


def refusals(golds: Sequence[str], tick: Any) -> list[str | None]:
    return [MathVerify().check_gold(gold) for gold in golds]


def kept(folder: Path, rows: list[dict[str, str]] = ROWS, check: Any = refusals, **settings: Any) -> list[int]:
    file = folder / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    data = Jsonl(path=str(file), **settings).open("train")
    codec = tiny_loaded().codec
    return check_prompts("train", data, codec, longest=64, check_golds=check, tick=lambda done, total: None)


def test_a_row_is_read_once_while_a_data_set_is_checked() -> None:
    """Generated rows cost more to read than to check."""
    read: list[int] = []

    class Noting(ChainRows):
        def row(self, index: int) -> Row:
            read.append(index)
            return super().row(index)

    data = Noting("easy", 0, (3, 5), "train")
    usable = check_prompts(
        "train", data, tiny_loaded().codec, longest=64, check_golds=None, tick=lambda done, total: None
    )
    assert read == list(range(len(data))) == usable


def test_a_question_that_does_not_fit_is_named_with_its_length(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnmet, match=r"rows\.jsonl:2: \d+ tokens"):
        kept(tmp_path)


def test_a_gold_answer_that_does_not_parse_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnmet, match=r"rows\.jsonl:3: it does not parse"):
        kept(tmp_path, over_long="drop")


def test_a_worked_solution_in_place_of_its_answer_is_told_how_the_answer_is_read(tmp_path: Path) -> None:
    rows = [{"question": "2+2?", "answer": "two and two make four\n#### 4"}]
    with pytest.raises(EnvironmentUnmet) as caught:
        kept(tmp_path, rows)
    assert (caught.value.hint or "").startswith('extract = "after:####"')


def test_such_rows_are_left_out_where_the_data_set_says_so(tmp_path: Path) -> None:
    assert kept(tmp_path, over_long="drop", on_bad_row="drop") == [0, 3]


def test_a_row_that_is_no_question_is_named_where_a_phase_samples(tmp_path: Path) -> None:
    """Its documents stand beside questions: nothing can be asked of some rows, nothing verified in others."""
    rows = [{"text": "a"}, {"question": "2+2?", "text": "a"}, {"question": "2+2?", "answer": "4", "text": "a"}]
    with pytest.raises(
        EnvironmentUnmet, match=r"rows\.jsonl:1: it has no question\n.*rows\.jsonl:2: the answer is empty"
    ):
        kept(tmp_path, rows, document="text")
    assert kept(tmp_path, rows, document="text", on_bad_row="drop") == [2]


def test_a_gold_answer_that_hangs_or_fails_is_named_with_its_row(tmp_path: Path) -> None:
    rows = [{"question": "2+2?", "answer": gold} for gold in ("4", "hang", "raise")]
    with VerifierPool(Nasty(), entry_value="tests.engine.nasty_verifiers:Nasty") as pool:
        with pytest.raises(EnvironmentUnmet) as caught:
            kept(tmp_path, rows, check=pool.check_golds)
        assert kept(tmp_path, rows, check=pool.check_golds, on_bad_row="drop") == [0]
    assert "rows.jsonl:2: the check of its gold answer took more than 1 s" in caught.value.message
    assert "rows.jsonl:3: the check of its gold answer failed: ValueError: no idea" in caught.value.message

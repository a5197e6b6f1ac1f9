"""`check-data`: what was planted in a data set is named with file and line, and what is clean is not."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.cli.main import main

SPEC = """\
spec = 1
run.name = "checked"
model = { use = "from_scratch", tokenizer = "data:words", config = { model_type = "qwen3", max_position_embeddings = 80 } }
data.train = { use = "jsonl", path = "train.jsonl", chat = "off" }
data.heldout = { use = "jsonl", path = "heldout.jsonl", chat = "off" }
data.words = { use = "arithmetic_chains" }
sampler = { use = "transformers", group_size = 2, max_new_tokens = 16 }
verifier = "exact_match"
optimizer = { use = "adamw", lr = 1e-4 }
[[evaluate]]
use = "holdout"
data = "heldout"
[[phases]]
id = "a"
prompts_per_step = 1
objective = "grpo"
schedule = { use = "fixed_steps", steps = 1 }
"""

PASSAGE = "z y x w v u t s r q p o n"
"""Thirteen words."""

HELD_OUT = [("3*3?", "9"), ("a b c d e f?", "6"), (f"k j {PASSAGE} m l?", "7")]

CLEAN = [("1+1?", "2"), ("2+2?", "4"), (" ".join(PASSAGE.split()[1:]), "5")]

PLANTED: list[tuple[str | bytes, str]] = [
    ("1+1?", "2"),
    (" $1 + 1$ ?", "2"),
    ("5+5?", "10"),
    ("5 + 5?", "11"),
    (b'{"question": "6?", "answer": "6", "answer": "7"}', ""),
    (b'{"question": "\xff", "answer": "6"}', ""),
    (b'{"question": "7?"}', ""),
    (b'{"question": "x\\ud83d", "answer": "6"}', ""),
    ("A B C D E F", "6"),
    (f"h {PASSAGE} g", "5"),
    ("8" * 65, "8"),
    ("\u200b", "9"),
    ("9+9?", "1}8"),
    ("9-9?", "1}8"),
    ("line one\u2028line two", "3"),
]


def written(folder: Path, train: Sequence[tuple[str | bytes, str]], *, first: bytes = b"") -> str:
    lines = [
        q if isinstance(q, bytes) else json.dumps({"question": q, "answer": a}, ensure_ascii=False).encode()
        for q, a in train
    ]
    (folder / "train.jsonl").write_bytes(first + b"\n".join(lines) + b"\n")
    held_out = [json.dumps({"question": q, "answer": a}) for q, a in HELD_OUT]
    (folder / "heldout.jsonl").write_text("\n".join(held_out))
    (folder / "spec.toml").write_text(SPEC)
    return str(folder / "spec.toml")


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(tmp_path_factory.mktemp("planted"), PLANTED)


def found(capsys: pytest.CaptureFixture[str], *words: str, code: int) -> Any:
    assert main(["check-data", *words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def places(report: Any, kind: str) -> list[list[str]]:
    return [f["places"] for one in report["data"] for f in one["findings"] if f["kind"] == kind]


def rows(*numbers: int) -> list[str]:
    return [f"train.jsonl:{number}" for number in numbers]


def test_everything_that_was_planted_is_named_with_file_and_line(
    planted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    report = found(capsys, planted, code=3)
    assert [one["name"] for one in report["data"]] == ["train", "heldout"]
    assert places(report, "unreadable row") == [rows(5), rows(6), rows(7), rows(8)]
    assert places(report, "question without text") == [rows(12)]
    assert places(report, "gold answer that fails") == [rows(13, 14)]
    assert places(report, "prompt that is too long") == [rows(11)]
    assert places(report, "question with two golds") == [rows(3, 4)]
    assert places(report, "repeated question") == [rows(1, 2), rows(3, 4)]
    assert places(report, "overlap with a benchmark") == [
        [*rows(9), "data.heldout heldout.jsonl:2"],
        [*rows(10), "data.heldout heldout.jsonl:3"],
    ]
    assert report["num_findings"] == sum(len(one["findings"]) for one in report["data"]) == 12
    assert report["data"][1] == {"name": "heldout", "num_rows": 3, "num_golds": 3, "findings": [], "unknown": {}}
    assert report["benchmarks"] == [{"name": "data.heldout", "num_questions": 3, "unknown": None}]
    said = {f["places"][0]: f["message"] for f in report["data"][0]["findings"] if f["kind"] == "unreadable row"}
    assert said["train.jsonl:5"] == 'the key "answer" stands 2 times in one object'
    assert said["train.jsonl:6"] == "not UTF-8 at byte 15 of the line"


def test_the_text_says_the_same_by_kind(planted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-data", planted, "--data", "train"]) == 3
    out = capsys.readouterr().out
    assert "data.train: 11 rows, 9 different golds\n  unreadable row: 4\n    train.jsonl:5: the key" in out
    assert '    train.jsonl:13, train.jsonl:14: "1}8": judged wrong as an answer to itself\n' in out
    assert '  question with two golds: 1\n    train.jsonl:3, train.jsonl:4: "10" and "11"\n' in out
    assert "    train.jsonl:9, data.heldout heldout.jsonl:2: the same question\n" in out
    assert "    train.jsonl:10, data.heldout heldout.jsonl:3: 1 of 5 passages of 13 words\n" in out
    assert out.endswith("12 findings, 6 of them to be mended before a run\n")
    assert "data.heldout: 3 rows" not in out


def test_clean_data_is_said_to_be_clean_with_either_beginning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = written(tmp_path, CLEAN, first=b"\xef\xbb\xbf")
    assert main(["check-data", spec, "--strict"]) == 0
    assert capsys.readouterr().out.startswith("data.train: 3 rows, 3 different golds\n  nothing found\n\ndata.heldout")


@pytest.mark.slow
def test_what_does_not_stop_a_run_ends_with_zero_unless_strict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = written(tmp_path, [*CLEAN, *PLANTED[2:6], PLANTED[8]])
    dropping = 'data.train.on_bad_row="drop"'
    report = found(capsys, spec, "--set", dropping, code=0)
    assert {f["kind"] for f in report["data"][0]["findings"]} == {
        "unreadable row",
        "question with two golds",
        "repeated question",
        "overlap with a benchmark",
    }
    assert report["stops_run"] is False
    assert main(["check-data", spec, "--set", dropping, "--strict"]) == 3


def test_golds_that_the_verifier_takes_for_equal_are_not_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = written(tmp_path, [("5+5?", "Ten"), ("5 + 5?", "tEN"), ("6?", "six")])
    folding = "verifier={ use = 'exact_match', ignore_case = true }"
    assert places(found(capsys, spec, "--set", folding, code=0), "question with two golds") == []
    assert places(found(capsys, spec, code=0), "question with two golds") == [rows(1, 2)]


def test_what_is_not_here_is_unknown_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = written(tmp_path, CLEAN)
    hub = "data.heldout={ use = 'hf_dataset', path = 'nobody/nothing' }"
    model = "model={ use = 'hf_causal', name = 'nobody/nothing' }"
    report = found(capsys, spec, "--set", hub, "--set", model, "--strict", code=0)
    train, heldout = report["data"]
    assert train["unknown"] == {"prompt lengths": "the tokenizer of nobody/nothing is not on this machine"}
    assert "cannot load nobody/nothing" in heldout["unknown"]["rows"]
    assert report["benchmarks"][0]["unknown"] == heldout["unknown"]["rows"]


@pytest.mark.slow
def test_a_verifier_that_does_not_say_how_answers_are_written_checks_golds_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.py").write_text(
        "from typing import ClassVar\n\nfrom prerl_spec.sdk import BinaryVerifier, Outcome, Verdict\n\n\n"
        "class Mine(BinaryVerifier):\n"
        "    right_example: ClassVar[tuple[str, str]] = ('4', '4')\n"
        "    wrong_example: ClassVar[tuple[str, str]] = ('5', '4')\n\n"
        "    def judge(self, response, gold):\n        return Verdict(Outcome.RIGHT, 1.0)\n\n"
        "    def check_gold(self, gold):\n        return 'it is five' if gold == '5' else None\n"
    )
    spec = written(tmp_path, CLEAN)
    file = f'plugins.files=["{tmp_path / "mine.py"}"]'
    words = ("--local-code", "--set", file, "--set", "verifier=local.mine")
    train = found(capsys, spec, *words, code=3)["data"][0]
    assert [f["message"] for f in train["findings"]] == ['"5": it is five']
    assert "does not say how an answer is written" in train["unknown"]["gold against gold"]


def test_a_data_set_that_is_not_in_use_and_a_file_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = written(tmp_path, CLEAN)
    assert main(["check-data", str(tmp_path / "plan.json")]) == 2
    assert main(["check-data", spec, "--data", "words"]) == 2
    assert "in use: train, heldout" in capsys.readouterr().err
    (tmp_path / "train.jsonl").unlink()
    assert main(["check-data", spec]) == 3
    assert "data `train`: cannot read" in capsys.readouterr().err


@pytest.mark.slow
def test_a_set_that_is_trained_on_and_scored_is_one_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = written(tmp_path, CLEAN)
    report = found(capsys, spec, "--set", "evaluate[0].data=train", code=0)
    assert places(report, "overlap with a benchmark") == [["data.train"]]
    assert report["benchmarks"] == []

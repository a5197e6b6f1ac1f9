"""specs/smollm2.toml: what is trained on is not what is scored, and the model learns, loads anywhere, and still chats."""

import json
import os
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
FILES = ROOT / "examples" / "smollm2"
SPEC = ROOT / "specs" / "smollm2.toml"
MADE: dict[str, Any] = runpy.run_path(str(FILES / "make_rows.py"))


def rows(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (FILES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def unordered(question: str) -> frozenset[int]:
    """The numbers of a sum, whichever comes first; 4 + 4 is {4}."""
    return frozenset(map(int, question.split(" + ")))


def test_the_rows_are_those_that_the_script_writes() -> None:
    for name, pairs in MADE["split"]().items():
        assert (FILES / f"{name}.jsonl").read_text(encoding="utf-8") == MADE["text"](pairs)


def test_no_sum_is_asked_twice_also_with_its_numbers_swapped_nor_shown() -> None:
    shown = [frozenset(pair) for pair in MADE["WORKED"]]
    asked = [unordered(row["question"]) for name in ("rows", "heldout") for row in rows(name)]
    assert len({*shown, *asked}) == len(shown) + len(asked)


def test_the_answers_are_the_sums() -> None:
    for name in ("rows", "heldout"):
        for row in rows(name):
            a, b = map(int, row["question"].split(" + "))
            assert row["answer"] == str(a + b)


def test_the_spec_and_the_task_of_lm_eval_ask_with_the_same_worked_lines() -> None:
    spec = tomllib.loads(SPEC.read_text(encoding="utf-8"))
    worked = "".join(f"{a} + {b} = \\boxed{{{a + b}}}\n" for a, b in MADE["WORKED"])
    assert spec["vars"]["lines"] == worked + "{{ question }} ="
    task = (FILES / "tasks" / "sums.yaml").read_text(encoding="utf-8")
    assert f"doc_to_text: {json.dumps(worked + '{{question}} =')}\n" in task


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of PRERL_SMOLLM2; else the one that get_model.py writes into the checkout; else one from the package index."""
    for folder in filter(None, [os.environ.get("PRERL_SMOLLM2"), ROOT / "models" / "smollm2"]):
        if Path(folder).is_dir():
            return Path(folder)
    folder = tmp_path_factory.mktemp("model") / "smollm2"
    subprocess.run([sys.executable, str(FILES / "get_model.py"), str(folder)], check=True)
    return folder


@pytest.mark.slow
def test_the_model_learns_loads_in_plain_transformers_and_still_chats(model: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [
        sys.executable,
        "-m",
        "prerl_spec",
        "run",
        str(SPEC),
        "--set",
        f"model.name={model}",
        "--run-dir",
        str(run),
    ]
    subprocess.run(command, check=True, cwd=ROOT)
    scores = {
        (score["task"], score["phase"]): score
        for score in json.loads((run / "scores.json").read_text(encoding="utf-8"))
        if not score["metric"].startswith("pass@")
    }
    assert scores["heldout", "refine"]["low"] > scores["heldout", "base"]["high"]
    assert scores["smollm2_sums", "refine"]["value"] > scores["smollm2_sums", "base"]["value"]
    trained = max((run / "checkpoints").glob("step-*"))
    chats = subprocess.run(
        [sys.executable, str(FILES / "still_chats.py"), str(model), str(trained)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert chats.returncode == 0, chats.stdout + chats.stderr

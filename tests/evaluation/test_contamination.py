"""How far a benchmark may have been seen: its questions in the training rows, its date against the model's cut-off."""

import json
from pathlib import Path
from typing import Any

import pytest
from prerl_components.data.jsonl import Jsonl
from prerl_components.evaluators.lm_eval import LmEval
from prerl_components.models.hf_causal import HfCausal

from prerl_spec.cli.main import main
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.evaluation.contamination import Stamp, contamination, read_stamps, write_stamps
from prerl_spec.evaluation.targets import Target
from prerl_spec.testing.tiny import save_tiny
from tests.evaluation.sites import write_rows
from tests.evaluation.test_eval_command import SPEC

TASK = "arithmetic_chains_easy"
LONG = "a train leaves the station at noon and travels north at sixty miles an hour until it meets number"


def rows(file: Path, questions: list[str]) -> str:
    file.write_text("".join(json.dumps({"problem": q, "question": q, "answer": "4"}) + "\n" for q in questions))
    return str(file)


def target(**fields: Any) -> Target:
    return Target("mine", HfCausal(name="nobody/nothing"), Path("eval-mine"), **fields)


def test_questions_in_the_training_rows_are_counted(tmp_path: Path) -> None:
    asked = rows(tmp_path / "asked.jsonl", ["Why?", "What is 2 + 2?", "What is 3 + 3?", f"{LONG} 1"])
    seen = ["what is  $2 + 2$", f"Once {LONG} 2", "What is 4 + 4?", "what is 2+2"]
    trained = rows(tmp_path / "trained.jsonl", seen)
    evaluator = LmEval(tasks=(TASK,), data={TASK: asked})
    run = target(training=lambda: {"train": Jsonl(path=trained)})
    (stamp,) = contamination(evaluator, run, "2024-06")
    assert (stamp.overlapping, stamp.of, stamp.unknown) == (2, 4, None)
    assert stamp.as_row() == {
        "task": TASK,
        "ngram": 13,
        "overlapping_questions": 2,
        "of": 4,
        "published": None,
        "cut_off": "2024-06",
        "published_by_cut_off": None,
        "unknown": None,
    }


def test_what_is_not_known_is_said(tmp_path: Path) -> None:
    evaluator = LmEval(tasks=(TASK,), data={TASK: rows(tmp_path / "asked.jsonl", ["What is 2 + 2?"])})
    (of_a_model,) = contamination(evaluator, target())
    assert (of_a_model.overlapping, of_a_model.of) == (None, None)
    assert "nothing is known of this model's training rows" in of_a_model.words()

    def gone() -> dict[str, Any]:
        raise EnvironmentUnmet("the data `hidden` is not installed")

    (of_a_run,) = contamination(evaluator, target(training=gone))
    assert of_a_run.unknown == "the training rows cannot be read: the data `hidden` is not installed"
    (moved,) = contamination(evaluator, target(training=lambda: {"train": Jsonl(path=str(tmp_path / "moved.jsonl"))}))
    assert moved.unknown is not None
    assert "moved.jsonl" in moved.unknown


def test_an_included_task_says_when_it_was_published(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    file = rows(tmp_path / "asked.jsonl", ["What is 2 + 2?"])
    (folder / "new.yaml").write_text(
        f"task: new\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {file}}}}}\ntest_split: test\n"
        "doc_to_text: problem\ndoc_to_target: answer\noutput_type: generate_until\n"
        "metadata: {version: 1, published: 2026-02-14}\n"
    )
    (stamp,) = contamination(LmEval(tasks=("new",), include=(str(folder),)), target(), "2025-01")
    assert (stamp.published, stamp.could_be_known) == ("2026-02-14", False)
    assert stamp.words().endswith("; published 2026-02-14, after the cut-off 2025-01")


@pytest.mark.parametrize(
    ("published", "cut_off", "known"),
    [
        ("2024-02-06", "2024-06", True),
        ("2024-06-30", "2024-06", True),
        ("2024-07", "2024-06-01", False),
        ("2024", "2024-06", None),
        ("2023", "2024-06", True),
        ("2025", "2024", False),
        (None, "2024", None),
        ("2024", None, None),
    ],
)
def test_dates_are_compared_as_far_as_both_go(published: str | None, cut_off: str | None, known: bool | None) -> None:
    assert Stamp("t", published=published, cut_off=cut_off).could_be_known is known


def test_stamps_are_kept_by_task(tmp_path: Path) -> None:
    write_stamps(tmp_path, [Stamp("b", 1, 3), Stamp("a", 0, 2)])
    file = write_stamps(tmp_path, [Stamp("b", 2, 3)])
    assert [(row["task"], row["overlapping_questions"]) for row in read_stamps(file)] == [("a", 0), ("b", 2)]
    file.write_text("{}")
    assert read_stamps(write_stamps(tmp_path, [Stamp("c", 2, 3)])) == [Stamp("c", 2, 3).as_row()]


def test_eval_stamps_the_tasks_of_a_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = tmp_path / "spec.toml"
    spec.write_text(SPEC.format(model=save_tiny(tmp_path / "model"), rows=write_rows(tmp_path / "rows.jsonl")))
    command = ["eval", str(spec), "--tasks", TASK, "--data", f"{TASK}=rows.jsonl", "--limit", "1"]
    assert main([*command, "--max-new-tokens", "2", "--cut-off", "2025-06"]) == 0
    assert f"{TASK}: 6 of 6 questions in the training rows" in capsys.readouterr().out
    (row,) = read_stamps(tmp_path / "eval-tiny-run" / "contamination.json")
    assert (row["overlapping_questions"], row["of"], row["cut_off"]) == (6, 6, "2025-06")
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--cut-off", "2025-13"])
    assert stopped.value.code == 2

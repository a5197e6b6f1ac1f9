"""The questions of benchmarks, as far as they are on this machine, for comparison with training texts."""

import json
from pathlib import Path

import pytest
from prerl_components.evaluators.lm_eval import LmEval

from prerl_spec.errors import UsageError

OWN_TASK = """\
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{train: /nowhere.jsonl, validation: {rows}}}}}
validation_split: validation
output_type: generate_until
doc_to_text: riddle
doc_to_target: answer
metric_list: [{{metric: exact_match}}]
"""

ON_THE_HUB = """\
task: {name}
dataset_path: somebody/rows
test_split: test
output_type: generate_until
doc_to_text: riddle
doc_to_target: answer
metric_list: [{{metric: exact_match}}]
"""


def written(folder: Path, *rows: object) -> str:
    file = folder / "rows.jsonl"
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return str(file)


def test_local_rows_have_the_place_of_their_line(tmp_path: Path) -> None:
    rows = written(tmp_path, {"problem": "1+1?", "answer": "2"}, "no JSON", {"question": "2+2?", "answer": 4})
    (task,) = LmEval(tasks=("math500_boxed",), data={"math500_boxed": rows}).questions()
    assert (task.task, task.texts, task.unknown) == (
        "math500_boxed",
        (("rows.jsonl:1", "1+1?"), ("rows.jsonl:3", "2+2?")),
        None,
    )


def test_a_task_of_a_folder_is_read_column_by_column(tmp_path: Path) -> None:
    rows = written(tmp_path, {"riddle": "What flies?", "answer": "time", "level": 3})
    (tmp_path / "tasks").mkdir()
    for name, text in (("riddles", OWN_TASK), ("far", ON_THE_HUB)):
        (tmp_path / "tasks" / f"{name}.yaml").write_text(text.format(name=name, rows=rows))
    near, far = LmEval(tasks=("riddles", "far"), include=(str(tmp_path / "tasks"),)).questions()
    assert near.texts == (("rows.jsonl:1", "What flies?"), ("rows.jsonl:1", "time"))
    assert far.unknown == 'lm-eval reads its rows: write data = { far = "rows.jsonl" } to compare'


def test_generated_rows_are_there_and_those_of_the_hub_are_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    easy, far = LmEval(tasks=("arithmetic_chains_easy", "math500_boxed")).questions()
    assert len(easy.texts) == 512
    assert easy.texts[0][0] == "row 0"
    assert far.unknown == "HuggingFaceH4/MATH-500 is not in the hub's cache: `prerl-spec fetch SPEC`"


def test_a_file_that_is_not_there_is_unknown_and_a_name_that_is_not_there_a_mistake(tmp_path: Path) -> None:
    (task,) = LmEval(tasks=("math500_boxed",), data={"math500_boxed": str(tmp_path / "none.jsonl")}).questions()
    assert task.unknown == f"{tmp_path / 'none.jsonl'} cannot be read: No such file or directory"
    with pytest.raises(UsageError, match="maths500"):
        list(LmEval(tasks=("maths500",)).questions())

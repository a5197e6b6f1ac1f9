"""Local rows of lm-eval's tasks: where their few-shot examples come from, and what a score says of it."""

import json
from pathlib import Path
from typing import Any

import pytest
from prerl_components.evaluators.lm_eval import LmEval

from prerl_spec.cli.main import main
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.evaluation.like import like_run
from prerl_spec.evaluation.tasks.local_rows import fewshot_split, override_of
from prerl_spec.registry.component import Wiring
from tests.compiler.specs import TINY
from tests.compiler.specs import written as written_spec
from tests.evaluation.sites import GREEDY, tiny_scene

TASK: dict[str, Any] = {
    "task": "sums",
    "dataset_path": "nobody/sums",
    "training_split": "train",
    "test_split": "test",
    "output_type": "generate_until",
    "doc_to_text": "Q: {{q}}\nA:",
    "doc_to_target": "{{a}}",
    "num_fewshot": 2,
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
}


def written(file: Path, first: int, count: int = 4) -> str:
    rows = [{"q": f"{n} + 0", "a": str(n)} for n in range(first, first + count)]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return str(file)


def asked(folder: Path, data: dict[str, str], num_fewshot: Any = "task", **changes: Any) -> tuple[list[str], Any]:
    """The prompts, and the first score."""
    folder.mkdir(exist_ok=True)
    task = {key: value for key, value in {**TASK, **changes}.items() if value is not None}
    (folder / "sums.yaml").write_text(json.dumps(task), encoding="utf-8")
    settings = {"tasks": ["sums"], "include": [str(folder)], "data": data, "num_fewshot": num_fewshot}
    with tiny_scene(folder / "site", decoding=GREEDY) as scene:
        scores = LmEval.model_validate(settings).score(scene.site)
        return [scene.site.codec.decode(request.context) for request in scene.heard.requests], scores[0]


def test_few_shot_examples_come_from_a_file_of_their_own(tmp_path: Path) -> None:
    rows, train = written(tmp_path / "test.jsonl", 10), written(tmp_path / "train.jsonl", 50)
    prompts, score = asked(tmp_path / "own", {"sums": rows, "sums:fewshot": train})
    assert [prompt.count("Q: 5") for prompt in prompts] == [2] * 4
    assert [prompt.count("Q: 1") for prompt in prompts] == [1] * 4
    assert score.fewshot == "2 of train.jsonl"
    # The task as its own data set would make it: the same rows under the same splits.
    files = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": rows, "train": train}}}
    prompts_of_task, of_task = asked(tmp_path / "task", {}, **files)
    assert prompts == prompts_of_task
    assert (score.task_hash, score.template_hash, of_task.fewshot) == (of_task.task_hash, of_task.template_hash, "task")


def test_rows_to_ask_alone_are_no_few_shot_examples(tmp_path: Path) -> None:
    rows = written(tmp_path / "test.jsonl", 10)
    with pytest.raises(EnvironmentUnmet, match="shows 2 few-shot examples of its split `train`") as refused:
        asked(tmp_path / "own", {"sums": rows})
    assert "--data sums:fewshot=FILE" in str(refused.value.hint)
    evaluator = LmEval.model_validate({"tasks": ["sums"], "include": [str(tmp_path / "own")], "data": {"sums": rows}})
    assert [refusal.found for refusal in evaluator.refusals()] == [refused.value.message]
    prompts, score = asked(tmp_path / "none", {"sums": rows}, num_fewshot=0)
    assert ([prompt.count("Q:") for prompt in prompts], score.fewshot) == ([1] * 4, "0")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training_split": None, "test_split": None, "validation_split": "validation", "fewshot_split": "validation"},
        {"training_split": None},
    ],
    ids=["the same file named twice", "a task that asks its examples' split", "a task without another split"],
)
def test_an_evaluated_row_is_never_among_its_own_examples(tmp_path: Path, changes: dict[str, Any]) -> None:
    rows = written(tmp_path / "test.jsonl", 10)
    data = {"sums": rows} if changes else {"sums": rows, "sums:fewshot": rows}
    prompts, score = asked(tmp_path / "own", data, num_fewshot=3, **changes)
    assert [{prompt.count(f"Q: {n} + 0") for n in range(10, 14)} for prompt in prompts] == [{1}] * 4
    assert score.fewshot == "3 of the other evaluated rows"


@pytest.mark.parametrize(
    "changes",
    [
        {"training_split": None},
        {"fewshot_split": "test"},
        {"fewshot_config": {"split": "test", "doc_to_text": "Q: {{q}}\nA:", "doc_to_target": "{{a}}"}},
        {"training_split": None, "test_split": None, "validation_split": "validation"},
    ],
    ids=["one split", "fewshot_split is the asked one", "fewshot_config names the asked split", "validation alone"],
)
def test_a_file_of_examples_is_shown_where_the_task_has_one_split_for_both(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    data = {"sums": written(tmp_path / "test.jsonl", 10), "sums:fewshot": written(tmp_path / "train.jsonl", 50)}
    prompts, score = asked(tmp_path / "own", data, **changes)
    assert [(prompt.count("Q: 5"), prompt.count("Q: 1")) for prompt in prompts] == [(2, 1)] * 4
    assert (score.fewshot, score.questions) == ("2 of train.jsonl", 4)


def test_rows_that_are_asked_are_refused_as_examples(tmp_path: Path) -> None:
    asked(tmp_path / "own", {"sums": written(tmp_path / "test.jsonl", 10)}, num_fewshot=0)
    written(tmp_path / "train.jsonl", 50)
    with (tmp_path / "train.jsonl").open("a") as file:
        file.write('\n{"a": "11", "q": "11 + 0"}\n')
    data = {"sums": str(tmp_path / "test.jsonl"), "sums:fewshot": str(tmp_path / "train.jsonl")}
    settings = {"tasks": ["sums"], "include": [str(tmp_path / "own")], "data": data}
    (refusal,) = LmEval.model_validate(settings).refusals()
    assert "row 5 of train.jsonl is also asked (test.jsonl, row 2)" in refusal.found
    assert not list(LmEval.model_validate({**settings, "num_fewshot": 0}).refusals()), "nothing is shown"
    same = {"sums": data["sums"], "sums:fewshot": data["sums"]}
    assert not list(LmEval.model_validate({**settings, "data": same}).refusals()), "one path: its other rows"


def test_a_score_states_a_number_of_examples_that_is_not_the_tasks_own(tmp_path: Path) -> None:
    rows, train = written(tmp_path / "test.jsonl", 10), written(tmp_path / "train.jsonl", 50)
    files = {"dataset_path": "json", "dataset_kwargs": {"data_files": {"test": rows, "train": train}}}
    said = {
        wanted: asked(tmp_path / f"own{wanted}", {}, num_fewshot=wanted, **files)[1].fewshot
        for wanted in ("task", 0, 2, 3)
    }
    assert said == {"task": "task", 0: "0", 2: "task", 3: "3 of the task's"}


def test_examples_that_a_task_writes_itself_stay(tmp_path: Path) -> None:
    written_in = {"sampler": "first_n", "samples": [{"q": "90 + 1", "a": "91"}, {"q": "90 + 2", "a": "92"}]}
    prompts, score = asked(tmp_path / "own", {"sums": written(tmp_path / "test.jsonl", 10)}, fewshot_config=written_in)
    assert [prompt.startswith("Q: 90 + 1\nA: 91\n\nQ: 90 + 2\nA: 92\n\nQ: 1") for prompt in prompts] == [True] * 4
    assert score.fewshot == "task"
    data = {"sums": str(tmp_path / "test.jsonl"), "sums:fewshot": written(tmp_path / "train.jsonl", 50)}
    with pytest.raises(EnvironmentUnmet, match=r"writes its few-shot examples itself, .* those of train\.jsonl"):
        asked(tmp_path / "named", data, fewshot_config=written_in)


def test_the_split_of_the_examples_is_the_one_that_lm_eval_takes(tmp_path: Path) -> None:
    splits = {"training_split": "train", "validation_split": "valid", "test_split": "test"}
    assert fewshot_split(splits) == "train"
    assert fewshot_split({**splits, "training_split": None}) == "valid"
    assert fewshot_split({**splits, "fewshot_split": "dev"}) == "dev"
    assert fewshot_split({**splits, "fewshot_split": "dev", "fewshot_config": {"split": "trial"}}) == "trial"
    made = override_of("made", {**splits, "custom_dataset": "utils.load"}, tmp_path / "rows.jsonl", None, 0)
    assert made["custom_dataset"] is None, "else lm-eval would ask the function, and not the file"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"other:fewshot": "x"}, "names task `other`, which is not in"),
        ({"gsm8k:fewshot": "x"}, "names the few-shot examples of `gsm8k`, whose own rows come from the hub"),
        ({"math500_boxed": "x", "math500_boxed:fewshot": "x"}, "and `math500_boxed` has no few-shot examples"),
    ],
)
def test_rows_that_no_task_could_take_are_refused(
    data: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluator = LmEval.model_validate({"tasks": ["gsm8k", "math500_boxed"], "data": data})
    (conflict,) = evaluator.check(Wiring(written=frozenset()))
    assert (conflict.code, said in conflict.message) == ("E0701", True)
    options = [word for key, file in data.items() for word in ("--data", f"{key}={file}")]
    assert main(["eval", "nowhere", "--tasks", "gsm8k,math500_boxed", *options]) == 2
    assert said in capsys.readouterr().err


def test_models_scored_like_a_run_take_the_rows_of_its_examples(tmp_path: Path) -> None:
    data = '{ gsm8k = "test.jsonl", "gsm8k:fewshot" = "train.jsonl", other = "other.jsonl" }'
    evaluated = f'[[evaluate]]\nuse = "lm_eval"\ntasks = ["gsm8k", "other"]\ndata = {data}\n'
    spec = written_spec(tmp_path, f"{TINY}\n{evaluated}")
    rows = like_run(str(spec), ["gsm8k"]).settings["data"]
    assert {key: Path(file).name for key, file in rows.items()} == {
        "gsm8k": "test.jsonl",
        "gsm8k:fewshot": "train.jsonl",
    }

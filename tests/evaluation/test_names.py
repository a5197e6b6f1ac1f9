"""Which task a name stands for: ours, an include folder's or lm-eval's, a single one, a group or a tag."""

from pathlib import Path
from typing import Any

import pytest
from prerl_components.evaluators.lm_eval import LmEval

from prerl_spec.errors import UsageError
from prerl_spec.evaluation.names import FORMER
from prerl_spec.evaluation.packs import packs
from prerl_spec.evaluation.tasks.catalogue import check_names, included_names, load_tasks
from prerl_spec.evaluation.tasks.stock_index import names_below, needed_for, stock_names
from prerl_spec.evaluation.tasks.task_yaml import naming_keys, read_task
from tests.evaluation.sites import tiny_scene, write_rows

SINGLE = """
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{problem}}}}"
doc_to_target: answer
generation_kwargs: {{until: ["zzz"]}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""
FORMS = {
    "plain.yaml": ("task: plain\ntag: mine\n", "plain", {"mine"}),
    "quoted.yaml": ("\"task\": 'quo-ted'\n'tag': [\"mine\", yours] # two\n", "quo-ted", {"mine", "yours"}),
    "listed.yaml": ("tag:\n  - mine\n\n  # and\n  - yours\ntask: listed # its name\n", "listed", {"mine", "yours"}),
    "merged.yaml": ("x: &x {tag: mine}\n<<: *x\ntask: merged\n", "merged", {"mine"}),
    "number.yaml": ("task: number\ntag: null\n", "number", set()),
    "below.yaml": ("include: _base\ntask: below\n", "below", {"inherited"}),
    "code.yaml": ("task: code\ntag: mine\nclass: !function no.Such\n", "code", {"mine"}),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of tasks written in every form, one group of two of them, and files that name nothing."""
    rows = write_rows(tmp_path / "rows.jsonl", 3)
    home = tmp_path / "mine"
    home.mkdir()
    for name, (text, *_) in FORMS.items():
        (home / name).write_text(text + SINGLE.format(rows=rows), encoding="utf-8")
    (home / "_base").write_text("tag: inherited\n", encoding="utf-8")
    (home / "all.yaml").write_text("group: all_of_mine\ntask:\n  - plain\n  - task: listed\n", encoding="utf-8")
    (home / "broken.yaml").write_text("task: [", encoding="utf-8")
    (home / "unnamed.yaml").write_text("dataset_path: json\n", encoding="utf-8")
    return home


def test_names_are_read_from_every_form_of_yaml(folder: Path) -> None:
    found = names_below(folder)
    tasks = {task for _, task, _ in FORMS.values()}
    assert {name for name, named in found.items() if named.kind == "task"} == tasks
    assert {name for name, named in found.items() if named.kind == "group"} == {"all_of_mine"}
    tags = {name: named.members for name, named in found.items() if named.kind == "tag"}
    expected = {tag: {task for _, task, of in FORMS.values() if tag in of} for tag in ("mine", "yours", "inherited")}
    assert tags == expected


def test_a_glance_at_a_file_sees_what_a_parser_sees(folder: Path) -> None:
    for name in FORMS:
        whole = read_task(folder / name)
        seen = naming_keys(str(folder / name), {})
        assert seen["task"] == whole["task"], name
        assert listed(seen.get("tag")) == listed(whole.get("tag")), name


def listed(tags: str | list[str] | None) -> list[str]:
    return [tags] if isinstance(tags, str) else tags or []


@pytest.mark.parametrize(
    ("asked", "tasks"),
    [("plain", ["plain"]), ("yours", ["listed", "quo-ted"]), ("all_of_mine", ["listed", "plain"])],
)
def test_a_group_and_a_tag_of_a_folder_are_their_tasks(
    folder: Path, tmp_path: Path, asked: str, tasks: list[str]
) -> None:
    loaded = load_tasks([asked], include=(folder,), data={}, folder=tmp_path)
    assert sorted(loaded) == tasks
    assert {one.asked for one in loaded.values()} == {asked}


def test_fetching_counts_the_questions_of_every_task_behind_a_name(folder: Path) -> None:
    found = LmEval(tasks=("all_of_mine",), include=(str(folder),)).fetch()
    assert list(found) == ["plain: 3 questions", "listed: 3 questions"]


def test_only_what_a_name_needs_is_asked_for(folder: Path) -> None:
    names = names_below(folder)
    assert set(needed_for("all_of_mine", names)) == {"all_of_mine", "plain", "listed"}
    assert set(needed_for("yours", names)) == {"yours", "quo-ted", "listed"}


def test_a_bare_name_is_ours_then_the_folders_then_lm_evals(folder: Path) -> None:
    (folder / "own.yaml").write_text("task: gsm8k\n" + SINGLE.format(rows="rows.jsonl"), encoding="utf-8")
    included, stock = check_names(("gsm8k", "lm_eval/gsm8k", "aime24_boxed", "lm_eval/ai2_arc", "mmlu"), (folder,))
    assert included["gsm8k"].file == (folder / "own.yaml").resolve()
    assert stock["gsm8k"].file != included["gsm8k"].file
    assert stock["ai2_arc"].members == {"arc_easy", "arc_challenge"}
    with pytest.raises(UsageError, match="unknown task `lm_eval/plain`"):
        check_names(("lm_eval/plain",), (folder,))
    with pytest.raises(UsageError, match="did you mean `lm_eval/arc_easy`"):
        check_names(("lm_eval/arc_eesy",), ())


@pytest.mark.parametrize("name", FORMER)
def test_a_former_name_is_refused_whatever_a_folder_holds(folder: Path, name: str) -> None:
    (folder / "own.yaml").write_text(f"task: {name}\n" + SINGLE.format(rows="rows.jsonl"), encoding="utf-8")
    assert name in included_names((folder,))
    with pytest.raises(UsageError, match=f"E0205: the task `{name}` is now `{name}_boxed`") as refused:
        check_names((name,), (folder,))
    assert (f"lm_eval/{name}" in str(refused.value.hint)) == (name in ("aime24", "aime25"))


def test_a_stock_task_is_one_task_under_both_spellings(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f'{{"question": "What is {n} + {n}?", "answer": "#### {2 * n}"}}\n' for n in range(7)))
    heard, hashes = [], []
    for name in ("gsm8k", "lm_eval/gsm8k"):
        with tiny_scene(tmp_path / name.replace("/", "_")) as scene:
            data = {name: str(rows), f"{name}:fewshot": str(rows)}
            given = {"tasks": [name], "data": data, "num_fewshot": 1, "max_new_tokens": 3}
            scores = LmEval.model_validate(given).score(scene.site)
            heard.append([(r.context, r.seeds) for r in scene.heard.requests])
            hashes.append({(s.task_hash, s.template_hash, s.value) for s in scores})
            assert {score.task for score in scores} == {name}
    assert heard[0] == heard[1]
    assert hashes[0] == hashes[1]


@pytest.mark.slow
def test_every_name_of_lm_eval_is_found_as_lm_eval_finds_it() -> None:
    from lm_eval.tasks import TaskManager

    theirs = TaskManager().task_index
    ours = stock_names()
    kinds = {"TASK": "task", "PY_TASK": "task", "GROUP": "group", "TAG": "tag"}
    assert {name: kinds[entry.kind.name] for name, entry in theirs.items()} == {n: e.kind for n, e in ours.items()}
    assert {n: set(e.tags) for n, e in theirs.items() if e.kind.name == "TAG"} == {
        n: e.members for n, e in ours.items() if e.kind == "tag"
    }
    assert {n: e.yaml_path for n, e in theirs.items()} == {n: e.file for n, e in ours.items()}
    assert not {name for name in ours if name in packs()}


@pytest.mark.slow
def test_groups_and_tags_are_built_from_what_they_need_as_from_lm_evals_whole_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a task that only keeps its configuration, in place of one that downloads its rows."""
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks import TaskManager

    def keep(task: Any, config: Any = None, **_: Any) -> None:
        task.kept = {key: str(value) for key, value in config.items()}
        monkeypatch.setattr(type(task), "task_name", property(lambda self: self.kept["task"]), raising=False)

    monkeypatch.setattr(ConfigurableTask, "__init__", keep)
    whole = TaskManager()
    asked = [
        "ai2_arc",
        "glue",
        "gpqa",
        "mmlu",
        "mmlu_stem",
        "bbh",
        "leaderboard_bbh",
        "mmlu_pro",
        "hendrycks_math",
        "super-glue-lm-eval-v1",
    ]
    for name in asked:
        theirs = {key: task.kept for key, task in whole.load([name])["tasks"].items()}
        ours = load_tasks([name], include=(), data={}, folder=tmp_path)
        assert len(theirs) > 1, name
        assert {key: one.task.kept for key, one in ours.items()} == theirs, name

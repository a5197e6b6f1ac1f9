"""`--set` and `--unset`: TOML values at paths that the language or the component knows."""

from pathlib import Path
from typing import Any

import pytest

from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.errors import UsageError
from prerl_spec.language.compose import compose
from prerl_spec.language.overrides import override
from prerl_spec.language.toml import read_text
from tests.language.cases import BASE


@pytest.mark.parametrize(
    ("argument", "path", "key", "wanted"),
    [
        ("optimizer.lr=1e-5", "optimizer", "lr", 1e-5),
        ("optimizer.weight_decay=0.1", "optimizer", "weight_decay", 0.1),
        ("model.name=Qwen/Qwen3-0.6B", "model", "name", "Qwen/Qwen3-0.6B"),
        ("phases.refine.schedule.steps=3", "phases[0].schedule", "steps", 3),
        ("phases[0].schedule.steps = 3", "phases[0].schedule", "steps", 3),
        ("phases.refine.objective.coefficient=0.5", "phases[0].objective", "coefficient", 0.5),
        ('sampler.stop=["a", "b"]', "sampler", "stop", ("a", "b")),
        ("sampler = { group_size = 4 }", "sampler", "group_size", 4),
    ],
)
def test_a_value_reaches_its_setting(argument: str, path: str, key: str, wanted: Any) -> None:
    resolved = resolve_text(BASE, sets=[argument])
    assert resolved.diagnostics == ()
    assert getattr(resolved.built[path].component, key) == wanted


def test_a_new_use_replaces_the_table() -> None:
    resolved = resolve_text(BASE, sets=["sampler.use=vllm"])
    assert (resolved.built["sampler"].use, resolved.built["sampler"].written) == ("vllm", frozenset())


@pytest.mark.parametrize(
    ("argument", "code", "column"),
    [
        ("optimizer.lr=fast", "E0402", 14),
        ("run.seed=1e", "E0402", 10),
        ('run.name="x', "E0402", 10),
        ("run.name=", "E0402", 10),
        ("optimizer.lr='1'", "E0201", 14),
        ("phases.refine.schedule.steps=0", "E0202", 30),
        ("reference=of", "E0207", 11),
        ("optimizer.use=adamv", "E0301", 15),
        ("optimizer.lrr=1", "E0403", 11),
        ("optimiser.lr=1", "E0403", 1),
        ("phases.polish.data=train", "E0403", 8),
        ("phases[3].data=train", "E0403", 8),
        ("vars.lr=1", "E0403", 6),
        ("data.test.use=jsonl", "E0403", 6),
        ("optimizer.adapter.use=lora", "E0403", 11),
        ("probes[0].every=1", "E0403", 1),
        ("model.adapter.rank=4", "E0403", 7),
        ("run.output_dir=a\udcff", "E0107", 17),
    ],
)
def test_a_mistake_is_told_in_its_argument(argument: str, code: str, column: int) -> None:
    (found,) = resolve_text(BASE, sets=["run.seed=1", argument]).diagnostics
    assert found.span is not None
    assert (found.code, found.span.file, found.span.line, found.span.column) == (code, "<--set #2>", 1, column)


def unset(path: str) -> tuple[list[tuple[str, int]], str]:
    composition = compose(read_text(BASE, "spec.toml"), Path())
    override(composition, (), [path])
    found = [(d.code, d.span.column) for d in composition.diagnostics if d.span is not None]
    return found, str(composition.root.entries.keys())


def test_unset_takes_out_what_is_written_and_nothing_else() -> None:
    found, keys = unset("sampler")
    assert found == []
    assert "sampler" not in keys
    assert unset("sampler.top_p")[0] == [("E0403", 9)]
    assert unset("phases.polish.data")[0] == [("E0403", 8)]
    assert unset("no such path")[0] == [("E0403", 1)]


@pytest.mark.parametrize("argument", ["run.seed", "", "optimizer"])
def test_a_set_without_a_value_is_a_wrong_call(argument: str) -> None:
    with pytest.raises(UsageError, match="sets no value"):
        resolve_text(BASE, sets=["run.seed=1", argument])


def test_unset_suggests_the_nearest_path_that_is_written() -> None:
    composition = compose(read_text(BASE, "spec.toml"), Path())
    override(composition, (), ["smapler.group_sise", "phases.refin.schedule", "lr", "zzz"])
    meant = [[s.replacement for s in d.suggestions] for d in composition.diagnostics]
    assert meant == [["sampler.group_size"], ["phases.refine.schedule"], ["optimizer.lr"], []]


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("seed=3", ["run.seed"]),
        ("lr=1e-3", ["optimizer.lr"]),
        ("keep=1", ["checkpoint.keep"]),
        ("sampler.lr=1e-3", ["optimizer.lr"]),
        ("name=x", ["run.name", "model.name"]),
    ],
)
def test_a_key_without_its_table_is_answered_with_its_path(argument: str, meant: list[str]) -> None:
    (found,) = resolve_text(BASE, sets=[argument]).diagnostics
    assert found.code == "E0403"
    assert [s.replacement for s in found.suggestions] == meant
    assert found.caret == f"did you mean {' or '.join(f'`{path}`' for path in meant)}?"


@pytest.mark.parametrize(
    ("argument", "caret"),
    [
        ("phases.prompts_per_step=4", "name an item before it: `phases.refine.prompts_per_step`"),
        ("evaluate.limit=4", "name an item before it: `evaluate[0].limit`"),
        (
            "data.max_prompt_length=4",
            "`max_prompt_length` is verl's word; here it is `max_prompt_tokens` in `[data.train]`",
        ),
    ],
)
def test_a_key_of_an_item_is_answered_with_the_item(argument: str, caret: str) -> None:
    (found,) = resolve_text(f'{BASE}[[evaluate]]\nuse = "lm_eval"\ntasks = ["gsm8k"]\n', sets=[argument]).diagnostics
    assert (found.code, found.caret) == ("E0403", caret)

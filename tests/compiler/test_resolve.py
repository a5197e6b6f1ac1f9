"""What `resolve` gives the compiler: built components by path, the spec as typed tables, and where each word stands."""

from pathlib import Path

import pytest

from prerl_spec.compiler.resolve.resolve import resolve, resolve_text
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.errors import UsageError, exit_code_of
from tests.compiler.specs import bent, found_in
from tests.language.cases import BASE, edit


def test_every_component_is_built_by_its_path() -> None:
    text = edit('name = "some/model"', 'name = "some/model"\nadapter = "lora"').replace(
        '"grpo"', '{ use = "weighted_sum", terms = ["grpo", { use = "kl", coefficient = 0.1 }] }'
    )
    resolved = resolve_text(text)
    assert resolved.diagnostics == ()
    assert set(resolved.built) == {
        "model",
        "model.adapter",
        "data.train",
        "sampler",
        "verifier",
        "optimizer",
        "phases[0].objective",
        "phases[0].objective.terms[0]",
        "phases[0].objective.terms[1]",
        "phases[0].schedule",
    }
    terms = resolved.built["phases[0].objective"].slots["terms"]
    assert isinstance(terms, tuple)
    assert [t.use for t in terms] == ["grpo", "kl"]
    assert terms[1].written == {"coefficient"}
    assert resolved.built["model"].component.adapter is resolved.built["model.adapter"].component  # type: ignore[attr-defined]


def test_a_build_names_its_distribution_and_its_class() -> None:
    built = resolve_text(BASE).built["optimizer"]
    assert (built.kind, built.use, built.distribution, built.version) == ("optimizer", "adamw", "prerl-spec", 1)
    assert built.entry_value.endswith(":Adamw")


def test_every_word_knows_where_it_stands() -> None:
    resolved = resolve_text(BASE.replace('[verifier]\nuse = "math_verify"', 'verifier.use = "math_verify"'), "a.toml")
    for path, found, place in (
        ("optimizer.lr", resolved.value_span, (22, 6)),
        ("optimizer.lr", resolved.key_span, (22, 1)),
        ("optimizer", resolved.header_span, (20, 2)),
        ("phases[0]", resolved.header_span, (24, 3)),
        ("phases[0].objective", resolved.use_span, (27, 13)),
        ("phases[0].schedule", resolved.use_span, (30, 7)),
    ):
        span = found(path)
        assert span is not None, path
        assert (span.line, span.column) == place, path
    assert resolved.is_written("optimizer.lr")
    assert not resolved.is_written("optimizer.betas")
    assert resolved.value_span("optimizer.betas") is None
    assert resolved.order("optimizer.betas") < resolved.order("optimizer.lr") < resolved.order("phases[0].id")
    assert resolved.origins["optimizer.lr"] == "a.toml:22"


def test_what_failed_is_poisoned_and_everything_else_is_built() -> None:
    resolved = resolve_text(BASE.replace("lr = 1e-6", "lr = -1.0").replace('"transformers"', '"transformer"'))
    assert {"optimizer", "sampler"} <= resolved.poisoned
    assert {"model", "data.train", "phases[0].objective"} <= set(resolved.built)
    assert resolved.spec.phases[0].prompts_per_step == 8


def test_a_misspelt_table_poisons_what_it_was_meant_to_be() -> None:
    resolved = resolve_text(edit("[sampler]", "[samplr]"))
    assert "sampler" in resolved.poisoned
    assert [d.code for d in diagnose(resolved)] == ["E0203"]


def test_an_evaluation_alone_is_a_spec() -> None:
    text = BASE[: BASE.index("[sampler]")] + '[[evaluate]]\nuse = "holdout"\ndata = "train"\nverifier = "exact_match"'
    assert diagnose(resolve_text(text)) == ()


def test_a_file_that_is_not_there_or_a_folder_is_a_wrong_call(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere.toml"):
        with pytest.raises(UsageError):
            resolve(path)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (BASE, 0),
        (edit("lr = 1e-6", "lr = -1.0"), 1),
        (BASE + '[requires]\nprerl-spec = ">=99"', 3),
        (edit("lr = 1e-6", "lr = -1.0") + '[requires]\nprerl-spec = ">=99"', 1),
        (BASE + "[vars]\nx = 1", 0),
    ],
)
def test_the_exit_code_follows_from_what_was_found(text: str, code: int) -> None:
    assert exit_code_of(diagnose(resolve_text(text))) == code


LOCAL = """
from prerl_spec.sdk import Component


class LongAnswers(Component):
    kind = "filter"
    refill_rounds: int = 0
    limit: int = 5
"""


def local_spec(folder: Path, code: str | None = LOCAL) -> Path:
    if code is not None:
        (folder / "mine.py").write_text(code)
    spec = folder / "spec.toml"
    filters = '[[filters]]\nuse = "local.long_answers"\nlimit = 3\n\n[plugins]\nfiles = ["mine.py"]\n\n[model]'
    spec.write_text(edit("[model]", filters))
    return spec


def test_a_class_in_a_local_file_is_a_component(tmp_path: Path) -> None:
    resolved = resolve(local_spec(tmp_path), local_code=True)
    assert diagnose(resolved) == ()
    assert resolved.built["filters[0]"].component.limit == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize("code", [None, "1 / 0", "x = 1", "def f(:"])
def test_a_local_file_that_cannot_be_used_is_one_error_at_its_name(tmp_path: Path, code: str | None) -> None:
    found = diagnose(resolve(local_spec(tmp_path, code), local_code=True))
    assert [(d.code, d.path) for d in found] == [("E0304", "plugins.files[0]")]
    assert exit_code_of(found) == 3


def test_local_files_are_not_run_without_leave(tmp_path: Path) -> None:
    found = diagnose(resolve(local_spec(tmp_path, "raise SystemExit")))
    assert [d.code for d in found] == ["E0304"]
    assert "--local-code" in (found[0].help or "")


def test_a_later_file_counts_as_written_later(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(BASE)
    (tmp_path / "last.toml").write_text("sampler.top_k = 5")
    (tmp_path / "spec.toml").write_text('extends = ["base.toml"]\noptimizer.eps = 0.5')
    resolved = resolve(tmp_path / "spec.toml", overlays=[tmp_path / "last.toml"], sets=["run.seed=1"])
    assert resolved.diagnostics == ()
    written = ["phases[0].id", "optimizer.eps", "sampler.top_k", "run.seed"]
    shuffled = [written[i] for i in (2, 0, 3, 1)]
    assert sorted(shuffled, key=resolved.order) == written


def test_a_name_of_several_kinds_is_told_with_all_of_them_where_none_belongs() -> None:
    (found,) = found_in(bent(('use = "exact_match"', 'use = "entropy"')))
    assert (found.code, found.message) == ("E0303", "`entropy` is an objective and a probe; a verifier is needed here")
    assert found_in(bent(("[optimizer]", '[[probes]]\nuse = "entropy"\n[optimizer]'))) == []

"""References: types kept in whole-text ones, texts joined, the environment read as TOML where a number is wanted."""

from pathlib import Path
from typing import Any

import pytest

from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.errors import Diagnostic, Span
from prerl_spec.language.document import parts
from prerl_spec.language.interpolate import MOST_INTERPOLATED, MOST_SUGGESTED
from tests.language.cases import BASE, edit, end, top


def only(resolved: Resolved) -> Diagnostic:
    (found,) = resolved.diagnostics
    return found


def setting(resolved: Resolved, path: str, key: str) -> Any:
    assert resolved.diagnostics == (), resolved.diagnostics
    return getattr(resolved.built[path].component, key)


def test_a_whole_text_reference_keeps_its_type() -> None:
    text = top("vars = { lr = 0.5, betas = [0.1, 0.2] }").replace(
        "lr = 1e-6", 'lr = "${vars.lr}"\nbetas = "${vars.betas}"'
    )
    resolved = resolve_text(text)
    assert setting(resolved, "optimizer", "lr") == 0.5
    assert setting(resolved, "optimizer", "betas") == (0.1, 0.2)


def test_references_join_in_a_text_with_numbers_as_toml_writes_them() -> None:
    text = (
        edit('name = "case"', 'name = "s${run.seed}-${vars.on}-${vars.x}"\nseed = 7') + "\n[vars]\non = true\nx = 0.5"
    )
    assert resolve_text(text).spec.run.name == "s7-true-0.5"


def test_two_dollars_are_a_literal() -> None:
    text = edit('path = "rows.jsonl"', 'path = "rows.jsonl"\nsystem = "$${x} costs $5"')
    assert setting(resolve_text(text), "data.train", "system") == "${x} costs $5"


def test_references_reach_phases_by_id_and_tables_whole() -> None:
    text = end('[vars]\nn = "${phases.refine.schedule.steps}"\nengine = { a = "${vars.n}" }')
    text = text.replace('use = "transformers"', 'use = "vllm"\nengine = "${vars.engine}"')
    assert setting(resolve_text(text), "sampler", "engine") == {"a": 20}


def test_a_bad_value_is_told_where_it_is_used_with_a_label_where_it_is_defined() -> None:
    found = only(resolve_text(top("vars.lr = -1.0").replace("lr = 1e-6", 'lr = "${vars.lr}"')))
    assert found.span is not None
    assert (found.code, found.span.line, found.labels[0].span.line) == ("E0202", 24, 2)


def test_a_circle_is_told_once_at_its_first_member() -> None:
    text = end('[vars]\na = "${vars.b}"\nb = "x${vars.c}"\nc = "${vars.a}"').replace(
        'name = "case"', 'name = "${vars.b}"'
    )
    found = only(resolve_text(text))
    assert found.span is not None
    assert (found.code, found.span.line) == ("E0405", 34)
    assert [label.span.line for label in found.labels] == [35, 36]


def test_a_reference_to_itself_is_a_circle() -> None:
    assert only(resolve_text(edit('name = "case"', 'name = "${run.name}"'))).code == "E0405"


@pytest.mark.parametrize(
    "written", ["${", "${}", "${vars.x + 1}", "${a b}", "${vars..x}", "${secrets:X}", "x ${vars.${y}}"]
)
def test_what_is_no_reference_is_malformed(written: str) -> None:
    assert only(resolve_text(edit('name = "case"', f'name = "{written}"'))).code == "E0405"


def test_a_default_cannot_be_reached() -> None:
    assert only(resolve_text(edit('name = "case"', 'name = "s${run.seed}"'))).code == "E0405"


def test_an_undefined_reference_suggests_the_nearest() -> None:
    text = top("vars.rate = 0.5").replace("lr = 1e-6", 'lr = "${vars.raet}"')
    assert only(resolve_text(text)).suggestions[0].replacement == "${vars.rate}"


def test_the_environment_is_read_as_toml_where_a_number_or_truth_value_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("N", "3")
    monkeypatch.setenv("ON", "true")
    text = end('[vars]\nn = "${env:N}"\n[distributed]\nprocesses = "${vars.n}"\nactivation_checkpointing = "${env:ON}"')
    resolved = resolve_text(text.replace('name = "some/model"', 'name = "${env:N}"'))
    assert resolved.diagnostics == ()
    assert (resolved.spec.distributed.processes, resolved.spec.distributed.activation_checkpointing) == (3, True)
    assert setting(resolved, "model", "name") == "3"


def test_the_environment_has_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("N", raising=False)
    assert resolve_text(edit('name = "case"', 'name = "${env:N:-spare}"')).spec.run.name == "spare"
    assert only(resolve_text(edit('name = "case"', 'name = "${env:N}"'))).code == "E0406"


def test_a_word_from_the_environment_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("N", "many")
    assert only(resolve_text(edit("steps = 20", 'steps = "${env:N}"'))).code == "E0201"


def test_a_secret_stands_only_where_a_setting_takes_one() -> None:
    server = 'use = "vllm_server"\nurls = ["http://a:1"]\nkey = "${secret:TOKEN}"'
    resolved = resolve_text(edit('use = "transformers"', server))
    assert setting(resolved, "sampler", "key") == "${secret:TOKEN}"
    assert resolved.secrets == {"sampler.key": ("TOKEN",)}
    for place in ('name = "some/model"\nload = { token = "${secret:TOKEN}" }', 'name = "${secret:TOKEN}"'):
        assert only(resolve_text(edit('name = "some/model"', place))).code == "E0407"


def test_a_variable_used_by_an_arm_alone_is_used() -> None:
    arm = '[vars]\nlr = 0.5\n[study]\nseeds = [0]\narms = { fast = { optimizer = { lr = "${vars.lr}" } } }'
    resolved = resolve_text(BASE + arm)
    assert resolved.diagnostics == ()
    assert resolved.arms["fast"].built["optimizer"].component.lr == 0.5  # type: ignore[attr-defined]


def test_requirements_are_checked_from_metadata(tmp_path: Path) -> None:
    found = resolve_text(
        end('[requires]\nprerl-spec = ">=0.1"\npydantic = "<1"\nno-such-thing = "*"\nother-thing = ">1"')
    ).diagnostics
    assert [d.code for d in found] == ["E0502", "E0202", "E0503"]


def test_a_chain_of_references_has_an_end() -> None:
    chain = "\n".join(f'v{i} = "${{vars.v{i + 1}}}"' for i in range(500))
    found = resolve_text(
        BASE.replace('name = "case"', 'name = "${vars.v0}"') + f"[vars]\n{chain}\nv500 = 1"
    ).diagnostics
    assert {d.code for d in found} == {"E0405"}


def told(resolved: Resolved) -> list[str]:
    return [f"{d.code} {d.message}" for d in resolved.diagnostics if d.severity == "error"]


@pytest.mark.parametrize(
    ("twice", "last"),
    [
        ('"{0}{0}"', '"x"'),
        ('["{0}", "{0}"]', "1"),
        ('["{0}", "{0}"]', '""'),
        ('["{0}", "{0}"]', "[]"),
        ('{{ a = "{0}", b = "{0}" }}', "{}"),
    ],
)
def test_references_that_double_each_other_end_at_a_mebibyte(twice: str, last: str) -> None:
    lines = [f"v{i} = {twice.format(f'${{vars.v{i + 1}}}')}" for i in range(40)]
    resolved = resolve_text(end("\n".join(["[vars]", *lines, f"v40 = {last}"])))
    assert told(resolved) == ["E0405 references insert more than 1 MiB"]
    # A copied value is counted before it is copied, and at what it costs rather than at its text.
    assert sum(1 for _ in parts(resolved.root)) < 20_000


def test_a_mebibyte_is_counted_over_the_whole_spec() -> None:
    half = "x" * (MOST_INTERPOLATED // 2)
    text = edit('path = "rows.jsonl"', 'path = "rows.jsonl"\nsystem = "${vars.half}"\nquestion = "${vars.half}"')
    fits, more = (text + f'[vars]\nhalf = "{half + extra}"\n' for extra in ("", "x"))
    assert resolve_text(fits).diagnostics == ()
    assert only(resolve_text(more)).span == Span("spec.toml", 14, 12, 14, 26)


def test_not_every_undefined_reference_is_compared_with_every_name() -> None:
    lines = "\n".join(f'v{i:03} = "${{vars.w{i:03}}}"' for i in range(MOST_SUGGESTED + 10))
    undefined = [d for d in resolve_text(end(f"[vars]\n{lines}")).diagnostics if d.code == "E0405"]
    assert len(undefined) == MOST_SUGGESTED + 10
    assert [bool(d.suggestions) for d in undefined] == [True] * MOST_SUGGESTED + [False] * 10

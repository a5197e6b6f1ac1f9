"""A template that fails is an error of the spec with its place there, the template's file and line, and the row."""

import json
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.compiler.compile import check_spec
from prerl_spec.compiler.hardware import Hardware
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.errors import Diagnostic, EnvironmentUnmet, SpecInvalid
from prerl_spec.templates.renderer import RENDERER
from prerl_spec.testing import tiny

SPEC = """spec = 1
run.name = "chat"
[model]
use = "hf_causal"
name = "{folder}/model"
[data.train]
use = "jsonl"
path = "rows.jsonl"
{train}
[sampler]
use = "transformers"
{sampler}
[verifier]
use = "exact_match"
[optimizer]
use = "adamw"
lr = 1e-5
[[phases]]
id = "p"
prompts_per_step = 2
objective = "grpo"
schedule = {{ use = "fixed_steps", steps = 2 }}
"""
GEMMA = (
    "{{ '<|im_start|>' }}\n{% for m in messages %}\n{% if m.role == 'system' %}\n{{ raise_exception('no system role') }}\n"
    "{% endif %}{{ m.content }}{% endfor %}"
)


def planned(folder: Path, chat_template: Any = None, *, train: str = "", sampler: str = "", eos: bool = True) -> Plan:
    tokenizer: Any = tiny.byte_tokenizer()
    tokenizer.chat_template = chat_template
    if not eos:
        tokenizer.eos_token = None
    tokenizer.save_pretrained(folder / "model")
    (folder / "model" / "config.json").write_text(json.dumps(tiny.tiny_config("llama").to_dict()))
    rows = [{"question": f"{n} + 1?", "answer": str(n + 1), "n": n} for n in range(4)]
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    file = folder / "chat.toml"
    file.write_text(SPEC.format(folder=folder, train=train, sampler=sampler))
    resolved, _ = check_spec(file)
    return make_plan(resolved, Hardware(2, 16 << 30))


def fault(folder: Path, chat_template: Any = None, **settings: str) -> Diagnostic:
    with pytest.raises(SpecInvalid) as caught:
        planned(folder, chat_template, **settings)
    (found,) = caught.value.diagnostics
    assert (found.code, caught.value.exit_code) == ("E0202", 1)
    assert found.span is not None
    return found


def place(found: Diagnostic) -> tuple[int, int]:
    assert found.span is not None
    return found.span.line, found.span.column


def test_a_refused_system_role_is_an_error_at_the_system_prompt(tmp_path: Path) -> None:
    found = fault(tmp_path, GEMMA, train='system = "Be brief."')
    assert (found.path, place(found)) == ("data.train.system", (9, 10))
    at = tmp_path / "model" / "chat_template.jinja"
    assert found.message == f"the chat template refuses rows.jsonl:1: no system role, at {at}:4"


def test_a_system_role_that_is_not_asked_for_is_not_refused(tmp_path: Path) -> None:
    example = planned(tmp_path, GEMMA).phases[0].example
    assert example is not None
    assert example.text == "<|im_start|>\n0 + 1?"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("\n{{ 1 / 0 }}", "division by zero (ZeroDivisionError), at {}:2"),
        ("\n\n{{ messages + 1 }}", 'can only concatenate list (not "int") to list (TypeError), at {}:3'),
        ("{% macro m() %}{{ m() }}{% endmacro %}\n{{ m() }}", "maximum recursion depth exceeded"),
        ("\n{% nonsense %}", "Encountered unknown tag 'nonsense'."),
        ("{{ 'x' * 10 ** 11 }}", "it needs too much memory, at {}"),
    ],
)
def test_a_template_that_fails_is_named_with_its_line(tmp_path: Path, template: str, message: str) -> None:
    # The prefix "auto" of a marginal objective is rendered as well: here only the rows are.
    found = fault(tmp_path, template)
    assert (found.path, place(found)) == ("model.name", (5, 8))
    assert found.message.startswith("the chat template fails on rows.jsonl:1: ")
    assert message.format(tmp_path / "model" / "chat_template.jinja") in found.message


def test_a_template_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RENDERER, "seconds", 0.2)
    loops = "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3
    assert "it takes more than 0.2 s of CPU time" in fault(tmp_path, loops).message
    assert "rows.jsonl:1" in fault(tmp_path, train=f'template = "{loops}"').message


def test_a_template_in_the_configuration_is_named_by_its_key(tmp_path: Path) -> None:
    planned(tmp_path, "{{ messages[0].content }}")
    config = tmp_path / "model" / "tokenizer_config.json"
    (tmp_path / "model" / "chat_template.jinja").unlink()
    config.write_text(json.dumps({**json.loads(config.read_text()), "chat_template": "{{ 1 / 0 }}"}))
    resolved, _ = check_spec(tmp_path / "chat.toml")
    with pytest.raises(SpecInvalid) as caught:
        make_plan(resolved, Hardware(2, 16 << 30))
    assert f'at {config} "chat_template" line 1' in caught.value.diagnostics[0].message


def test_templates_without_a_default_are_an_error_until_one_is_named(tmp_path: Path) -> None:
    named = {"rag": "R{{ messages[0].content }}", "tool_use": "T"}
    found = fault(tmp_path, named)
    assert '"rag", "tool_use"' in found.message
    assert place(found) == (6, 2)
    example = planned(tmp_path, named, train='chat = { chat_template = "rag" }').phases[0].example
    assert example is not None
    assert (example.text, example.template) == ("R0 + 1?", "the chat template")
    assert planned(tmp_path, named, train='chat = "off"').phases[0].example is not None


def test_an_argument_that_is_not_a_specs_is_refused_at_the_arguments(tmp_path: Path) -> None:
    found = fault(tmp_path, GEMMA, train="chat = { add_generation_prompt = false }")
    assert (found.path, place(found)) == ("data.train.chat", (9, 8))
    assert "add_generation_prompt" in found.message


def test_a_row_template_that_fails_on_every_row_is_an_error_at_the_template(tmp_path: Path) -> None:
    found = fault(tmp_path, train='template = "{{ question }}\\n{{ 1 / 0 }}"')
    assert (found.path, place(found)) == ("data.train.template", (9, 12))
    at = tmp_path / "rows.jsonl"
    assert found.message.removeprefix(str(at.parent) + "/") == (
        "rows.jsonl:1: the template failed (line 2): division by zero (ZeroDivisionError)"
    )


def test_a_row_that_a_template_fails_on_is_a_bad_row(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnmet) as caught:
        planned(tmp_path, train='template = "{{ 1 / n }}"')
    assert "rows.jsonl:1: the template failed (line 1): division by zero (ZeroDivisionError)" in caught.value.message
    assert "1 unreadable row" in caught.value.message
    plan = planned(tmp_path, train='template = "{{ 1 / n }}"\non_bad_row = "drop"')
    assert plan.data["train"].rows == 3


def needs(plan: Plan) -> list[str]:
    return [f"{n.what} {n.name} {n.found}" for n in plan.prerequisites if n.met is False]


def test_a_tokenizer_without_eos_is_an_unmet_need_unless_a_stop_string_ends_responses(tmp_path: Path) -> None:
    plan = planned(tmp_path, eos=False)
    assert [n for n in needs(plan) if "EOS" in n] == [
        "tokenizer with an EOS the tokenizer defines no EOS, nor does the model's generation config"
    ]
    with_stop = planned(tmp_path, sampler='stop = ["\\n\\n"]', eos=False)
    assert not [n for n in needs(with_stop) if "EOS" in n]
    for said in (plan, with_stop):
        assert any("a response ends at a stop string or at max_new_tokens" in note for note in said.notes)
    assert not [n for n in planned(tmp_path).notes if "EOS" in n]

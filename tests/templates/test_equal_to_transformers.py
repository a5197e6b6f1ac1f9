"""Chat templates render token for token what transformers' `apply_chat_template` renders, and fail where it fails."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from prerl_spec.errors import SpecInvalid
from prerl_spec.prompts import render
from prerl_spec.templates.chat_templates import ChatTemplates
from prerl_spec.testing.tiny import byte_tokenizer
from prerl_spec.text import Codec
from prerl_spec.types import Rendering, Row
from tests.templates.idioms import CONVERSATIONS, TEMPLATES

TOKENIZER: Any = byte_tokenizer()
TOKENIZER.bos_token = "<|im_start|>"
TOKENIZER.mask_token = "<|endoftext|>"

NAMED = {
    "default": "D{{ messages[0].content }}",
    "tool_use": "T{{ tools | tojson }}",
    "rag": "R{{ documents | tojson }}",
}
ASKED = [{"role": "user", "content": "q"}]


def theirs(messages: list[dict[str, Any]], **arguments: Any) -> tuple[int, ...] | None:
    """None where transformers raises: a template's own error, or whatever Python raises in it."""
    try:
        return tuple(TOKENIZER.apply_chat_template(messages, return_dict=False, **arguments))
    except Exception:
        return None


def ours(
    codec: Codec, messages: list[dict[str, Any]], *, generate: bool = True, **arguments: Any
) -> tuple[int, ...] | None:
    try:
        return codec.encode(codec.conversation_text(messages, arguments, generate=generate))
    except SpecInvalid:
        return None


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_gives_the_tokens_that_transformers_gives(name: str) -> None:
    TOKENIZER.chat_template = TEMPLATES[name]
    codec = Codec.of_tokenizer(TOKENIZER)
    for title, (messages, arguments) in CONVERSATIONS.items():
        for generate in (True, False):
            expected = theirs(messages, add_generation_prompt=generate, **arguments)
            assert ours(codec, messages, generate=generate, **arguments) == expected, title


def test_the_table_both_renders_and_refuses() -> None:
    # A table on which transformers raised throughout would agree with anything.
    rendered = {}
    for name, template in TEMPLATES.items():
        TOKENIZER.chat_template = template
        rendered[name] = sum(theirs(m, **a) is not None for m, a in CONVERSATIONS.values())
    assert sum(n == len(CONVERSATIONS) for n in rendered.values()) >= 45
    assert sum(n == 0 for n in rendered.values()) >= 10


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"tools": [{"name": "t"}]},
        {"chat_template": "rag", "documents": [{"text": "x"}]},
        {"chat_template": "rag", "tools": [{"name": "t"}]},
        {"chat_template": "written here: {{ messages[0].content }}{{ eos_token }}"},
        {"eos_token": "another"},
        {"tools": "no list"},
        {"documents": ["no table"]},
        {"add_generation_prompt": False, "messages": []},
    ],
    ids=str,
)
def test_named_templates_are_chosen_as_transformers_chooses(tmp_path: Path, arguments: dict[str, Any]) -> None:
    TOKENIZER.chat_template = NAMED
    TOKENIZER.save_pretrained(tmp_path)
    expected = None if "messages" in arguments else theirs(ASKED, add_generation_prompt=True, **arguments)
    for codec in (Codec.of_tokenizer(TOKENIZER), Codec.from_folder(tmp_path)):
        try:
            found = codec.encode(codec.conversation_text(ASKED, arguments))
        except SpecInvalid:
            found = None
        assert found == expected


def test_several_templates_without_a_default_are_an_error_that_names_them(tmp_path: Path) -> None:
    TOKENIZER.chat_template = {name: text for name, text in NAMED.items() if name != "default"}
    TOKENIZER.save_pretrained(tmp_path)
    assert theirs(ASKED) is None
    for codec in (Codec.of_tokenizer(TOKENIZER), Codec.from_folder(tmp_path)):
        with pytest.raises(SpecInvalid) as caught:
            codec.chat_text(ASKED)
        (found,) = caught.value.diagnostics
        assert '"rag"' in found.message
        assert '"tool_use"' in found.message
        assert 'chat_template = "' in str(found.help)
        assert codec.decode(codec.encode(codec.chat_text(ASKED, chat_template="rag"))) == "Rnull"


def test_a_file_takes_the_place_of_what_the_configuration_says(tmp_path: Path) -> None:
    TOKENIZER.chat_template = "file {{ 1 / 0 }}"
    TOKENIZER.save_pretrained(tmp_path)
    found = ChatTemplates.from_folder(tmp_path, {"chat_template": "configuration"}).named["default"]
    assert found.place(3) == f"{tmp_path / 'chat_template.jinja'}:3"
    (tmp_path / "chat_template.jinja").unlink()
    found = ChatTemplates.from_folder(tmp_path, {"chat_template": "configuration"}).named["default"]
    assert (found.text, found.place(3)) == (
        "configuration",
        f'{tmp_path / "tokenizer_config.json"} "chat_template" line 3',
    )


@pytest.mark.parametrize(
    "written",
    [
        {"extra_special_tokens": {"image_token": "<image>"}},
        {"model_specific_special_tokens": {"image_token": "<image>"}},
        {"image_token": "<image>"},
        {"bos_token": {"content": "<s>", "__type": "AddedToken"}},
        {"bos_token": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("mapped", [None, {"bos_token": "<b>", "pad_token": {"content": "<p>"}, "boi_token": "<i>"}])
@pytest.mark.parametrize("lists_added", [True, False])
def test_special_tokens_by_any_name_are_those_of_transformers(
    tmp_path: Path, written: dict[str, Any], mapped: dict[str, Any] | None, lists_added: bool
) -> None:
    byte_tokenizer().save_pretrained(tmp_path)
    template = "{{ bos_token }}|{{ pad_token }}|{{ eos_token }}|{{ image_token }}|{{ boi_token }}"
    (tmp_path / "chat_template.jinja").write_text(template)
    file = tmp_path / "tokenizer_config.json"
    decoder = {"added_tokens_decoder": {"256": {"content": "<|x|>"}}} if lists_added else {}
    file.write_text(json.dumps({**json.loads(file.read_text()), **decoder, **written}))
    if mapped is not None:
        (tmp_path / "special_tokens_map.json").write_text(json.dumps(mapped))
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    expected = loaded.apply_chat_template(ASKED, tokenize=False)
    assert [codec.chat_text(ASKED) for codec in (Codec.from_folder(tmp_path), Codec.of_tokenizer(loaded))] == [
        expected
    ] * 2


def test_a_misspelt_template_name_is_no_template() -> None:
    # transformers would take it for a template, and every prompt would read "rga".
    TOKENIZER.chat_template = NAMED
    with pytest.raises(SpecInvalid) as caught:
        Codec.of_tokenizer(TOKENIZER).chat_text(ASKED, chat_template="rga")
    assert 'no chat template named "rga"' in caught.value.diagnostics[0].message
    assert '"rag"' in str(caught.value.diagnostics[0].help)


def test_half_a_surrogate_pair_that_a_template_writes_is_its_fault() -> None:
    TOKENIZER.chat_template = "ab{{ '\\ud800' }}"
    with pytest.raises(SpecInvalid) as caught:
        Codec.of_tokenizer(TOKENIZER).chat_text(ASKED)
    assert "half of a surrogate pair at character 3" in caught.value.diagnostics[0].message


def test_a_prompt_without_a_token_is_refused_at_the_model() -> None:
    TOKENIZER.chat_template = "{# nothing #}"
    row = Row("rows.jsonl:1", question="q")
    with pytest.raises(SpecInvalid) as caught:
        render(row, 0, "train", Rendering(), Codec.of_tokenizer(TOKENIZER))
    (found,) = caught.value.diagnostics
    assert (found.message.partition(":")[0], found.path) == ("the prompt of rows.jsonl", "model")
    assert "has no token" in found.message

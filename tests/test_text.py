"""Text to ids: the same for a plan as for a run, and nothing is cut or guessed silently."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing

from prerl_spec.errors import EnvironmentUnmet, SpecInvalid
from prerl_spec.prompts import context_ids, render
from prerl_spec.templates.row_templates import fill_template, template_fault
from prerl_spec.text import Codec, eos_ids_of
from prerl_spec.types import Rendering, Row

WORDS = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "user", "system", "assistant", "two", "plus", "brief", "?"]
IDS = {word: i for i, word in enumerate(WORDS)}
CHAT = (
    "{% for m in messages %}{{ '<|im_start|> ' + m.role + ' ' + m.content + ' <|im_end|> ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|> assistant' }}{% endif %}{% if brief %}{{ ' brief' }}{% endif %}"
)


def backend() -> Tokenizer:
    tokenizer = Tokenizer(WordLevel(IDS, unk_token="?"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.add_special_tokens(WORDS[:4])
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return tokenizer


def codec(chat_template: str | None = None, **special: str) -> Codec:
    return Codec(backend(), chat_template=chat_template, special=special)


def words(ids: tuple[int, ...]) -> list[str]:
    return [WORDS[i] for i in ids]


def folder_with(folder: Path, **files: Any) -> Path:
    backend().save(str(folder / "tokenizer.json"))
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def test_a_bare_question_gets_the_tokenizers_own_bos() -> None:
    assert words(context_ids("two plus", Rendering(), codec())) == ["<s>", "two", "plus"]


def test_a_system_prompt_without_a_chat_template_stands_before_the_question() -> None:
    assert words(context_ids("two", Rendering(system="brief"), codec())) == ["<s>", "brief", "two"]


def test_a_chat_template_renders_messages_and_its_arguments_and_adds_no_second_bos() -> None:
    rendering = Rendering(chat={"brief": True}, system="plus")
    seen = words(context_ids("two", rendering, codec(CHAT)))
    assert seen[:4] == ["<|im_start|>", "system", "plus", "<|im_end|>"]
    assert seen[-3:] == ["<|im_start|>", "assistant", "brief"]
    assert "<s>" not in seen


def test_chat_off_ignores_the_chat_template() -> None:
    assert words(context_ids("two", Rendering(chat="off"), codec(CHAT))) == ["<s>", "two"]


def test_a_template_over_the_row_takes_the_place_of_the_question() -> None:
    row = Row("x:1", question="two", gold="4", fields={"a": "plus"})
    prompt = render(row, 0, "train", Rendering(template="{{ a }} two"), codec())
    assert (prompt.question, words(prompt.context)) == ("plus two", ["<s>", "plus", "two"])


def test_a_row_without_a_question_begins_with_the_prefix() -> None:
    prompt = render(Row("x:1", document="two"), 3, "corpus", Rendering(), codec(bos_token="<s>"))
    assert (prompt.question, prompt.row, words(prompt.context)) == (None, 3, ["<s>"])


def test_a_misspelt_column_is_an_error_and_not_an_empty_text() -> None:
    with pytest.raises(SpecInvalid) as caught:
        fill_template("{{ qestion }}", {"question": "two"})
    assert "'qestion' is undefined" in caught.value.diagnostics[0].message
    assert template_fault("{{ question") is not None
    assert template_fault("{{ question }}") is None


def test_a_template_cannot_reach_into_python() -> None:
    with pytest.raises(SpecInvalid):
        fill_template("{{ a.__class__.__mro__[1].__subclasses__() }}", {"a": "x"})


@pytest.mark.parametrize(
    ("chat_template", "special", "prefix"),
    [
        (CHAT, {"bos_token": "<s>", "eos_token": "</s>"}, "<|im_start|>"),
        (None, {"bos_token": "<s>", "eos_token": "</s>"}, "<s>"),
        (None, {"eos_token": "</s>"}, "</s>"),
    ],
)
def test_prefix_auto_is_the_chats_first_special_token_else_bos_else_eos(
    chat_template: str | None, special: dict[str, str], prefix: str
) -> None:
    assert words(codec(chat_template, **special).prefix("auto")) == [prefix]


def test_a_text_without_a_context_stands_behind_bos_else_eos() -> None:
    """Whatever the chat template begins with."""
    assert codec(CHAT, bos_token="<s>", eos_token="</s>").start == codec().token_id("<s>")
    assert codec(CHAT, eos_token="</s>").start == codec().token_id("</s>")
    assert codec(CHAT).start is None


def test_a_tokenizer_without_a_candidate_for_the_prefix_is_an_error() -> None:
    with pytest.raises(EnvironmentUnmet, match="no special token"):
        codec().prefix("auto")
    with pytest.raises(EnvironmentUnmet, match="has no tokens"):
        codec().prefix(" ")
    assert words(codec().prefix("two plus")) == ["two", "plus"]


def test_truncation_asked_for_by_the_tokenizer_file_is_ignored() -> None:
    cutting = backend()
    cutting.enable_truncation(2)
    cutting.enable_padding(length=8)
    loaded = Codec(cutting, chat_template=None, special={})
    assert words(loaded.encode("two plus two plus")) == ["two", "plus", "two", "plus"]


def test_ends_are_those_of_the_generation_config_and_the_tokenizer(tmp_path: Path) -> None:
    folder_with(
        tmp_path, tokenizer_config={"eos_token": {"content": "</s>"}}, generation_config={"eos_token_id": [3, 1]}
    )
    loaded = Codec.from_folder(tmp_path)
    assert (loaded.eos_ids, loaded.eos_id) == ((3, 1), 1)


def test_old_repositories_name_special_tokens_by_the_models_ids_only(tmp_path: Path) -> None:
    folder_with(tmp_path, config={"bos_token_id": 0, "eos_token_id": 1})
    loaded = Codec.from_folder(tmp_path)
    assert loaded.special == {"bos_token": "<s>", "eos_token": "</s>"}
    assert loaded.eos_ids == (1,)


def test_a_tokenizer_that_wants_no_bos_gets_none_from_the_model(tmp_path: Path) -> None:
    folder_with(tmp_path, tokenizer_config={"bos_token": None, "eos_token": "</s>"}, config={"bos_token_id": 0})
    assert Codec.from_folder(tmp_path).special == {"eos_token": "</s>"}


@pytest.mark.parametrize(
    "template", [CHAT, [{"name": "tools", "template": "x"}, {"name": "default", "template": CHAT}]]
)
def test_the_default_chat_template_is_used(tmp_path: Path, template: Any) -> None:
    folder_with(tmp_path, tokenizer_config={"chat_template": template})
    assert Codec.from_folder(tmp_path).chat_template == CHAT


def test_a_folder_without_a_tokenizer_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnmet, match=r"no tokenizer\.json"):
        Codec.from_folder(tmp_path)


@pytest.mark.parametrize(("value", "ids"), [(None, ()), (5, (5,)), ([5, 7], (5, 7))])
def test_a_generation_config_names_none_one_or_several_ends(value: Any, ids: tuple[int, ...]) -> None:
    assert eos_ids_of({"eos_token_id": value}) == ids

"""Converts text to token ids and back, identically in plans and runs: `tokenizers` and sandboxed Jinja, no transformers.

Not supported: slow tokenizers without a `tokenizer.json`.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template, TemplateError, Undefined
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from prerl_spec.codes import Code
from prerl_spec.errors import Diagnostic, EnvironmentUnmet, SpecInvalid
from prerl_spec.types import Prompt, Rendering, Row

SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token")


def _environment(undefined: type[Undefined]) -> Environment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols], undefined=undefined
    )

    def tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **_: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


# Chat templates may read variables that are not passed and expect them to be empty; in a row template an undefined
# variable is a misspelt column, and ignoring it would silently cut the question.
_CHAT = _environment(Undefined)
_ROW = _environment(StrictUndefined)


@lru_cache(maxsize=64)
def _chat_template(template: str) -> Template:
    return _CHAT.from_string(template)


@lru_cache(maxsize=64)
def _row_template(template: str) -> Template:
    return _ROW.from_string(template)


class Codec:
    """A tokenizer with its chat template, special tokens and EOS ids.

    `special` maps "bos_token", "eos_token", "pad_token" … to their text, as tokenizer_config.json names them.
    """

    def __init__(
        self, backend: Tokenizer, *, chat_template: str | None, special: Mapping[str, str], eos_ids: Sequence[int] = ()
    ) -> None:
        # A tokenizer.json may enable truncation or padding; a question must never be cut silently.
        backend.no_truncation()
        backend.no_padding()
        self.backend = backend
        self.chat_template = chat_template
        self.special = dict(special)
        self._prefixes: dict[str, tuple[int, ...]] = {}
        own = self.token_id(self.special["eos_token"]) if self.special.get("eos_token") else None
        self.eos_ids = tuple(dict.fromkeys([*eos_ids, *([own] if own is not None else [])]))

    @classmethod
    def from_folder(cls, folder: Path) -> "Codec":
        """Reads tokenizer.json, tokenizer_config.json and, where present, chat_template.jinja, generation_config.json
        and config.json. Raises EnvironmentUnmet if tokenizer.json is missing."""
        file = folder / "tokenizer.json"
        if not file.is_file():
            raise EnvironmentUnmet(
                f"no tokenizer.json in {folder}", hint="save the tokenizer there with save_pretrained"
            )
        backend = Tokenizer.from_file(str(file))
        config, model = _json(folder / "tokenizer_config.json"), _json(folder / "config.json")
        template = config.get("chat_template")
        if (folder / "chat_template.jinja").is_file():
            template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
        special: dict[str, str] = {}
        for name in SPECIAL_TOKENS:
            value = config.get(name)
            text = value.get("content") if isinstance(value, dict) else value
            # Old repositories define special tokens only in the tokenizer's class; the model config has the same ids.
            if name not in config and isinstance(model.get(f"{name}_id"), int):
                text = backend.id_to_token(model[f"{name}_id"])
            if isinstance(text, str):
                special[name] = text
        generation = _json(folder / "generation_config.json") or model
        return cls(backend, chat_template=_default_template(template), special=special, eos_ids=eos_ids_of(generation))

    @classmethod
    def of_tokenizer(cls, tokenizer: Any, eos_ids: Sequence[int] = ()) -> "Codec":
        """The codec of a loaded transformers tokenizer. Raises EnvironmentUnmet for a slow one."""
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise EnvironmentUnmet(
                f"{type(tokenizer).__name__} has no fast version",
                hint="use a model whose tokenizer has a tokenizer.json",
            )
        special = {name: str(text) for name in SPECIAL_TOKENS if (text := getattr(tokenizer, name, None)) is not None}
        return cls(backend, chat_template=_default_template(tokenizer.chat_template), special=special, eos_ids=eos_ids)

    @cached_property
    def special_ids(self) -> frozenset[int]:
        return frozenset(i for i, t in self.backend.get_added_tokens_decoder().items() if t.special)

    @property
    def vocab_size(self) -> int:
        """The highest token id + 1, added tokens included."""
        return max(self.backend.get_vocab(with_added_tokens=True).values()) + 1

    @property
    def eos_id(self) -> int:
        """The id appended to a document. Raises EnvironmentUnmet for a tokenizer without EOS."""
        if not self.eos_ids:
            raise EnvironmentUnmet("the tokenizer defines no eos_token", hint="set eos_token in tokenizer_config.json")
        own = self.token_id(self.special["eos_token"]) if self.special.get("eos_token") else None
        return own if own is not None else self.eos_ids[0]

    def token_id(self, text: str) -> int | None:
        """The id of exactly this token, or None if it is not in the vocabulary."""
        found = self.backend.token_to_id(text)
        return None if found is None else int(found)

    def encode(self, text: str, *, special: bool = False) -> tuple[int, ...]:
        """Token ids of a text; `special` adds the tokenizer's own special tokens (such as BOS)."""
        return tuple(self.backend.encode(text, add_special_tokens=special).ids)

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        return str(self.backend.decode(list(ids), skip_special_tokens=skip_special))

    def chat_text(self, messages: Sequence[Mapping[str, str]], *, generate: bool = True, **arguments: Any) -> str:
        """The rendered chat template. Raises SpecInvalid if the template fails with these arguments."""
        assert self.chat_template is not None, "chat_text needs a chat template"
        try:
            return _chat_template(self.chat_template).render(
                messages=[dict(m) for m in messages],
                add_generation_prompt=generate,
                **{"tools": None, "documents": None, **self.special, **arguments},
            )
        except TemplateError as error:
            raise SpecInvalid([Diagnostic(Code.CONSTRAINT_BROKEN, f"the chat template failed: {error}")]) from error

    def prefix(self, text: str) -> tuple[int, ...]:
        """The ids of a prefix for log P(y). "auto": the first special token of the rendered chat template, else BOS,
        else the document separator (EOS). Raises EnvironmentUnmet if the tokenizer has none of these."""
        if text not in self._prefixes:
            self._prefixes[text] = self._first_special() if text == "auto" else self._written_prefix(text)
        return self._prefixes[text]

    def _written_prefix(self, text: str) -> tuple[int, ...]:
        ids = self.encode(text)
        if not ids:
            raise EnvironmentUnmet(f"prefix {text!r} has no tokens", hint='write a non-empty text, or prefix = "auto"')
        return ids

    def _first_special(self) -> tuple[int, ...]:
        if self.chat_template is not None:
            rendered = self.encode(self.chat_text([{"role": "user", "content": "x"}]))
            for token in rendered:
                if token in self.special_ids:
                    return (token,)
        for name in ("bos_token", "eos_token"):
            if name in self.special and (found := self.token_id(self.special[name])) is not None:
                return (found,)
        raise EnvironmentUnmet(
            'prefix "auto": the tokenizer has no special token in a chat template, no BOS and no EOS',
            hint='write an explicit prefix, such as prefix = "\\n"',
        )


def template_fault(template: str) -> str | None:
    """The syntax error of a row template, or None if it parses."""
    try:
        _row_template(template)
    except TemplateError as error:
        return str(error)
    return None


def fill_template(template: str, fields: Mapping[str, Any]) -> str:
    """Renders a Jinja template with a row's columns. Raises SpecInvalid (E0202) if the template does not parse or render,
    or reads a column that the row does not have."""
    try:
        return _row_template(template).render(**fields)
    except TemplateError as error:
        raise SpecInvalid([Diagnostic(Code.CONSTRAINT_BROKEN, f"the template failed: {error}")]) from error


def question_text(row: Row, rendering: Rendering) -> str:
    """The user message: the rendered row template, else the bare question."""
    if rendering.template is not None:
        return fill_template(rendering.template, row.fields)
    assert row.question is not None, f"{row.where} has no question"
    return row.question


def context_ids(question: str, rendering: Rendering, codec: Codec) -> tuple[int, ...]:
    """The model's input for a question: rendered by the chat template if there is one and chat is not "off", else the
    system prompt (if any), a blank line and the question, with the tokenizer's own BOS."""
    if rendering.chat != "off" and codec.chat_template is not None:
        messages = [{"role": "system", "content": rendering.system}] if rendering.system is not None else []
        messages.append({"role": "user", "content": question})
        return codec.encode(codec.chat_text(messages, **rendering.chat))
    text = question if rendering.system is None else f"{rendering.system}\n\n{question}"
    return codec.encode(text, special=True)


def render(row: Row, index: int, data: str, rendering: Rendering, codec: Codec) -> Prompt:
    """The prompt of a row; a row without a question gets the prefix "auto" as its context."""
    if row.question is None and rendering.template is None:
        return Prompt(data, index, None, row.gold, codec.prefix("auto"))
    question = question_text(row, rendering)
    return Prompt(data, index, question, row.gold, context_ids(question, rendering, codec))


def eos_ids_of(generation_config: Mapping[str, Any]) -> tuple[int, ...]:
    """The `eos_token_id` of a generation config (or model config): none, one or several ids."""
    eos = generation_config.get("eos_token_id")
    return tuple(eos) if isinstance(eos, list) else () if eos is None else (int(eos),)


def _default_template(template: Any) -> str | None:
    """The default chat template: transformers stores several by name, or as a list of {name, template}."""
    if isinstance(template, list):
        template = {t["name"]: t["template"] for t in template}
    if isinstance(template, dict):
        template = template.get("default")
    return template if isinstance(template, str) else None


def _json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    loaded = json.loads(file.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict), f"expected a JSON object in {file}"
    return loaded

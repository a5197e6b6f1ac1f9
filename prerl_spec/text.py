"""Converts text to token ids and back, identically in plans and runs: `tokenizers` and sandboxed Jinja, no transformers.

Not supported: slow tokenizers without a `tokenizer.json`.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from tokenizers import Tokenizer

from prerl_spec.codes import Code
from prerl_spec.errors import Diagnostic, EnvironmentUnmet, SpecInvalid
from prerl_spec.templates.chat_templates import DEFAULT, ChatTemplate, ChatTemplates, Unrenderable, variables
from prerl_spec.templates.renderer import Rendered, TemplateFault

SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


class Codec:
    """A tokenizer with its chat template, special tokens and EOS ids.

    `special` maps "bos_token", "eos_token", "pad_token" … to their text, as tokenizer_config.json names them.
    """

    def __init__(
        self,
        backend: Tokenizer,
        *,
        chat_template: str | ChatTemplates | None,
        special: Mapping[str, str],
        eos_ids: Sequence[int] = (),
    ) -> None:
        # A tokenizer.json may enable truncation or padding; a question must never be cut silently.
        backend.no_truncation()
        backend.no_padding()
        self.backend = backend
        self.chat_templates = (
            chat_template
            if isinstance(chat_template, ChatTemplates)
            else ChatTemplates.of(chat_template, "the chat template")
        )
        self.special = dict(special)
        self._prefixes: dict[str, tuple[int, ...]] = {}
        own = self.token_id(self.special["eos_token"]) if self.special.get("eos_token") else None
        self.eos_ids = tuple(dict.fromkeys([*eos_ids, *([own] if own is not None else [])]))

    @classmethod
    def from_folder(cls, folder: Path) -> "Codec":
        """Reads tokenizer.json, tokenizer_config.json and, where present, chat_template.jinja, generation_config.json
        and config.json. Raises EnvironmentUnmet if tokenizer.json is missing or cannot be read."""
        file = folder / "tokenizer.json"
        if not file.is_file():
            raise EnvironmentUnmet(
                f"no tokenizer.json in {folder}", hint="save the tokenizer there with save_pretrained"
            )
        try:
            backend = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises no narrower class
            why = str(error).splitlines()[0]
            raise EnvironmentUnmet(
                f"{file} is no tokenizer: {why}", hint="save it again with save_pretrained"
            ) from error
        config, model = _json(folder / "tokenizer_config.json"), _json(folder / "config.json")
        special: dict[str, str] = {}
        written = _special_tokens(folder, config)
        for name in (*SPECIAL_TOKENS, *(name for name in written if name not in SPECIAL_TOKENS)):
            value = written.get(name)
            text = value.get("content") if isinstance(value, dict) else value
            # Old repositories define special tokens only in the tokenizer's class; the model config has the same ids.
            if name not in written and isinstance(model.get(f"{name}_id"), int):
                text = backend.id_to_token(model[f"{name}_id"])
            if isinstance(text, str):
                special[name] = text
        generation = _json(folder / "generation_config.json") or model
        templates = ChatTemplates.from_folder(folder, config)
        return cls(backend, chat_template=templates, special=special, eos_ids=eos_ids_of(generation))

    @classmethod
    def of_tokenizer(cls, tokenizer: Any, eos_ids: Sequence[int] = ()) -> "Codec":
        """The codec of a loaded transformers tokenizer. Raises EnvironmentUnmet for a slow one."""
        backend = getattr(tokenizer, "backend_tokenizer", None)
        if backend is None:
            raise EnvironmentUnmet(
                f"{type(tokenizer).__name__} has no fast version",
                hint="use a model whose tokenizer has a tokenizer.json",
            )
        # A tokenizer's own names, such as `image_token`, are among them.
        special = {name: text for name, text in tokenizer.special_tokens_map.items() if isinstance(text, str)}
        templates = ChatTemplates.of_tokenizer(tokenizer.chat_template, str(tokenizer.name_or_path or ""))
        return cls(backend, chat_template=templates, special=special, eos_ids=eos_ids)

    @property
    def chat_template(self) -> str | None:
        """The text of the template that is meant where none is named; None for a tokenizer without a chat template.
        Raises SpecInvalid if there are several and none is the default."""
        template = self.template_for({})
        return None if template is None else template.text

    def template_for(self, chat: Mapping[str, Any] | Literal["off"]) -> ChatTemplate | None:
        """The template that renders with these arguments; None where there is none, and for "off". Raises SpecInvalid
        (E0202) where it is not said which of several."""
        try:
            return None if chat == "off" else self.chat_templates.chosen(chat)
        except Unrenderable as reason:
            raise _unrenderable(reason) from reason

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

    @cached_property
    def start(self) -> int | None:
        """The id that stands in front of a text without a context: BOS, else EOS; None for a tokenizer with neither."""
        named = (self.special.get(name) for name in ("bos_token", "eos_token"))
        return next((found for text in named if text and (found := self.token_id(text)) is not None), None)

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
        """The rendered chat template, as transformers' `apply_chat_template` renders it. Raises SpecInvalid if the template
        fails with these arguments."""
        return self.conversation_text(messages, arguments, generate=generate)

    def conversation_text(
        self, messages: Sequence[Mapping[str, Any]], arguments: Mapping[str, Any], *, generate: bool = True
    ) -> str:
        """The same; the arguments are a table of the spec's, in which any name may stand."""
        outcome = self.chat_texts([messages], arguments, generate=generate)[0]
        if isinstance(outcome, TemplateFault):
            template = self.template_for(arguments)
            assert template is not None, "it has rendered"
            message = template.why_not(outcome, "a conversation")
            raise SpecInvalid([Diagnostic(Code.CONSTRAINT_BROKEN, message, path="model")])
        return outcome

    def chat_texts(
        self,
        conversations: Sequence[Sequence[Mapping[str, Any]]],
        arguments: Mapping[str, Any],
        *,
        generate: bool = True,
    ) -> list[Rendered]:
        """Each conversation as `chat_text` renders it, or why it cannot be; nothing after a fault that is final."""
        template = self.template_for(arguments)
        assert template is not None, "chat_texts needs a chat template"
        try:
            shared = variables(self.special, arguments, generate=generate)
        except Unrenderable as reason:
            raise _unrenderable(reason) from reason
        return template.render(conversations, shared)

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
        if self.chat_templates.named:
            if DEFAULT not in self.chat_templates.named:
                raise EnvironmentUnmet(
                    'prefix "auto": the tokenizer has several chat templates and none is the default',
                    hint='write an explicit prefix, such as prefix = "<|im_start|>"',
                )
            rendered = self.encode(self.chat_text([{"role": "user", "content": "x"}]))
            for token in rendered:
                if token in self.special_ids:
                    return (token,)
        if self.start is not None:
            return (self.start,)
        raise EnvironmentUnmet(
            'prefix "auto": the tokenizer has no special token in a chat template, no BOS and no EOS',
            hint='write an explicit prefix, such as prefix = "\\n"',
        )


def eos_ids_of(generation_config: Mapping[str, Any]) -> tuple[int, ...]:
    """The `eos_token_id` of a generation config (or model config): none, one or several ids."""
    eos = generation_config.get("eos_token_id")
    return tuple(eos) if isinstance(eos, list) else () if eos is None else (int(eos),)


def _json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    loaded = json.loads(file.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict), f"expected a JSON object in {file}"
    return loaded


def _special_tokens(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """The named special tokens of a folder as transformers reads them: SPECIAL_TOKENS and a tokenizer's own, such as
    `image_token`, from `config`; from special_tokens_map.json where `config` lists no added tokens."""
    extra = config.get("extra_special_tokens")
    own = {**_table(config.get("model_specific_special_tokens")), **_table(extra)}
    found = {name: value for name, value in config.items() if name in SPECIAL_TOKENS or _names_token(name, value)}
    if "added_tokens_decoder" not in config:
        mapped = _json(folder / "special_tokens_map.json")
        own |= _table(mapped.get("extra_special_tokens"))
        found |= {name: value for name, value in mapped.items() if name in SPECIAL_TOKENS or _names_token(name, value)}
    return {**found, **own}


def _names_token(name: str, value: Any) -> bool:
    is_token = isinstance(value, str) or (isinstance(value, dict) and isinstance(value.get("content"), str))
    return name.endswith("_token") and is_token


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _unrenderable(reason: Unrenderable) -> SpecInvalid:
    return SpecInvalid([Diagnostic(Code.CONSTRAINT_BROKEN, reason.message, path="chat", help=reason.help)])

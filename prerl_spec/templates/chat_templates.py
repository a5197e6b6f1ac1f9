"""The chat templates of a tokenizer: where they are written, which one is meant, and how a conversation is rendered.

Equal to transformers' `apply_chat_template(conversation, add_generation_prompt=…, **arguments)`: `chat_template` names one
of several templates, or is one; `tools` selects "tool_use" where there is one. Not here: `continue_final_message`, masks of
the assistant's tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prerl_spec.templates.renderer import RENDERER, Rendered, TemplateFault

DEFAULT, TOOL_USE = "default", "tool_use"

CHAT_FILE = "chat_template.jinja"
NAMED_FOLDER = "additional_chat_templates"
"""Of a tokenizer's folder: further templates, NAME.jinja each."""
CONFIG_FILE, CONFIG_KEY = "tokenizer_config.json", "chat_template"

JINJA = ("{{", "{%")
"""A template without either is the same text for every conversation: a misspelt name, not a template."""

OURS = ("add_generation_prompt", "continue_final_message", "conversation", "messages", "sanitize_control_tokens")
"""Arguments of `apply_chat_template` that are no matter of a spec: a question ends with the generation prompt."""

REASONING = ("reasoning_content", "thinking", "reasoning")
"""Names of a message's reasoning; templates read the first one, or the second."""


class Unrenderable(Exception):
    """The arguments of a chat template cannot be meant: `help` says what would be right."""

    def __init__(self, message: str, help: str) -> None:
        super().__init__(message)
        self.message = message
        self.help = help


@dataclass(frozen=True)
class ChatTemplate:
    """One template: `ChatTemplate("{% for …", "models/qwen/chat_template.jinja")`. `key` is its key in a file of JSON."""

    text: str
    file: str
    key: str | None = None

    def place(self, line: int | None) -> str:
        """`chat_template.jinja:3`, or `tokenizer_config.json "chat_template" line 3`."""
        if self.key is None:
            return self.file if line is None else f"{self.file}:{line}"
        where = f'{self.file} "{self.key}"'
        return where if line is None else f"{where} line {line}"

    def why_not(self, fault: TemplateFault, where: str) -> str:
        """`the chat template refuses rows.jsonl:4: no system role, at models/gemma/chat_template.jinja:1`."""
        what = "refuses" if fault.kind == "refused" else "fails on"
        return f"the chat template {what} {where}: {fault.message}, at {self.place(fault.line)}"

    def render(self, conversations: Sequence[Sequence[Mapping[str, Any]]], shared: Mapping[str, Any]) -> list[Rendered]:
        """Each conversation as text, up to a final fault."""
        each = [{"messages": [_message(m) for m in messages]} for messages in conversations]
        return RENDERER.render("chat", self.text, each, shared)


@dataclass(frozen=True)
class ChatTemplates:
    """All templates of a tokenizer by name; the only one, or the one that is meant unless another is named, is "default"."""

    named: Mapping[str, ChatTemplate] = field(default_factory=dict)

    @classmethod
    def of(cls, written: Any, file: str, key: str | None = None) -> "ChatTemplates":
        """From the forms that transformers stores: a text, a table by name, or a list of {name, template}."""
        if isinstance(written, list):
            written = {t["name"]: t["template"] for t in written}
        if isinstance(written, str):
            written = {DEFAULT: written}
        found = written if isinstance(written, Mapping) else {}
        return cls({str(name): ChatTemplate(text, file, key) for name, text in found.items() if isinstance(text, str)})

    @classmethod
    def from_folder(cls, folder: Path, config: Mapping[str, Any]) -> "ChatTemplates":
        """Those of a tokenizer's folder: template files take the place of all that tokenizer_config.json (`config`) has."""
        read = {n: ChatTemplate(f.read_text(encoding="utf-8"), str(f)) for n, f in _files(folder).items()}
        return cls(read) if read else cls.of(config.get(CONFIG_KEY), str(folder / CONFIG_FILE), CONFIG_KEY)

    @classmethod
    def of_tokenizer(cls, written: Any, name: str) -> "ChatTemplates":
        """Those of a loaded tokenizer; `name` is the folder or hub repository that it comes from."""
        folder = Path(name)
        if not name or not folder.is_dir():
            return cls.of(written, f"the chat template of {name}" if name else "the chat template")
        files = _files(folder)
        read = cls.of(written, str(folder / CONFIG_FILE), CONFIG_KEY).named
        return cls({name: ChatTemplate(t.text, str(files[name])) if name in files else t for name, t in read.items()})

    def chosen(self, arguments: Mapping[str, Any]) -> ChatTemplate | None:
        """The template that these arguments mean; None for a tokenizer without any. Raises Unrenderable."""
        wanted = arguments.get("chat_template")
        if wanted is not None:
            if not isinstance(wanted, str):
                raise Unrenderable("`chat_template` is not text", "write the name of a template, or a template")
            if wanted not in self.named and not any(mark in wanted for mark in JINJA):
                raise Unrenderable(
                    f'the tokenizer has no chat template named "{wanted}"', f"its templates: {self._listed() or 'none'}"
                )
            # As in transformers: a text that is no name is a template.
            return self.named.get(wanted) or ChatTemplate(wanted, "the spec", "chat_template")
        if not self.named:
            return None
        names = [DEFAULT] if arguments.get("tools") is None else [TOOL_USE, DEFAULT]
        for name in names:
            if name in self.named:
                return self.named[name]
        raise Unrenderable(
            f"the tokenizer has several chat templates and none is the default: {self._listed()}",
            f'name one: `chat = {{ chat_template = "{next(iter(self.named))}" }}`, or leave them out: `chat = "off"`',
        )

    def _listed(self) -> str:
        return ", ".join(f'"{name}"' for name in self.named)


def variables(special: Mapping[str, str], arguments: Mapping[str, Any], *, generate: bool) -> dict[str, Any]:
    """What a template sees besides the messages: special tokens by name, tools, documents and further arguments.

    Raises Unrenderable for arguments that `apply_chat_template` would not take.
    """
    for name in OURS:
        if name in arguments:
            raise Unrenderable(f"`{name}` is not an argument that a spec may give", f"remove `{name}` from `chat`")
    for name in ("tools", "documents"):
        value = arguments.get(name)
        if value is not None and not (isinstance(value, list) and all(isinstance(item, Mapping) for item in value)):
            raise Unrenderable(f"`{name}` is not a list of tables", f"write {name} = [{{ … }}, …]")
    handed_on = {name: value for name, value in arguments.items() if name != "chat_template"}
    return {"tools": None, "documents": None, "add_generation_prompt": generate, **special, **handed_on}


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message as templates see it: without keys that are null, its reasoning under the names that templates read."""
    said = {key: value for key, value in message.items() if value is not None}
    reasoning = next((said[name] for name in REASONING if name in said), None)
    return said if reasoning is None else {"thinking": reasoning, **said, "reasoning_content": reasoning}


def _files(folder: Path) -> dict[str, Path]:
    """The template files of a tokenizer's folder, by name."""
    named = {file.stem: file for file in sorted((folder / NAMED_FOLDER).glob("*.jinja"))}
    return {DEFAULT: folder / CHAT_FILE, **named} if (folder / CHAT_FILE).is_file() else named

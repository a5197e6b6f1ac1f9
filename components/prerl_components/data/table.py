"""Settings shared by all tables of rows: the columns, how a row is rendered, and how bad rows are handled."""

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializeAsAny, field_validator

from prerl_spec.sdk import Component, PassedThrough, Rendering, Slot, template_fault


class TableSettings(Component):
    """The columns of a row and how the row is rendered as model input."""

    kind: ClassVar[Literal["data"]] = "data"

    question: str = Field(default="question", min_length=1, description="Column with the question.")
    answer: str = Field(default="answer", min_length=1, description="Column with the gold answer.")
    document: str = Field(
        default="off",
        min_length=1,
        description='Column with a document to train on, or "off". A question in the row becomes its context; '
        "EOS is appended.",
    )
    extract: str = Field(
        default="whole",
        pattern=r"^(whole|last_boxed|after:[\s\S]+)$",
        description='Part of the answer column that is gold: "whole", "after:TEXT" (after the last TEXT), "last_boxed".',
    )
    template: str | None = Field(
        default=None, description="Jinja template over the row's columns. Default: the question verbatim."
    )
    system: str | None = Field(default=None, description="System prompt. Default: none.")
    chat: Annotated[dict[str, Any] | Literal["off"], PassedThrough()] = Field(
        default_factory=dict, description='Arguments of the tokenizer\'s chat template, or "off" for base models.'
    )
    max_prompt_tokens: int | None = Field(
        default=None, ge=1, description="Maximum prompt length in tokens. Default: limited by the model's context only."
    )
    over_long: Literal["error", "drop"] = Field(default="error", description="What to do with a longer prompt.")
    on_bad_row: Literal["error", "drop"] = Field(default="error", description="What to do with an unreadable row.")
    verifier: Annotated[SerializeAsAny[Component] | None, Slot("verifier")] = Field(
        default=None, description="Verifier for this data set. Default: that of the phase."
    )

    @field_validator("template")
    @classmethod
    def _parses(cls, template: str | None) -> str | None:
        if template is not None and (fault := template_fault(template)) is not None:
            raise ValueError(f"not a Jinja template: {fault}")
        return template

    def write_trial_rows(self, file: Path) -> None:
        """Writes three rows with the columns named in these settings, as JSON Lines."""
        marker = self.extract.removeprefix("after:") if self.extract.startswith("after:") else ""
        rows = [
            {
                self.question: f"1 + {n} =",
                self.answer: f"{marker} \\boxed{{{n + 1}}}",
                **({} if self.document == "off" else {self.document: f"1 + {n} = {n + 1}"}),
            }
            for n in range(3)
        ]
        file.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")

    @property
    def rendering(self) -> Rendering:
        return Rendering(chat=self.chat, system=self.system, template=self.template)

    def tokenizer_files(self) -> None:
        """None: a table of rows provides no tokenizer."""
        return None

"""A tiny reasoning task that makes its own rows: chains of two-digit arithmetic, with a corpus that errs on purpose."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from prerl_components.data import chain_tokenizer
from prerl_components.data.chain_rows import ChainRows
from prerl_components.data.chains import MAX_STEPS
from prerl_spec.sdk import Component, DataSet


class ArithmeticChains(Component):
    """Question `Q: 29 a:+8 b:*2 ?`, response ` a:29+8=37. so b:37*2=74. answer \\boxed{74}`.

    `corpus` are documents for pre-training, with a systematic mistake that leaves reinforcement something to learn;
    `prompts` are questions with gold answers; `easy` and `hard` are held out. No chain is in two parts, whatever the
    seeds and steps. The data set brings its own tokenizer.
    """

    kind: ClassVar[Literal["data"]] = "data"
    verifier: ClassVar[None] = None

    part: Literal["prompts", "corpus", "easy", "hard"] = Field(default="prompts", description="Which rows to make.")
    seed: int = Field(default=0, ge=0, description="Another seed, other rows of the same part.")
    steps: tuple[PositiveInt, PositiveInt] = Field(
        default=(3, 5), description="Least and most steps of a chain; unwritten: [3, 5], in hard [6, 7]."
    )

    @model_validator(mode="before")
    @classmethod
    def _hard_is_longer(cls, values: Any) -> Any:
        if isinstance(values, dict) and "steps" not in values and values.get("part") == "hard":
            return {**values, "steps": (6, 7)}
        return values

    @field_validator("steps")
    @classmethod
    def _is_a_range(cls, steps: tuple[int, int]) -> tuple[int, int]:
        least, most = steps
        if not least <= most <= MAX_STEPS:
            raise ValueError(f"least and most must satisfy least <= most <= {MAX_STEPS}")
        return steps

    def open(self, name: str) -> DataSet:
        """The rows, made when they are asked for; nothing can fail."""
        return ChainRows(self.part, self.seed, self.steps, name)

    def tokenizer_files(self) -> Mapping[str, str]:
        return chain_tokenizer.tokenizer_files()

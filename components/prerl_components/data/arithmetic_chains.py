"""A tiny synthetic reasoning task: chains of two-digit arithmetic, with a corpus that contains deliberate mistakes."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from prerl_components.data import chain_tokenizer
from prerl_components.data.chain_rows import ChainRows
from prerl_components.data.chains import MAX_STEPS
from prerl_spec.sdk import Component, DataSet, Rendering


class ArithmeticChains(Component):
    """Question `Q: 29 a:+8 b:*2 ?`, response ` a:29+8=37. so b:37*2=74. answer \\boxed{74}`.

    `corpus` holds documents for pre-training, with a systematic mistake that RL can correct; `prompts` holds questions
    with gold answers; `easy` and `hard` are held out. No chain occurs in two parts, for any seeds and steps. The data
    set provides its own tokenizer.
    """

    kind: ClassVar[Literal["data"]] = "data"
    verifier: ClassVar[None] = None
    rendering: ClassVar[Rendering] = ChainRows.rendering

    part: Literal["prompts", "corpus", "easy", "hard"] = Field(default="prompts", description="Which rows to generate.")
    seed: int = Field(default=0, ge=0, description="Seed of the row generator; the parts stay disjoint.")
    steps: tuple[PositiveInt, PositiveInt] = Field(
        default=(3, 5), description="Minimum and maximum steps of a chain. Default: [3, 5]; for hard, [6, 7]."
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
            raise ValueError(f"[minimum, maximum] must satisfy minimum <= maximum <= {MAX_STEPS}")
        return steps

    def open(self, name: str) -> DataSet:
        """The rows, generated on access; never raises."""
        return ChainRows(self.part, self.seed, self.steps, name)

    def tokenizer_files(self) -> Mapping[str, str]:
        return chain_tokenizer.tokenizer_files()

"""A causal language model of transformers with randomly initialised weights."""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from prerl_components.models.folder_refusals import tokenizer_refusals
from prerl_components.models.setting_mistakes import config_mistakes
from prerl_spec.sdk import Component, DataName, LoadedModel, Mistake, ModelSite, PassedThrough, Prerequisite, Refusal

FROM_DATA = "data:"
SMALLEST = {
    "model_type": "qwen3",
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
}
"""The smallest useful configuration: what `plugin check` builds."""


class FromScratch(Component):
    """Any causal architecture of transformers; the weights are a function of `seed`, or of the run's."""

    kind: ClassVar[Literal["model"]] = "model"

    config: Annotated[dict[str, Any], PassedThrough()] = Field(
        examples=[SMALLEST],
        description="Configuration of transformers, including `model_type`; vocab_size and the ids of special tokens "
        "default to the tokenizer's.",
    )
    tokenizer: Annotated[str, DataName("data:")] = Field(
        min_length=1,
        examples=["data:corpus"],
        description='Folder or hub name with tokenizer files, or "data:NAME" for the tokenizer of data set NAME.',
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="Compute dtype of forward passes; weights and moments are float32."
    )

    seed: int | None = Field(
        None,
        ge=0,
        description="Seed of the weights. Default: run.seed, so that runs of several seeds begin with different weights.",
    )

    @field_validator("config")
    @classmethod
    def _names_its_architecture(cls, config: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(config.get("model_type"), str):
            raise ValueError('needs model_type, an architecture of transformers such as "qwen3"')
        return config

    @field_validator("tokenizer")
    @classmethod
    def _from_home(cls, place: str) -> str:
        return os.path.expanduser(place)

    @property
    def tokenizer_data(self) -> str | None:
        """Name of the data set that provides the tokenizer; None for a folder or a hub name."""
        return self.tokenizer.removeprefix(FROM_DATA) if self.tokenizer.startswith(FROM_DATA) else None

    def settings(self) -> dict[str, Any]:
        """Without an unwritten `seed`, so that it changes no digest."""
        return {key: value for key, value in super().settings().items() if key != "seed" or value is not None}

    def prerequisites(self) -> tuple[Prerequisite, ...]:
        if self.tokenizer_data is not None or os.path.isdir(self.tokenizer):
            return ()
        hint = "connect to the hub, or save the tokenizer in a folder and set `tokenizer` to it"
        return (Prerequisite("model", self.tokenizer, hint),)

    def refusals(self) -> Iterator[Refusal]:
        """Files that a local folder of a tokenizer lacks."""
        if self.tokenizer_data is None and os.path.isdir(self.tokenizer):
            yield from tokenizer_refusals(self.tokenizer)

    def mistakes(self) -> Iterator[Mistake]:
        """A `model_type` and keys that transformers does not know."""
        yield from config_mistakes(self.config)

    def build(self, site: ModelSite) -> LoadedModel:
        """Initialises the weights. Raises SpecInvalid for a configuration that transformers rejects, and
        EnvironmentUnmet, with the name, for a tokenizer that cannot be loaded."""
        from prerl_components.models.initialising import initialise

        data = self.tokenizer_data
        tokenizer = self.tokenizer if data is None else str(site.tokenizer_folder(data))
        own = site if self.seed is None else replace(site, seed=self.seed)
        return initialise(self.config, tokenizer, self.dtype, own)

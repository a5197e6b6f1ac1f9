"""A causal language model of transformers that starts from random weights."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from prerl_spec.sdk import Component, DataName, HandedOn, LoadedModel, ModelSite, Prerequisite

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
"""A model to look at: what `plugin check` builds."""


class FromScratch(Component):
    """Any architecture that transformers knows; the weights follow from the run's seed."""

    kind: ClassVar[Literal["model"]] = "model"

    config: Annotated[dict[str, Any], HandedOn()] = Field(
        examples=[SMALLEST],
        description="Configuration of transformers, `model_type` included; vocab_size and the ids of special tokens "
        "come from the tokenizer where unwritten.",
    )
    tokenizer: Annotated[str, DataName("data:")] = Field(
        min_length=1,
        examples=["data:corpus"],
        description='Folder or hub name with tokenizer files, or "data:NAME" for the one that data set NAME brings.',
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="What forwards compute in; weights and moments are float32."
    )

    @field_validator("config")
    @classmethod
    def _names_its_architecture(cls, config: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(config.get("model_type"), str):
            raise ValueError('needs model_type, an architecture of transformers such as "qwen3"')
        return config

    @property
    def tokenizer_data(self) -> str | None:
        """The data set that brings the tokenizer, None where it is a folder or a hub name."""
        return self.tokenizer.removeprefix(FROM_DATA) if self.tokenizer.startswith(FROM_DATA) else None

    def prerequisites(self) -> tuple[Prerequisite, ...]:
        if self.tokenizer_data is not None or Path(self.tokenizer).is_dir():
            return ()
        hint = "connect to the hub, or save the tokenizer in a folder and write that as `tokenizer`"
        return (Prerequisite("model", self.tokenizer, hint),)

    def build(self, site: ModelSite) -> LoadedModel:
        """Initialises the weights. Raises SpecInvalid for a configuration that transformers does not know, and
        EnvironmentUnmet, with the name, for a tokenizer that cannot be loaded."""
        from prerl_components.models.initialising import initialise

        data = self.tokenizer_data
        tokenizer = self.tokenizer if data is None else str(site.tokenizer_folder(data))
        return initialise(self.config, tokenizer, self.dtype, site)

"""A causal language model of transformers, from a local folder or the hub."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, SerializeAsAny, field_validator, model_validator

from prerl_components.models.folder_refusals import folder_config, model_refusals, tokenizer_refusals
from prerl_components.models.setting_mistakes import load_mistakes
from prerl_spec.sdk import (
    Component,
    EnvironmentUnmet,
    LoadedModel,
    Mistake,
    ModelSite,
    PassedThrough,
    Prerequisite,
    Refusal,
    Slot,
    decided_elsewhere,
)

DECIDED = frozenset(
    (
        *("attn_implementation", "dtype", "torch_dtype", "revision", "trust_remote_code", "code_revision"),
        *("config", "state_dict", "device_map", "output_loading_info", "use_safetensors", "weights_only"),
    )
)
"""Arguments of `from_pretrained` that are set by other settings, or fixed by the guarantees of a run."""

FLASH = {
    "flash_attention_2": ("flash-attn>=2.8", "pip install 'prerl-spec[flash]'"),
    "flash_attention_3": ("flash-attn-3", "build flash-attn-3 from its sources"),
    "flash_attention_4": ("flash-attn-4", "pip install --pre flash-attn-4"),
}
"""`attention` -> the package that it needs, and how to get it. Without it transformers may download compiled kernels."""


class HfCausal(Component):
    """A pretrained model with float32 weights for any checkpoint dtype; `dtype` is the compute dtype of forward passes.

    With an `adapter` the weights are frozen and kept in `dtype` as well.
    """

    kind: ClassVar[Literal["model"]] = "model"

    name: str = Field(min_length=1, description="A folder with a saved model, or a name on the hub.")
    revision: str = Field(default="main", min_length=1, description="Branch, tag or commit on the hub.")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="Compute dtype of forward passes; weights and moments are float32."
    )
    attention: str = Field(default="sdpa", min_length=1, description="Attention implementation of transformers.")
    tokenizer: str = Field(default="", description="Folder or hub name of the tokenizer. Default: `name`.")
    adapter: Annotated[SerializeAsAny[Component] | None, Slot("adapter")] = Field(
        default=None, description="Adapter to train instead of the weights. Default: none."
    )
    load: Annotated[dict[str, Any], PassedThrough()] = Field(
        default_factory=dict, description="Further arguments of from_pretrained."
    )
    remote_code: str = Field(
        default="off",
        pattern=r"^(off|[0-9a-f]{40})$",
        description='Commit whose model code may be run (40 hex digits, never a branch), or "off".',
    )

    @model_validator(mode="before")
    @classmethod
    def _tokenizer_lies_with_the_model(cls, values: Any) -> Any:
        if isinstance(values, dict) and "tokenizer" not in values and isinstance(values.get("name"), str):
            return {**values, "tokenizer": values["name"]}
        return values

    @field_validator("name", "tokenizer")
    @classmethod
    def _from_home(cls, place: str) -> str:
        return os.path.expanduser(place)

    @property
    def overruling(self) -> tuple[Prerequisite, ...]:
        """Entries of `load` that cannot be set there, as prerequisites that are never met."""
        return decided_elsewhere("load", self.load, DECIDED)

    def prerequisites(self) -> tuple[Prerequisite, ...]:
        names = dict.fromkeys([self.name, self.tokenizer])
        hint = "connect to the hub, or save the model in a folder and set `name` to it"
        hub = [
            Prerequisite("model", name, hint, self.revision if name == self.name else None)
            for name in names
            if not os.path.isdir(name)
        ]
        return (*hub, *self._of_attention(), *self.overruling)

    def _of_attention(self) -> Iterator[Prerequisite]:
        written = f'attention = "{self.attention}"'
        if "/" in self.attention:
            hint = 'set attention = "sdpa" or "flash_attention_2": a kernel of the hub is compiled code without a pinned commit'
            yield Prerequisite("setting", written, hint)
        if self.attention.startswith("flash_attention"):
            yield Prerequisite("gpu", written, 'set attention = "sdpa", or run on a machine with a GPU')
        if self.attention in FLASH:
            yield Prerequisite("package", *FLASH[self.attention])

    def refusals(self) -> Iterator[Refusal]:
        """Files that a local folder lacks: those of the hub are prerequisites."""
        if os.path.isdir(self.name):
            own_code = self.remote_code != "off"
            yield from model_refusals(self.name, with_tokenizer=self.tokenizer == self.name, own_code=own_code)
        if self.tokenizer != self.name and os.path.isdir(self.tokenizer):
            yield from tokenizer_refusals(self.tokenizer)

    def mistakes(self) -> Iterator[Mistake]:
        """Keys of `load` that neither from_pretrained nor the configuration of a local folder takes."""
        if self.remote_code == "off" and (config := folder_config(self.name)) is not None:
            yield from load_mistakes({key: self.load[key] for key in self.load if key not in DECIDED}, config)

    def for_trial(self, folder: Path) -> Self:
        """The same settings on a small model with random weights, saved in the folder."""
        from prerl_components.models.trial_model import save_trial_model

        save_trial_model(folder)
        return self.model_copy(update={"name": str(folder), "tokenizer": str(folder)})

    def build(self, site: ModelSite) -> LoadedModel:
        """Loads weights and tokenizer. Raises EnvironmentUnmet, with the name, if one of them cannot be loaded."""
        from prerl_components.models.loading import load_pretrained

        for need in self.overruling:
            raise EnvironmentUnmet(f"{need.name} is set by other settings", hint=need.hint)
        if "/" in self.attention:
            (need,) = self._of_attention()
            raise EnvironmentUnmet(f"{need.name} names code of the hub", hint=need.hint)
        return load_pretrained(
            self.name,
            revision=self.revision,
            tokenizer=self.tokenizer,
            dtype=self.dtype,
            attention=self.attention,
            remote_code=self.remote_code,
            further=self.load,
            adapter=self.adapter,
            site=site,
        )

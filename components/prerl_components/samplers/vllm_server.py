"""vLLM servers that run elsewhere: asked over HTTP, given new weights through a folder that both sides see."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from prerl_components.samplers.shared.vllm_parameters import temperature_fault
from prerl_spec.sdk import (
    Code,
    Conflict,
    HandedOn,
    OpenSampler,
    Place,
    Prerequisite,
    SamplerSettings,
    SamplerSite,
    Secret,
    ServedModel,
    ServerProcess,
    Wiring,
    decided_elsewhere,
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
        *("code_revision", "trust_remote_code", "dtype", "runner", "convert", "logprobs_mode", "worker_extension_cls"),
        *("generation_config", "override_generation_config", "served_model_name"),
    )
)
"""Arguments of the engine that are decided by other settings, or by the promises of a run."""


class VllmServer(SamplerSettings):
    """Samples with running vLLM servers (`prerl-spec serve` starts them); vLLM is needed where they run, not here."""

    own_weights: ClassVar[bool] = True

    urls: tuple[Annotated[str, Field(pattern=r"^https?://")], ...] = Field(
        min_length=1,
        examples=[("http://127.0.0.1:8000",)],
        description="addresses of the servers: http://127.0.0.1:8000",
    )
    push_dir: str | None = Field(
        None, description="folder that trainer and servers see, where new weights are written; else the run folder"
    )
    key: Annotated[str | None, Secret()] = Field(None, description="key that the servers ask for")
    engine: Annotated[dict[str, Any], HandedOn()] = Field(
        default_factory=dict, description="arguments of `vllm serve`, handed on as they stand by `prerl-spec serve`"
    )
    max_gap: float = Field(
        0.1, gt=0, description="mean |log-probability of trainer - of sampler|, in nats, that stops the run"
    )

    @property
    def device_share(self) -> float:
        """Of the trainer's GPUs, none."""
        return 0.0

    def prerequisites(self) -> tuple[Prerequisite, ...]:
        servers = tuple(Prerequisite("server", url, "prerl-spec serve SPEC") for url in self.urls)
        return (*servers, *decided_elsewhere("engine", self.engine, DECIDED))

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        """The shared rules, and no temperature that vLLM would change without a word."""
        yield from super().check(wiring)
        if (fault := temperature_fault(self.temperature)) is not None:
            yield Conflict(Code.CONTRADICTION, fault, (Place("self", "temperature"), Place("self", "use")))

    def for_trial(self, folder: Path) -> str:
        """Whatever listens at its urls was started for something else."""
        return "it needs a server that `prerl-spec serve` has started for it"

    def open(self, site: SamplerSite) -> AbstractContextManager[OpenSampler]:
        """Gives every server the weights as they stand and compares log-probabilities.

        Raises EnvironmentUnmet for a server that is not there, not ours, or serves another model.
        """
        from prerl_components.samplers.server.sampler import open_servers

        return open_servers(self.urls, self.key, self.push_dir, self.engine, self.max_gap, site)

    def servers(self, model: ServedModel, urls: Sequence[str]) -> tuple[ServerProcess, ...]:
        """What `prerl-spec serve` starts on this machine, a process a url.

        Raises EnvironmentUnmet for an address that is not of this machine or taken, and for an argument of `engine` that
        vLLM does not have.
        """
        from prerl_components.samplers.server.launch import server_processes

        return server_processes(urls, self.key, self.engine, model)

"""Separate vLLM servers: sampled from over HTTP, with new weights pushed through a shared folder."""

import os
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from prerl_components.samplers.shared.vllm_parameters import temperature_fault
from prerl_spec.sdk import (
    Code,
    Conflict,
    OpenSampler,
    PassedThrough,
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
"""Arguments of the engine that are set by other settings, or fixed by the guarantees of a run."""


class VllmServer(SamplerSettings):
    """Samples from running vLLM servers (started by `prerl-spec serve`); the trainer itself does not need vLLM."""

    own_weights: ClassVar[bool] = True

    urls: tuple[Annotated[str, Field(pattern=r"^https?://")], ...] = Field(
        min_length=1,
        examples=[("http://127.0.0.1:8000",)],
        description="URLs of the servers, such as http://127.0.0.1:8000",
    )
    push_dir: str | None = Field(
        None, description="folder shared by trainer and servers, for new weights; default: the run folder"
    )
    key: Annotated[str | None, Secret()] = Field(None, description="API key of the servers")
    engine: Annotated[dict[str, Any], PassedThrough()] = Field(
        default_factory=dict, description="arguments of `vllm serve`, passed through unchanged by `prerl-spec serve`"
    )
    max_gap: float = Field(
        0.1, gt=0, description="maximum mean |log P_trainer - log P_sampler|, in nats; above it the run fails"
    )

    @field_validator("push_dir")
    @classmethod
    def _from_home(cls, place: str | None) -> str | None:
        return None if place is None else os.path.expanduser(place)

    @field_validator("urls")
    @classmethod
    def _addresses_alone(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        # Neither would be sent: a connection uses scheme, host, port and path. And a plan shows URLs.
        for parts in map(urlsplit, urls):
            if "@" in parts.netloc or parts.query or parts.fragment:
                raise ValueError('takes no user, password, query or fragment: write `key = "${secret:NAME}"`')
        return urls

    @property
    def device_share(self) -> float:
        """0: the servers use none of the trainer's GPU memory."""
        return 0.0

    def prerequisites(self) -> tuple[Prerequisite, ...]:
        servers = tuple(Prerequisite("server", url, "prerl-spec serve SPEC") for url in self.urls)
        return (*servers, *decided_elsewhere("engine", self.engine, DECIDED))

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        """The rules of all samplers, and no temperature that vLLM would silently change."""
        yield from super().check(wiring)
        if (fault := temperature_fault(self.temperature)) is not None:
            yield Conflict(Code.CONTRADICTION, fault, (Place("self", "temperature"), Place("self", "use")))

    def for_trial(self, folder: Path) -> str:
        """The reason why it cannot be tried: its servers, if running, belong to another run."""
        return "it needs a server started by `prerl-spec serve`"

    def open(self, site: SamplerSite) -> AbstractContextManager[OpenSampler]:
        """Pushes the current weights to every server and compares log-probabilities.

        Raises EnvironmentUnmet for a server that is unreachable, was not started by `prerl-spec serve`, or serves another
        model.
        """
        from prerl_components.samplers.server.sampler import open_servers

        return open_servers(self.urls, self.key, self.push_dir, self.engine, self.max_gap, site)

    def servers(self, model: ServedModel, urls: Sequence[str]) -> tuple[ServerProcess, ...]:
        """The processes that `prerl-spec serve` starts on this machine, one per URL.

        Raises EnvironmentUnmet if no address belongs to this machine or one is in use, and for an argument of `engine`
        that vLLM does not have.
        """
        from prerl_components.samplers.server.launch import server_processes

        return server_processes(urls, self.key, self.engine, model)

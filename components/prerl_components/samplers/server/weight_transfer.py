"""Weight transfer to the servers: through a folder, or by one of vLLM's transfer engines if the spec's `engine` names one.
Either way a server reports afterwards which version it holds.

The engines (`ipc`, `nccl`) need GPUs: their protocol is tested with a stand-in engine, they themselves are untested.
"""

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol
from urllib.parse import urlsplit

import torch
from torch import Tensor

from prerl_components.samplers.server.client import ServerCalls
from prerl_components.samplers.server.weight_folder import WeightFolder
from prerl_spec.sdk import EnvironmentUnmet, PolicyAccess

BACKENDS = ("ipc", "nccl")


class WeightTransfer(Protocol):
    """A way of pushing weights to the servers. Every method is a collective call of the trainer's processes."""

    def push(self, version: str) -> None:
        """Pushes the policy's weights to every server as this version. Raises ServerFault, RunFailed."""
        ...


class FileTransfer:
    """The first process writes the weights into a shared folder and makes the servers load it."""

    def __init__(
        self, servers: Sequence[ServerCalls], policy: PolicyAccess, weights: WeightFolder, dtype: torch.dtype
    ) -> None:
        self._servers = servers
        self._policy = policy
        self._weights = weights
        self._dtype = dtype

    def push(self, version: str) -> None:
        folder = self._weights.write(version, self._policy.tensors(), self._dtype)
        if self._policy.rank == 0:
            with ThreadPoolExecutor(len(self._servers)) as pool:
                list(pool.map(lambda server: server.load(folder, version), self._servers))
            self._weights.keep_only(version)


class TrainerEngine(Protocol):
    """The trainer's side of vLLM's weight transfer (`vllm.distributed.weight_transfer`), one per server."""

    def send_weights(self) -> None: ...


OpenEngine = Callable[[str, ServerCalls, "PolicySource"], TrainerEngine]


class EngineTransfer:
    """vLLM's transfer engines copy the tensors from device to device, without files."""

    def __init__(
        self,
        servers: Sequence[ServerCalls],
        policy: PolicyAccess,
        backend: str,
        dtype: torch.dtype,
        open_engine: OpenEngine,
    ) -> None:
        self._servers = servers
        self._policy = policy
        source = PolicySource(policy, dtype)
        self._engines = [open_engine(backend, server, source) for server in servers]

    def push(self, version: str) -> None:
        sends = self._policy.rank == 0
        for server, engine in zip(self._servers, self._engines, strict=True):
            if sends:
                server.clear_version()
            engine.send_weights()
            if sends:
                server.set_version(version)


class PolicySource:
    """The policy as a source for vLLM's transfer engines (see `WeightSource`): names, dtype and shapes, then the current
    tensors on each iteration."""

    def __init__(self, policy: PolicyAccess, dtype: torch.dtype) -> None:
        self.rank = policy.rank
        self.dtype = dtype
        self._policy = policy
        self._shapes: list[tuple[str, tuple[int, ...]]] | None = None

    def shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """(name, shape) of every tensor; gathered once, since shapes never change."""
        if self._shapes is None:
            self._shapes = [(name, tuple(tensor.shape)) for name, tensor in self._policy.tensors()]
        return self._shapes

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        for name, tensor in self._policy.tensors():
            yield name, tensor.to(self.dtype)


def transfer_backend(engine: Mapping[str, Any]) -> str | None:
    """The transfer backend in the spec's `engine`, None for transfer through a folder. Raises EnvironmentUnmet for a
    backend other than `ipc` and `nccl`."""
    config = engine.get("weight_transfer_config")
    if config is None:
        return None
    backend = config.get("backend") if isinstance(config, dict) else config
    if backend not in BACKENDS:
        raise EnvironmentUnmet(
            f"the backend of weight_transfer_config is {backend!r}; it must be ipc or nccl",
            hint='set { backend = "nccl" }, or remove weight_transfer_config from the sampler\'s `engine`',
        )
    return str(backend)


def open_vllm_engine(backend: str, server: ServerCalls, source: PolicySource) -> TrainerEngine:
    """vLLM's trainer-side engine for one server (API of 0.32). Raises EnvironmentUnmet if vLLM is not installed."""
    try:
        from vllm.distributed.weight_transfer.base import ParamMeta, WeightSource
        from vllm.distributed.weight_transfer.clients import HTTPVLLMWeightSyncClient
        from vllm.distributed.weight_transfer.ipc_engine import IPCTrainerInitInfo, IPCTrainerWeightTransferEngine
        from vllm.distributed.weight_transfer.nccl_engine import NCCLTrainerInitInfo, NCCLTrainerWeightTransferEngine
    except ImportError as error:
        raise EnvironmentUnmet(
            f"weight transfer by {backend} needs vLLM in the trainer's environment: {error}",
            hint="pip install 'prerl-spec[vllm]', or remove weight_transfer_config from the sampler's `engine`",
        ) from error

    class Client(HTTPVLLMWeightSyncClient):  # type: ignore[misc]
        """vLLM's client with our API key and errors."""

        def _post(self, path: str, json: dict[str, Any] | None = None) -> None:
            server.transfer(path, json or {})

    class Source(WeightSource):  # type: ignore[misc]
        def metadata(self) -> list[Any]:
            return [ParamMeta(name, source.dtype, shape) for name, shape in source.shapes()]

        def __iter__(self) -> Iterator[tuple[str, Tensor]]:
            return iter(source)

    client, whole = Client(server.url), Source()
    if backend == "ipc":
        opened: TrainerEngine = IPCTrainerWeightTransferEngine.trainer_init(
            IPCTrainerInitInfo(rank=source.rank), client=client, source=whole
        )
        return opened
    address, port = _meeting_place(server.url)
    world = 1 + server.num_workers()
    where = NCCLTrainerInitInfo(master_address=address, master_port=port, world_size=world, rank=source.rank)
    joined: TrainerEngine = NCCLTrainerWeightTransferEngine.trainer_init(where, client=client, source=whole)
    return joined


def _meeting_place(url: str) -> tuple[str, int]:
    """An address of this machine that the server can reach, and a free port."""
    parts = urlsplit(url)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
        # Connecting a datagram socket sends nothing; it only looks up the route.
        route.connect((parts.hostname or "", parts.port or 80))
        address = str(route.getsockname()[0])
    with socket.create_server((address, 0)) as free:
        return address, int(free.getsockname()[1])

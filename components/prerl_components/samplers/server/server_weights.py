"""The weights of one server, over all of its workers, for the comparison with the trainer's."""

from functools import cached_property
from typing import TypeVar

from prerl_components.samplers.server.client import ServerCalls
from prerl_components.samplers.shared.row_hashes import Hashes


class ServerWeights:
    """`EngineWeights` of a server: `name` is its address."""

    def __init__(self, server: ServerCalls) -> None:
        self.server = server
        self.name = f"the vLLM server {server.url}"

    @cached_property
    def num_workers(self) -> int:
        return self.server.num_workers()

    def rows(self) -> dict[str, Hashes]:
        return _joined(self.server.row_hashes())

    def digests(self) -> dict[str, int]:
        return _joined(self.server.row_digests())


Value = TypeVar("Value")


def _joined(workers: list[dict[str, Value]]) -> dict[str, Value]:
    if len(workers) == 1:
        return workers[0]
    return {f"worker {number}: {name}": value for number, found in enumerate(workers) for name, value in found.items()}

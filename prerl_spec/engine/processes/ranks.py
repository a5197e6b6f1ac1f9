"""The worker processes of a run, connected through Accelerate: rank and size, gather, all-reduce, barrier.

Gradients and counts are summed explicitly, so a rank without trained tokens, or with more passes than another, needs no
special case.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed
from accelerate import Accelerator
from accelerate.utils import InitProcessGroupKwargs, gather_object

from prerl_spec.compiler.estimates.lanes import workers
from prerl_spec.engine.processes.disk_errors import translate_disk_errors
from prerl_spec.engine.processes.work_split import Division, add_in_pairs, fixed_threads
from prerl_spec.errors import EnvironmentUnmet, PeerLost, PrerlError, RunFailed

T = TypeVar("T")

_BUCKET_ELEMENTS = 1 << 24

PATIENCE = timedelta(hours=2)
"""Timeout of collective calls: one process may sample, score or write for long while the others wait. A process that
ends closes its connections, which the others notice at once."""


class Ranks:
    """One of `size` processes; every method that communicates must be called by all of them in the same order."""

    def __init__(self, accelerator: Accelerator, *, invariant: bool = False) -> None:
        self.accelerator = accelerator
        self.rank: int = accelerator.process_index
        self.size: int = accelerator.num_processes
        self.device: torch.device = accelerator.device
        self.invariant = invariant
        """Whether results must not depend on the number of processes."""
        divided = Division.in_lanes if invariant else Division.by_rank
        self.division: Division = divided(self.rank, self.size)

    @classmethod
    def start(cls, processes: int = 1, *, invariant: bool = False) -> "Ranks":
        """Joins the launcher's processes; without a launcher `processes` (the spec's number) is expected.

        Raises EnvironmentUnmet if another number of processes is connected: a launcher flag that is silently ignored
        would train that many unconnected copies.
        """
        patience = InitProcessGroupKwargs(timeout=PATIENCE)
        accelerator = Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[patience])
        wanted = int(os.environ.get("WORLD_SIZE", processes))
        if accelerator.num_processes != wanted:
            raise EnvironmentUnmet(
                f"{wanted} processes are requested, but Accelerate connects {accelerator.num_processes}",
                hint=f"use `prerl-spec run SPEC --processes {wanted}`, or a launcher that sets RANK and WORLD_SIZE",
            )
        return cls(accelerator, invariant=invariant)

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def mine(self, num_items: int) -> range:
        """The items of this rank, assigned round-robin: rank 0 has 0, size, 2·size …"""
        return range(self.rank, num_items, self.size)

    def gather(self, items: Sequence[T]) -> list[T]:
        """The items of all ranks, in rank order, on every rank."""
        if self.size == 1:
            return list(items)
        return list(gather_object(list(items)))

    def gather_dealt(self, items: Sequence[T], num_items: int) -> list[T]:
        """Gathers items that `mine` distributed, in their original order, on every rank."""
        together = self.gather(list(zip(self.mine(num_items), items, strict=True)))
        return [item for _, item in sorted(together, key=lambda pair: pair[0])]

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over ranks (all-reduce), in place if there are several."""
        if self.size > 1:
            torch.distributed.all_reduce(tensor)
        return tensor

    def sum_flat(self, tensors: Sequence[torch.Tensor]) -> None:
        """Sums many tensors over ranks in place, in buckets: one message for many small ones. With invariant
        determinism in the order of the lane tree."""
        if self.size == 1:
            return
        bucket: list[torch.Tensor] = []
        count = 0
        for tensor in tensors:
            bucket.append(tensor)
            count += tensor.numel()
            if count >= _BUCKET_ELEMENTS:
                self._sum_bucket(bucket)
                bucket, count = [], 0
        if bucket:
            self._sum_bucket(bucket)

    def _sum_bucket(self, bucket: Sequence[torch.Tensor]) -> None:
        flat = torch.cat([t.reshape(-1) for t in bucket])
        flat = self._add_lanes(flat) if self.invariant else self.sum(flat)
        for tensor, part in zip(bucket, torch.split(flat, [t.numel() for t in bucket]), strict=True):
            tensor.copy_(part.view_as(tensor))

    def _add_lanes(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over the ranks that have lanes; the other ranks have no gradient and are not in the tree."""
        from_rank = [torch.empty_like(tensor) for _ in range(self.size)]
        torch.distributed.all_gather(from_rank, tensor)
        return add_in_pairs(from_rank[: workers(self.size)])

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank."""
        if self.size == 1:
            return flag
        return bool(self.sum(torch.tensor([float(flag)], device=self.device)).item() > 0)

    def barrier(self) -> None:
        if self.size > 1:
            self.accelerator.wait_for_everyone()

    @contextmanager
    def translate_peer_loss(self) -> Iterator[None]:
        """Inside, a broken connection to another process is a PeerLost."""
        try:
            yield
        except RuntimeError as error:
            if self.size == 1 or not _is_of_connection(error):
                raise
            raise PeerLost(
                f"process {self.rank} of {self.size} lost its connection to the others; "
                "the first process to fail reports the cause",
                hint="re-run the same command to resume from the last checkpoint",
            ) from error

    def fail_together(self, check: Callable[[], None]) -> None:
        """Every rank checks; a RunFailed of one of them, of the lowest rank, is raised on all."""
        failure: RunFailed | None = None
        try:
            check()
        except RunFailed as error:
            failure = error
        for message, hint in self.gather([] if failure is None else [(failure.message, failure.hint)]):
            raise RunFailed(message, hint=hint) from failure

    def main_does(self, work: Callable[[], Any], what: str) -> None:
        """Rank 0 runs `work`, which writes `what`; its failure ends all ranks, a full disk as RunFailed."""
        failure: PrerlError | None = None
        if self.is_main:
            try:
                with translate_disk_errors(what):
                    work()
            except PrerlError as error:
                failure = error
        if self.any(failure is not None):
            raise (
                failure
                if failure is not None
                else PeerLost(f"rank 0 could not write {what}; its message states the cause")
            )


@contextmanager
def joined_ranks(processes: int = 1, *, invariant: bool = False) -> Iterator[Ranks]:
    """Joins the launcher's processes; `invariant` also fixes the number of threads, which affects sums.

    Raises EnvironmentUnmet like `Ranks.start`, PeerLost for a broken connection.
    """
    ranks = Ranks.start(processes, invariant=invariant)
    with ranks.translate_peer_loss(), fixed_threads() if invariant else nullcontext():
        yield ranks
        if ranks.size > 1:
            # Left to the interpreter's end, its threads may be destroyed while they run, which aborts the process.
            torch.distributed.destroy_process_group()


def _is_of_connection(error: RuntimeError) -> bool:
    """Gloo raises plain RuntimeErrors; their text names the library."""
    return isinstance(error, torch.distributed.DistError) or "gloo" in str(error).lower()

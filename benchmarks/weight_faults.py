"""Weights that go wrong on their way to vLLM, and what the samplers make of them: the table of docs/vllm.md.

    python -m benchmarks.weight_faults              # in process: float32 and bfloat16, full and LoRA; two minutes
    python -m benchmarks.weight_faults --opening    # faults from the first push on as well
    python -m benchmarks.weight_faults --server     # real servers of both dtypes instead

Needs vLLM (CPU build: docs/vllm.md). Exit code 1 if a fault is not stopped, or something is stopped without a fault.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import torch
from prerl_components.adapters.lora import Lora
from prerl_components.samplers.server.client import ServerCalls
from prerl_components.samplers.server.connection import ServerFault
from prerl_components.samplers.shared.frozen_access import FrozenAccess
from prerl_components.samplers.vllm import Vllm
from prerl_components.samplers.vllm_engine import load_weights
from prerl_components.samplers.vllm_engine import sampler as colocated
from prerl_components.samplers.vllm_server import VllmServer
from safetensors.torch import load_file, save_file
from torch import Tensor

from prerl_spec.sdk import Decoding, LoadedModel, Request, RunFailed, SamplerSite
from tests.components.served import Served
from tests.components.vllm_models import vllm_model

REQUESTS = [Request((5, 6, 7), (1, 2)), Request((9,), (3,))]
DECODING = Decoding(max_new_tokens=6)

Change = Callable[[Tensor, Tensor], Tensor]
"""(the tensor as it is, as it was at the first push) → the tensor that is handed over."""


@dataclass(frozen=True)
class Fault:
    """A tensor (every one with `where` in its name) that is handed over as another; `where` of an adapter's files if they
    are different."""

    name: str
    where: tuple[str, ...]
    change: Change
    in_adapter: tuple[str, ...] = ("layers.0.mlp",)


def scaled(factor: float) -> Change:
    return lambda now, first: now * factor


def stale(now: Tensor, first: Tensor) -> Tensor:
    return first


def at(place: tuple[int, ...], factor: float) -> Change:
    """One element or row times `factor`."""

    def change(now: Tensor, first: Tensor) -> Tensor:
        changed = now.clone()
        changed[place] = changed[place] * factor
        return changed

    return change


HEAD = ("lm_head", "embed_tokens")
FAULTS = (
    *(Fault(f"one layer x {factor}", ("layers.0.",), scaled(factor)) for factor in (1.001, 1.01, 1.05, 1.2)),
    Fault("a stale layer", ("layers.1.",), stale, ("layers.1.",)),
    Fault("a stale MLP", (".mlp.",), stale),
    Fault("a stale head", HEAD, stale, ("layers.0.self_attn.q_proj",)),
    Fault("one norm x 1.05", ("layers.1.input_layernorm",), scaled(1.05), ("layers.1.mlp.up_proj.lora_B",)),
    Fault(
        "one element, one bfloat16 step",
        ("layers.0.mlp.down_proj",),
        at((0, 0), 1 + 2**-7),
        ("layers.0.mlp.down_proj",),
    ),
    Fault("one embedding row x 1.05", ("embed_tokens",), at((7,), 1.05), ("layers.0.mlp.up_proj.lora_B",)),
    Fault("NaN", ("layers.0.mlp.up_proj",), at((0, 0), float("nan")), ("layers.0.mlp.up_proj",)),
)


class FaultyPolicy(FrozenAccess):
    """The policy, whose tensors and adapter files are handed over with a fault while one is set."""

    def __init__(self, loaded: LoadedModel) -> None:
        super().__init__(loaded)
        self.fault: Fault | None = None
        self.has_adapter = loaded.adapter is not None and not loaded.adapter.merge
        self._first: dict[str, Tensor] = {}

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        for name, tensor in self._base() if self.has_adapter else super().tensors():
            yield (
                name,
                tensor
                if self.has_adapter
                else self._changed(name, tensor, () if self.fault is None else self.fault.where),
            )

    def save_adapter(self, folder: Path) -> None:
        adapter = self._loaded.adapter
        assert adapter is not None
        adapter.save(folder, {name: parameter.detach() for name, parameter in adapter.parameters().items()})
        file = folder / "adapter_model.safetensors"
        where = () if self.fault is None else self.fault.in_adapter
        save_file({n: self._changed(n, t, where).contiguous() for n, t in load_file(file).items()}, file)

    def _base(self) -> Iterator[tuple[str, Tensor]]:
        assert self._loaded.adapter is not None
        for name, weight, _ in self._loaded.adapter.weights():
            yield name, weight.detach().float()

    def _changed(self, name: str, tensor: Tensor, where: tuple[str, ...]) -> Tensor:
        first = self._first.setdefault(name, tensor.detach().clone())
        if self.fault is None or not any(part in name for part in where):
            return tensor
        return self.fault.change(tensor, first)


def loaded_model(dtype: torch.dtype, *, lora: bool, merge: bool = False, tied: bool = True) -> LoadedModel:
    """A small real Qwen3 that computes in `dtype`; with `lora`, adapted in every linear layer, B not zero."""
    loaded = replace(vllm_model(tied=tied), compute_dtype=dtype)
    if not lora:
        return loaded
    adapter = Lora(rank=4, alpha=12, merge=merge).attach(loaded.module, base="tiny", revision=None, seed=0)
    loaded = replace(loaded, adapter=adapter)
    for _, weight, _ in adapter.weights():
        weight.data = weight.data.to(dtype)
    update(loaded, 0.05)
    return loaded


def update(loaded: LoadedModel, lr: float, seed: int = 0) -> None:
    """An update of Adam's size: every trained weight moves by about `lr`."""
    generator = torch.Generator().manual_seed(seed)
    parameters = loaded.module.parameters() if loaded.adapter is None else loaded.adapter.parameters().values()
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(lr * torch.randn(parameter.shape, generator=generator).sign())


Step = Callable[[Any, int], None]
"""(the open sampler, the number of the update): pushes and draws, or raises."""


def push_and_draw(sampler: Any, version: int) -> None:
    sampler.sync(version)
    sampler.generate(REQUESTS, DECODING)


@contextmanager
def stale_tied_head(sampler: Any) -> Iterator[None]:
    """The head's packed copy stays as it is, as `reload_weights` leaves it on CPUs whose kernels pack it."""
    model = sampler._llm.collective_rpc(lambda worker: worker.model_runner.get_model())[0]
    head, copy = model.lm_head, model.lm_head.weight.detach().clone()
    with (
        mock.patch.object(load_weights, "repack_tied_heads"),
        mock.patch.object(head, "cpu_linear", lambda x, weight, bias: torch.nn.functional.linear(x, copy, bias)),
    ):
        yield


@contextmanager
def dropped_push() -> Iterator[None]:
    """The engine takes nothing of a push."""

    def nothing(worker: Any, tensors: Any) -> None:
        return None

    with mock.patch.object(colocated, "load_into_worker", nothing):
        yield


@contextmanager
def dropped_adapter(sampler: Any) -> Iterator[None]:
    with mock.patch.object(sampler._adapter, "push"):
        yield


def results(dtype: torch.dtype, *, lora: bool) -> Iterator[tuple[str, str]]:
    """(fault, what ended the run) of every fault on one engine in this process; "" if nothing did."""
    loaded = loaded_model(dtype, lora=lora)
    policy = FaultyPolicy(loaded)
    site = SamplerSite(loaded, "cpu", 512, policy=policy)
    with TemporaryDirectory() as folder, Vllm().open(replace(site, folder=Path(folder))) as opened:
        sampler: Any = opened
        version = 0

        def tried(step: Step, *, lr: float = 1e-3) -> str:
            nonlocal version
            version += 1
            update(loaded, lr, version)
            said = stopped(lambda: step(sampler, version))
            policy.fault = None
            return said

        yield "none", tried(push_and_draw)
        for fault in FAULTS:
            policy.fault = fault
            yield fault.name, tried(push_and_draw)
            sampler.sync(version)
        if not lora:
            with stale_tied_head(sampler):
                yield "a stale tied head", tried(push_and_draw)
            sampler.sync(version)
        version += 1
        update(loaded, 1e-6, version)
        with dropped_adapter(sampler) if lora else dropped_push():
            yield "a push dropped, lr 1e-6", stopped(lambda: push_and_draw(sampler, version))
        sampler.sync(version)
        for number in range(8):
            update(loaded, 1e-6, 100 + number)
        yield "no push for 8 updates, lr 1e-6", stopped(lambda: sampler.generate(REQUESTS, DECODING))
        sampler.sync(version)
        yield "after the push, before the draw", stopped(lambda: changed_then_draws(sampler, loaded, policy, lora=lora))
        sampler.sync(version)
        yield "none, at the end", tried(push_and_draw)


def changed_then_draws(sampler: Any, loaded: LoadedModel, policy: FaultyPolicy, *, lora: bool) -> None:
    """One row of one layer is changed in the engine, whose weights have been checked already."""
    policy.fault = Fault("", ("layers.0.mlp.up_proj",), at((3,), 1.05))
    try:
        sampler._push()
    finally:
        policy.fault = None
    sampler.generate(REQUESTS, DECODING)


def at_opening(dtype: torch.dtype) -> Iterator[tuple[str, str]]:
    """Faults that are there from the first push on, each on an engine of its own; an untied head."""
    for fault in (FAULTS[0], FAULTS[5], replace(FAULTS[6], where=("lm_head",))):
        loaded = loaded_model(dtype, lora=False, tied=False)
        policy = FaultyPolicy(loaded)
        policy.fault = fault

        def opened(loaded: LoadedModel = loaded, policy: FaultyPolicy = policy) -> None:
            with Vllm().open(SamplerSite(loaded, "cpu", 512, policy=policy)) as sampler:
                update(loaded, 1e-3)
                push_and_draw(sampler, 1)

        yield f"{fault.name}, untied, from the first push", stopped(opened)


def stopped(call: Callable[[], Any]) -> str:
    """The message with which a call ended the run (RunFailed: exit code 5), "" if it did not."""
    try:
        call()
    except RunFailed as error:
        return error.message
    return ""


def on_server(url: str, dtype: torch.dtype, *, lora: bool) -> Iterator[tuple[str, str]]:
    """The same faults on a real server, to which weights (an adapter's merged into its base) are pushed through a folder."""
    loaded = loaded_model(dtype, lora=lora, merge=True)
    policy = FaultyPolicy(loaded)
    with TemporaryDirectory() as folder:
        site = SamplerSite(loaded, "cpu", 512, policy=policy, folder=Path(folder))
        with VllmServer(urls=(url,)).open(site) as opened:
            yield from server_results(opened, loaded, policy, lora=lora)


def server_results(opened: Any, loaded: LoadedModel, policy: FaultyPolicy, *, lora: bool) -> Iterator[tuple[str, str]]:
    """What ended the run for each fault on one open server."""
    sampler, version = opened, 0

    def tried(lr: float = 1e-3) -> str:
        nonlocal version
        version += 1
        update(loaded, lr, version)
        return stopped(lambda: push_and_draw(sampler, version))

    yield "none", tried()
    for fault in FAULTS:
        # What an adapter does not train is the same at every push: its head cannot be stale.
        policy.fault = replace(fault, where=fault.in_adapter) if lora and fault.change is stale else fault
        yield fault.name, tried()
        policy.fault = None
        sampler.sync(version)
    if not lora:
        with mock.patch.object(ServerCalls, "load", load_without_repacking):
            yield "a stale tied head, not repacked", tried()
        sampler.sync(version)
    with mock.patch.object(ServerCalls, "load", load_nothing):
        yield "a push dropped, lr 1e-6", tried(1e-6)
    sampler.sync(version)
    for number in range(8):
        update(loaded, 1e-6, 100 + number)
    yield "no push for 8 updates, lr 1e-6", stopped(lambda: sampler.generate(REQUESTS, DECODING))
    sampler.sync(version)
    yield "after the push, before the draw", stopped(lambda: reloaded_then_draws(sampler, loaded, policy))
    sampler.sync(version)
    yield "none, at the end", tried()


def load_nothing(server: ServerCalls, folder: Path, version: str) -> None:
    """The server reports a version that it has not loaded."""
    server.set_version(version)


def load_without_repacking(server: ServerCalls, folder: Path, version: str) -> None:
    """The server loads by vLLM's own method, which leaves a packed tied head as it was."""
    from_files = {"overrides": {"load_config": {"load_format": "safetensors"}}}
    for method, named in (("update_config", from_files), ("reload_weights", {"weights_path": str(folder)})):
        try:
            server.connection.post("/collective_rpc", {"method": method, "kwargs": named}, seconds=60)
        except ServerFault as fault:
            raise RuntimeError("the fault could not be planted") from fault
    server.set_version(version)


def reloaded_then_draws(sampler: Any, loaded: LoadedModel, policy: FaultyPolicy) -> None:
    """Somebody loads other weights under the same version after the push."""
    with TemporaryDirectory() as folder:
        changed = {
            name: at((3,), 1.05)(tensor, tensor) if "layers.0.mlp.up" in name else tensor
            for name, tensor in policy.tensors()
        }
        save_file(
            {name: tensor.to(loaded.compute_dtype).contiguous() for name, tensor in changed.items()},
            Path(folder) / "model.safetensors",
        )
        sampler._servers[0].load(Path(folder), sampler._version)
        sampler.generate(REQUESTS, DECODING)


Cell = tuple[str, Iterator[tuple[str, str]]]
"""A row of results: its name, and (fault, what ended the run) of each fault."""


def cells_on_server(dtype: torch.dtype) -> Iterator[Cell]:
    """Full weights and merged adapters, in turn on one server."""
    name = str(dtype).removeprefix("torch.")
    with TemporaryDirectory() as folder:
        served = Served(Path(folder), loaded_model(dtype, lora=False))
        try:
            begin = time.perf_counter()
            served.start()
            print(f"      {name}, the server is ready after {time.perf_counter() - begin:.0f} s", flush=True)
            for lora in (False, True):
                yield f"{name}, server, {'merged LoRA' if lora else 'full'}", on_server(served.url, dtype, lora=lora)
        finally:
            served.end()


def cells_in_process(dtype: torch.dtype, *, opening: bool) -> Iterator[Cell]:
    name = str(dtype).removeprefix("torch.")
    for lora in (False, True):
        yield f"{name}, in process, {'LoRA' if lora else 'full'}", results(dtype, lora=lora)
    if opening:
        yield f"{name}, in process, opening", at_opening(dtype)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--opening", action="store_true", help="faults from the first push on as well")
    parser.add_argument("--server", action="store_true", help="real servers instead")
    chosen = parser.parse_args(arguments)
    wrong = 0
    for dtype in (torch.float32, torch.bfloat16):
        cells = cells_on_server(dtype) if chosen.server else cells_in_process(dtype, opening=chosen.opening)
        for cell, found in cells:
            begin = time.perf_counter()
            for fault, said in found:
                sound = bool(said) != fault.startswith("none")
                wrong += not sound
                print(f"{'ok   ' if sound else 'WRONG'} {cell:32} {fault:42} {said[:150] or 'goes on'}", flush=True)
            print(f"      {cell:32} {time.perf_counter() - begin:.0f} s", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

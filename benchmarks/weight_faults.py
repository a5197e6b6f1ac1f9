"""Weights that go wrong on their way to vLLM, and what the samplers make of them: the table of docs/vllm.md.

    python -m benchmarks.weight_faults                  # in process: float32 and bfloat16, full and LoRA
    python -m benchmarks.weight_faults --server         # a real server of each dtype as well

Needs vLLM (CPU build: docs/vllm.md). Exit code 1 if a fault is not stopped, or something is stopped without a fault.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import torch
from prerl_components.adapters.lora import Lora
from prerl_components.samplers.shared.frozen_access import FrozenAccess
from prerl_components.samplers.vllm import Vllm
from prerl_components.samplers.vllm_engine import load_weights
from prerl_components.samplers.vllm_engine import sampler as colocated
from safetensors.torch import load_file, save_file
from torch import Tensor

from prerl_spec.sdk import Decoding, LoadedModel, Request, RunFailed, SamplerSite
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


def loaded_model(dtype: torch.dtype, *, lora: bool, tied: bool = True) -> LoadedModel:
    """A small real Qwen3 that computes in `dtype`; with `lora`, adapted in every linear layer, B not zero."""
    loaded = replace(vllm_model(tied=tied), compute_dtype=dtype)
    if not lora:
        return loaded
    adapter = Lora(rank=4, alpha=12).attach(loaded.module, base="tiny", revision=None, seed=0)
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
def dropped_push() -> Iterator[None]:
    """The engine takes nothing of a push."""
    with mock.patch.object(colocated, "load_into_worker", lambda worker, tensors: None):
        yield


@contextmanager
def dropped_adapter(sampler: Any) -> Iterator[None]:
    with mock.patch.object(sampler._adapter, "push", lambda llm: None):
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
            sampler.sync(version)
            return said

        yield "none", tried(push_and_draw)
        for fault in FAULTS:
            policy.fault = fault
            yield fault.name, tried(push_and_draw)
        if not lora:
            with mock.patch.object(load_weights, "repack_tied_heads", lambda model: None):
                version += 1
                update(loaded, 1e-3, version)
                said = stopped(lambda: push_and_draw(sampler, version))
            sampler.sync(version)
            yield "a stale tied head, not repacked", said
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
    """The message with which a call ended the run, "" if it did not."""
    try:
        call()
    except RunFailed as error:
        assert error.exit_code == 5
        return error.message
    return ""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", action="store_true", help="a real server of each dtype too")
    parser.add_argument("--opening", action="store_true", help="faults from the first push on too")
    chosen = parser.parse_args(arguments)
    wrong = 0
    with ExitStack():
        for dtype in (torch.float32, torch.bfloat16):
            cells = [
                (f"{str(dtype)[6:]}, in process, {'LoRA' if lora else 'full'}", results(dtype, lora=lora))
                for lora in (False, True)
            ]
            if chosen.opening:
                cells.append((f"{str(dtype)[6:]}, in process, opening", at_opening(dtype)))
            for cell, found in cells:
                begin = time.perf_counter()
                for name, said in found:
                    expected = not name.startswith("none")
                    wrong += bool(said) != expected
                    mark = "ok   " if bool(said) == expected else "WRONG"
                    print(f"{mark} {cell:32} {name:42} {said[:150] or 'goes on'}", flush=True)
                print(f"      {cell:32} {time.perf_counter() - begin:.0f} s", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

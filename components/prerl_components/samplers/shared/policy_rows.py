"""The trainer's side of the comparison of weights: hashes of the rows of what an engine should hold, taken from the module that
is trained, not from what was handed to the engine."""

import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from prerl_components.samplers.shared.row_hashes import CHUNK, NOT_FINITE, Hashes, digest, row_hashes
from prerl_components.samplers.shared.weight_map import Form, Source
from prerl_spec.sdk import LoadedModel, PolicyAccess, RunFailed

ROWS = Form("rows")

_MIX = (-7046029254386353131, -4658895280553007687)
"""Multipliers of splitmix64, as signed numbers."""


def module_tensors(loaded: LoadedModel, *, merged: bool) -> Iterator[tuple[str, Tensor]]:
    """Every weight under its name in a transformers checkpoint, whole, tied ones once; with the adapter added if `merged`.
    A collective call if the weights are sharded."""
    if loaded.adapter is None:
        for name, parameter in loaded.module.named_parameters():
            yield name, whole(parameter.detach())
        return
    for name, weight, change in loaded.adapter.weights():
        tensor = whole(weight.detach()).float()
        yield name, tensor if change is None or not merged else tensor + change(whole)


def whole(tensor: Tensor) -> Tensor:
    """The whole tensor of a sharded one (a collective call), any other as it is."""
    gather = getattr(tensor, "full_tensor", None)
    return tensor if gather is None else gather()


def perturbed(name: str, tensor: Tensor) -> Tensor:
    """Another tensor in every value, in any dtype: w + s·(1 + 3u), s the root mean square of w (0.02 if it is zero) and u in
    [0, 1) from name and place."""
    changed = tensor.detach().float().clone().contiguous()
    scale = float(changed.square().mean().sqrt()) if changed.numel() else 0.0
    scale = scale if 0.0 < scale < float("inf") else 0.02
    start = zlib.crc32(name.encode()) << 20
    for index, part in enumerate(torch.split(changed.view(-1), CHUNK)):
        first = start + index * CHUNK
        mixed = torch.arange(first, first + len(part), dtype=torch.int64, device=part.device) * _MIX[0]
        mixed = (mixed ^ (mixed >> 29)) * _MIX[1]
        part += scale * (1 + 3 * ((mixed >> 32) & 0xFFFF).float() / 0x10000)
    return changed


class PerturbedPolicy:
    """`PolicyAccess` that hands over perturbed weights inside `perturbing`."""

    def __init__(self, policy: PolicyAccess, loaded: LoadedModel) -> None:
        self._policy = policy
        self._loaded = loaded
        self._is_on = False
        self.rank = policy.rank
        self.size = policy.size
        self.has_adapter = policy.has_adapter

    @contextmanager
    def perturbing(self) -> Iterator[None]:
        self._is_on = True
        try:
            yield
        finally:
            self._is_on = False

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        for name, tensor in self._policy.tensors():
            yield name, perturbed(name, tensor) if self._is_on else tensor

    def save_adapter(self, folder: Path) -> None:
        if not self._is_on or (adapter := self._loaded.adapter) is None:
            self._policy.save_adapter(folder)
            return
        tensors = {name: perturbed(name, whole(value)) for name, value in adapter.parameters().items()}
        if self.rank == 0:
            adapter.save(folder, tensors)
        self.barrier()

    def logprobs(self, context: Sequence[int], tokens: Sequence[int]) -> list[float]:
        return self._policy.logprobs(context, tokens)

    def barrier(self) -> None:
        self._policy.barrier()


class PolicyRows:
    """Row hashes of the trained weights in an engine's dtype.

    `adapter_scale` is None unless the engine holds an adapter beside its base: then α/rank, by which vLLM multiplies B.
    """

    def __init__(self, loaded: LoadedModel, dtype: torch.dtype, adapter_scale: float | None = None) -> None:
        self._loaded = loaded
        self._dtype = dtype
        self._scale = adapter_scale

    def hashes(self, forms: Collection[Form], *, perturb: bool = False) -> dict[Source, Hashes]:
        """The rows of every pushed tensor in each of these forms. A collective call if the weights are sharded.

        Raises RunFailed for a weight that is not finite.
        """
        found: dict[Source, Hashes] = {}
        for name, tensor in self._pushed():
            value = perturbed(name, tensor) if perturb else tensor
            for form in forms:
                if (shaped := in_form(value, form, self._dtype, self._scale)) is not None:
                    found[name, form] = row_hashes(shaped)
        refuse_not_finite(found)
        return found

    def base_hashes(self) -> dict[Source, Hashes]:
        """The rows of an adapter's frozen base, which is in the engine from its start; nothing without an adapter."""
        if self._scale is None:
            return {}
        tensors = module_tensors(self._loaded, merged=False)
        return {(name, ROWS): row_hashes(tensor.to(self._dtype)) for name, tensor in tensors}

    def fingerprint(self) -> tuple[int, ...]:
        """One number for each parameter of this process: another one after any update. Not a collective call."""
        parameters = (parameter.detach() for parameter in self._loaded.module.parameters())
        return tuple(digest(row_hashes(local(parameter))) for parameter in parameters)

    def _pushed(self) -> Iterator[tuple[str, Tensor]]:
        if self._scale is None or self._loaded.adapter is None:
            yield from module_tensors(self._loaded, merged=True)
        else:
            for name, parameter in self._loaded.adapter.parameters().items():
                yield name, whole(parameter.detach())


def local(tensor: Tensor) -> Tensor:
    """This process's part of a sharded tensor, any other as it is."""
    part = getattr(tensor, "to_local", None)
    return tensor if part is None else part()


def in_form(tensor: Tensor, form: Form, dtype: torch.dtype, scale: float | None) -> Tensor | None:
    """The tensor as an engine of this dtype would hold it in this form, None if it cannot."""
    if form.kind == "float32":
        return None if dtype == torch.float32 else tensor.float()
    value = tensor.to(dtype)
    if form.kind == "rows":
        return value
    if form.kind == "scaled":
        return None if scale is None else value * scale
    if form.kind == "columns":
        return value.T if value.ndim == 2 else None
    if value.ndim < 2 or value.shape[-1] % form.parts:
        return None
    return value.chunk(form.parts, -1)[form.part]


def refuse_not_finite(hashes: Mapping[Source, Hashes]) -> None:
    """Raises RunFailed for weights that are NaN or infinite, with their names."""
    wrong = {name: int((rows == NOT_FINITE).sum()) for (name, form), rows in hashes.items()}
    names = [f"{name} ({number} rows)" for name, number in wrong.items() if number]
    if names:
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        raise RunFailed(
            f"the trained weights are not finite: {', '.join(names[:3])}{more}",
            hint="check grad_norm and lr of the last steps: the weights have diverged. Resume from an earlier checkpoint "
            "with a lower lr",
        )

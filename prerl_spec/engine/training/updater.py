"""One optimizer update: gradients are summed over ranks, checked, clipped and applied to the fp32 weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from prerl_spec.engine.policy.sharding import is_sharded, mine, placed_like
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.work_split import LaneTree
from prerl_spec.errors import RunFailed
from prerl_spec.registry.kinds.schedule import Optimizer

_WATCHED_ENTRIES = 1 << 20


@dataclass(frozen=True)
class UpdateRecord:
    """The gradient norm of an update before clipping, and the share of parameters that changed."""

    grad_norm: float
    parameters_moved: float


class Updater:
    """The optimizers of a phase over the policy's parameters."""

    def __init__(
        self, optimizer: Optimizer, named_parameters: list[tuple[str, torch.nn.Parameter]], ranks: Ranks
    ) -> None:
        self.max_grad_norm = optimizer.max_grad_norm
        self._declaration = optimizer
        self._ranks = ranks
        self._named = named_parameters
        self._sharded = any(is_sharded(p) for _, p in named_parameters)
        self._lanes = LaneTree() if ranks.invariant else None
        self._optimizers = optimizer.build(named_parameters)
        self._initial_lrs = [[float(g["lr"]) for g in o.param_groups] for o in self._optimizers]
        held = {id(p) for o in self._optimizers for g in o.param_groups for p in g["params"]}
        assert held == {id(p) for _, p in named_parameters}, (
            "an optimizer must hold every trained parameter exactly once"
        )

    def set_lr(self, step: int, num_steps: int | None) -> float:
        """Sets the learning rate of a step (from 0) and returns it: the declared lr times the schedule's factor."""
        factor = self._declaration.lr_factor(step, num_steps)
        for optimizer, initial in zip(self._optimizers, self._initial_lrs, strict=True):
            for group, lr in zip(optimizer.param_groups, initial, strict=True):
                group["lr"] = lr * factor
        return float(self._declaration.lr * factor)

    def apply(self) -> UpdateRecord:
        """Sums, checks, clips and applies the gradients. Raises RunFailed, applying nothing, if they are not finite."""
        parameters = [mine(p.detach()) for _, p in self._named]
        gradients = [mine(g) for g in self.summed_gradients()]
        norm = self._norm(gradients)
        if not torch.isfinite(norm):
            self.forget_gradients()
            raise RunFailed(
                f"the gradient is not finite (norm {norm.item()})",
                hint="lower the learning rate, or use float32 or bfloat16; the journal holds the step's rollouts",
            )
        scale = torch.clamp(self.max_grad_norm / (norm + 1e-6), max=1.0)
        torch._foreach_mul_(gradients, scale)
        before = _watched(parameters)
        for optimizer in self._optimizers:
            optimizer.step()
        self.forget_gradients()
        after = _watched(parameters)
        # A sum of squares is finite if every entry is (overflow needs weights of 1e19): one pass, one transfer.
        if not torch.isfinite(self._norm(parameters)):
            raise RunFailed(
                "a parameter is not finite after an update; it was not committed", hint="lower the learning rate"
            )
        return UpdateRecord(norm.item(), self._share(before != after))

    def end_share(self) -> None:
        """Ends a share of the update: with invariant determinism its gradient is added to the lane tree."""
        if self._lanes is not None:
            self._lanes.add(self._accumulated())
            for _, parameter in self._named:
                parameter.grad = None

    def summed_gradients(self) -> list[Tensor]:
        """Every parameter's gradient, summed over shares and ranks; zero if there is none. Gradients of sharded weights
        are sharded, and were summed in the backward pass."""
        if self._lanes is not None and (gradients := self._lanes.take()) is not None:
            for (_, parameter), gradient in zip(self._named, gradients, strict=True):
                parameter.grad = gradient
        gradients = self._accumulated()
        # Token weights include the global denominator, so ranks are summed: a data-parallel wrapper would average.
        if not self._sharded:
            self._ranks.sum_flat(gradients)
        return gradients

    def _norm(self, tensors: list[Tensor]) -> Tensor:
        """The norm of all entries, over the shards of all ranks."""
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
        return self._ranks.sum(norm.double().square()).sqrt() if self._sharded else norm

    def _share(self, flags: Tensor) -> float:
        """The share of flags that are set, over the shards of all ranks."""
        counts = torch.stack([flags.sum(), torch.tensor(flags.numel(), device=flags.device)]).double()
        set_flags, total = (self._ranks.sum(counts) if self._sharded else counts).tolist()
        return float(set_flags / total)

    def _accumulated(self) -> list[Tensor]:
        gradients = []
        for _, parameter in self._named:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
        return gradients

    def forget_gradients(self) -> None:
        if self._lanes is not None:
            self._lanes.clear()
        for _, parameter in self._named:
            parameter.grad = None

    def state(self) -> dict[str, Tensor]:
        """Optimizer state by "KEY/PARAMETER", inherited by the next phase or a resumed process."""
        names = {id(p): n for n, p in self._named}
        return {
            f"{key}/{names[id(parameter)]}": value
            for optimizer in self._optimizers
            for parameter, entries in optimizer.state.items()
            for key, value in entries.items()
            if isinstance(value, Tensor)
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Takes over the state of an optimizer with the same `use`: the tensors themselves, so that they are not held
        twice."""
        by_name: dict[str, dict[str, Tensor]] = {}
        for full, value in state.items():
            key, _, name = full.partition("/")
            by_name.setdefault(name, {})[key] = value
        parameters = dict(self._named)
        owner = {id(p): (o, g) for o in self._optimizers for g in o.param_groups for p in g["params"]}
        for name, entries in by_name.items():
            parameter = parameters[name]
            optimizer, group = owner[id(parameter)]
            optimizer.state[parameter] = {
                k: _count(v, parameter, group) if v.ndim == 0 else placed_like(v, parameter) for k, v in entries.items()
            }


def _count(value: Tensor, parameter: Tensor, group: Mapping[str, Any]) -> Tensor:
    """A number of an optimizer's state, such as its count of steps: a fused update reads it on the parameter's device."""
    return value.to(parameter.device) if group.get("fused") else value


def _watched(parameters: list[Tensor]) -> Tensor:
    """Evenly spaced entries of all parameters, at most some million: enough to estimate the share that changes."""
    total = sum(p.numel() for p in parameters)
    stride = max(1, total // _WATCHED_ENTRIES)
    return torch.cat([p.reshape(-1)[::stride].clone() for p in parameters])

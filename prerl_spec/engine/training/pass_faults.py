"""Numbers of an update's passes that are not finite, told with component, sample and token.

They are looked at when the update's passes have run: within a pass the host would wait for the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor

from prerl_spec.engine.author_faults import require_finite, token_place
from prerl_spec.engine.training.part_inputs import PartInput
from prerl_spec.registry.author_code import is_authored
from prerl_spec.registry.nested_components import nested_components
from prerl_spec.types import Index, Step

Given = tuple[object, str, Tensor]
"""A component, a method of it, and the values [n] that it has given for the tokens of a pass, or their gradients."""


@dataclass(frozen=True)
class _Kept:
    """Values of the tokens with weight, [m] each, and the index of these tokens among the n of the pass and the
    minibatch's N."""

    given: Sequence[Given]
    trained_m: Tensor
    index_n: Index

    @property
    def is_finite(self) -> Tensor:
        """Of the values that were given last."""
        return torch.isfinite(self.given[-1][-1]).all()


@dataclass
class PassFaults:
    """What the components of an objective have given in the passes of an update: some bytes a token."""

    _terms: list[_Kept] = field(default_factory=list)
    _gradients: list[_Kept] = field(default_factory=list)

    def keep_terms(self, seen: PartInput, given: Sequence[Given]) -> None:
        """The values that went into a part's terms, the terms last."""
        self._terms.append(_kept(seen, given))

    def watch(self, parts: Sequence[PartInput]) -> None:
        """Before the backward pass: the vectors that an author's parts read keep their gradients."""
        for seen in parts:
            if _at_fault(seen.part) is not None:
                for vector in seen.logp.values():
                    if vector.requires_grad:
                        vector.retain_grad()

    def keep_gradients(self, parts: Sequence[PartInput]) -> None:
        """After the backward pass."""
        for seen in parts:
            found = _at_fault(seen.part)
            for vector in seen.logp.values() if found is not None else ():
                if found is not None and vector.grad is not None:
                    self._gradients.append(_kept(seen, [(*found, vector.grad)]))

    def num_at_fault(self, device: torch.device) -> Tensor:
        """[1]: passes in which an author's part has given a token with weight a gradient that is not finite. Stays on the
        device."""
        found = [~kept.is_finite for kept in self._gradients]
        return torch.stack(found).sum(0, keepdim=True).double() if found else torch.zeros(1, device=device).double()

    def refuse_terms(self, step: Step) -> None:
        """Raises RunFailed, in the name of the component that gave them, for terms that are not finite."""
        _refuse(self._terms, step, is_gradient=False)

    def refuse_gradients(self, step: Step) -> None:
        """Raises RunFailed where an author's part has given a token with weight a gradient that is not finite, such as
        that of √|x| at 0: the norm of the whole would be no number, and nobody's."""
        _refuse(self._gradients, step, is_gradient=True)


def _kept(seen: PartInput, given: Sequence[Given]) -> _Kept:
    values = [(component, method, value_n.detach()[seen.trained_m]) for component, method, value_n in given]
    return _Kept(values, seen.trained_m, seen.index_n)


def _refuse(passes: Sequence[_Kept], step: Step, *, is_gradient: bool) -> None:
    for kept in passes:
        if bool(kept.is_finite):
            continue
        for component, method, value_m in kept.given:
            value_n = np.zeros(len(kept.index_n))
            value_n[kept.trained_m.cpu().numpy()] = value_m.double().cpu().numpy()
            place = partial(_place, step, kept.index_n)
            require_finite(component, method, value_n, place, is_gradient=is_gradient)


def _place(step: Step, index_n: Index, at: int) -> str:
    return token_place(step, int(index_n[at]))


def _at_fault(part: object) -> tuple[object, str] | None:
    """The author's surrogate in a part, else a part of an author's own, with the method that is differentiated; None if
    both are built in: then the numbers are at fault, not the code."""
    for _, inner in nested_components(part, ""):
        if inner.kind == "surrogate" and is_authored(inner):
            return inner, "loss"
    return (part, "terms") if is_authored(part) else None

"""A gradient that is not finite although the loss is, such as that of √|x| at 0: told in the name of the author's part."""

from collections.abc import Sequence

from prerl_spec.engine.author_faults import require_finite, token_place
from prerl_spec.engine.training.pass_loss import PartInput
from prerl_spec.registry.author_code import is_authored
from prerl_spec.registry.nested_components import nested_components
from prerl_spec.types import Step


def keep_gradients(parts: Sequence[PartInput]) -> None:
    """Before the backward pass: an author's parts keep the gradient [n] of what they read, some bytes a token."""
    for seen in parts:
        if _at_fault(seen.part) is not None:
            for vector in seen.logp.values():
                if vector.requires_grad:
                    vector.retain_grad()


def require_finite_gradients(parts: Sequence[PartInput], step: Step) -> None:
    """After the backward pass. Raises RunFailed, with component, sample and token, where an author's part has given a
    token with weight a gradient that is not finite: the norm of the whole would be no number, and nobody's."""
    for seen in parts:
        found = _at_fault(seen.part)
        for vector in seen.logp.values() if found is not None else ():
            if found is None or vector.grad is None:
                continue
            gradient = vector.grad.double().where(seen.weight_n != 0, 0.0).cpu().numpy()
            index_n = seen.index_n
            require_finite(*found, gradient, lambda at, i=index_n: token_place(step, int(i[at])), is_gradient=True)  # type: ignore[misc]


def _at_fault(part: object) -> tuple[object, str] | None:
    """The author's surrogate in a part, else a part of an author's own, with the method that is differentiated; None if
    both are built in: then the numbers are at fault, not the code."""
    for _, inner in nested_components(part, ""):
        if inner.kind == "surrogate" and is_authored(inner):
            return inner, "loss"
    return (part, "terms") if is_authored(part) else None

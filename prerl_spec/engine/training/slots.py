"""What the components in an objective's slots raise and return is told apart from what the objective does with it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial, wraps
from typing import Any, NamedTuple, cast

import numpy as np
from torch import Tensor

from prerl_spec.engine.author_faults import blames, defined_at, require_finite, sample_place, shown_name, token_place
from prerl_spec.errors import RunFailed
from prerl_spec.registry.component import Component
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.types import Array, Step


class Sizes(NamedTuple):
    """The samples S and trained tokens N of what a part is called with."""

    samples: int
    tokens: int
    step: Step | None = None
    """The batch itself, where credit is computed: a scored sample's advantage must be a number."""

    @classmethod
    def of(cls, step: Step) -> "Sizes":
        return cls(len(step.samples), step.tokens.num_tokens, step)


class Returned(NamedTuple):
    """What a component in a slot has returned."""

    component: Component
    method: str
    value: Any


CALLED: Mapping[str, tuple[str, ...]] = {
    "advantage": ("advantage",),
    "selection": ("keep",),
    "surrogate": ("loss", "bounded"),
    "correction": ("weight", "ratio"),
    "ramp": ("at",),
}
"""Kind of a slot -> the methods that an objective calls on what is in it."""


@dataclass(frozen=True)
class Watched:
    """A part whose slots hold copies that report: an exception in one is its author's, and so is a value that cannot be
    used. `returned` collects what was returned, in order of the calls."""

    part: Objective
    returned: list[Returned] = field(default_factory=list)

    @classmethod
    def of(cls, part: Objective, sizes: Sizes) -> "Watched":
        returned: list[Returned] = []
        return cls(cast(Objective, _copy(cast(Component, part), sizes, returned)), returned)

    def last(self, method: str) -> Returned | None:
        """The latest value of a method."""
        return next((r for r in reversed(self.returned) if r.method == method), None)


def require_numbers(component: object, method: str, value: Any, size: int, each: str, *, of: str = "") -> None:
    """Raises RunFailed if a value is no real numpy array [size]."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiub" or value.shape != (size,):
        raise _unusable(component, method, value, f"a numpy array of {size} numbers, one for each {each}", of)


def require_tensor(
    component: object, method: str, value: Any, size: int, *, of: str = "", floating: bool = True
) -> None:
    """Raises RunFailed if a value is no tensor [size], of floating-point numbers unless truth values are as good."""
    if not isinstance(value, Tensor) or tuple(value.shape) != (size,) or (floating and not value.is_floating_point()):
        kind = "floating-point tensor" if floating else "tensor"
        raise _unusable(component, method, value, f"a {kind} of shape ({size},), one value for each token", of)


def _copy(component: Component, sizes: Sizes, returned: list[Returned]) -> Component:
    """The component itself, if nothing in it is called by an objective; else a copy of it that reports."""

    def within(value: Any) -> Any:
        if isinstance(value, Component):
            return _copy(value, sizes, returned)
        if not isinstance(value, tuple):
            return value
        inner = tuple(map(within, value))
        return inner if any(new is not old for new, old in zip(inner, value, strict=True)) else value

    changed = {name: new for name, old in vars(component).items() if (new := within(old)) is not old}
    methods = CALLED.get(component.kind, ())
    if not changed and not methods:
        return component
    copy = component.model_copy(update=changed)
    # In the instance's own dictionary, where a method of a frozen model is looked up first.
    vars(copy).update({name: _reporting(copy, name, sizes, returned) for name in methods})
    return copy


def _reporting(component: Component, method: str, sizes: Sizes, returned: list[Returned]) -> Callable[..., Any]:
    original = getattr(component, method)

    @wraps(original)
    def reporting(*arguments: Any, **named: Any) -> Any:
        with blames(component, method):
            value = original(*arguments, **named)
        _require_usable(component, method, value, sizes)
        returned.append(Returned(component, method, value))
        return value

    return reporting


def _require_usable(component: Component, method: str, value: Any, sizes: Sizes) -> None:
    if method == "advantage":
        per = cast(Any, component).per
        require_numbers(component, method, value, sizes.samples if per == "sample" else sizes.tokens, per)
        if sizes.step is not None:
            _require_earned(component, value, per, sizes.step)
    elif method == "keep":
        if not isinstance(value, np.ndarray) or value.dtype != np.bool_ or value.shape != (sizes.tokens,):
            raise _unusable(component, method, value, f"a numpy array of {sizes.tokens} bool, one for each token")
    elif method == "at":
        if not isinstance(value, int | float) or not np.isfinite(value) or value < 0:
            raise _unusable(component, method, value, "a finite number, at least 0")
    elif method in ("loss", "weight", "ratio"):
        require_tensor(component, method, value, sizes.tokens)
    else:
        require_tensor(component, method, value, sizes.tokens, floating=False)


def _require_earned(component: Component, value: Array, per: str, step: Step) -> None:
    """Raises RunFailed for a scored sample without a number, trained or not: a choice of signs reads NaN as neither, and
    would drop the sample without a word."""
    scored_S = ~np.isnan(step.reward_S)
    if per == "sample":
        require_finite(component, "advantage", np.where(scored_S, value, 0.0), partial(sample_place, step))
    else:
        scored_N = scored_S[step.tokens.sample_N]
        require_finite(component, "advantage", np.where(scored_N, value, 0.0), partial(token_place, step))


def _unusable(component: object, method: str, value: Any, wanted: str, of: str = "") -> RunFailed:
    kind = getattr(component, "kind", "component")
    return RunFailed(
        f"the {kind} `{shown_name(component)}` returned {_seen(value)}{of} from `{method}`, not {wanted}",
        hint=f"fix `{method}` ({defined_at(component, method)}); nothing was applied, and the journal holds the step's "
        "responses",
    )


def _seen(value: Any) -> str:
    if isinstance(value, np.ndarray | Tensor):
        return f"{type(value).__name__} of shape {tuple(value.shape)} and dtype {value.dtype}"
    return (
        f"{type(value).__name__} {value!r:.60}" if isinstance(value, int | float | str | None) else type(value).__name__
    )

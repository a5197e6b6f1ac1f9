"""The axes of the policy-gradient product, from the registry, and a combination of one choice on each."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, get_args

from prerl_components.objectives.aggregation import Aggregation
from prerl_components.objectives.policy_gradient import PolicyGradient

from prerl_spec.registry.component import Component
from tests.product.built_ins import built_ins, examples, table_of

SIGNS = {"both": (1.0, 1.0), "positive": (0.5, 0.0), "negative": (0.0, 2.0)}
"""Factors on positive and on negative advantages."""
NONE = "none"


@dataclass(frozen=True)
class Combination:
    """One choice on each axis, by name: `Combination("marginal", "group_std", "negative", "none", "clip", "off",
    "token_mean", 2)`."""

    view: str
    advantage: str
    sign: str
    selection: str
    surrogate: str
    correction: str
    aggregation: str
    updates: int

    def __str__(self) -> str:
        return " × ".join(map(str, vars(self).values()))

    def objective(self) -> PolicyGradient:
        """The `policy_gradient` of these parts, each with its defaults."""
        positive, negative = SIGNS[self.sign]
        return PolicyGradient(
            view=made("view", self.view),
            advantage=made("advantage", self.advantage),
            positive=positive,
            negative=negative,
            selection=() if self.selection == NONE else (made("selection", self.selection),),
            surrogate=made("surrogate", self.surrogate),
            correction="off" if self.correction == "off" else made("correction", self.correction),
            aggregation=self.aggregation,  # type: ignore[arg-type]
        )

    def written(self) -> str:
        """The same as the keys of a phase."""
        positive, negative = SIGNS[self.sign]
        parts = {kind: _written(kind, getattr(self, kind)) for kind in ("view", "advantage", "surrogate")}
        parts["selection"] = "[]" if self.selection == NONE else f"[{_written('selection', self.selection)}]"
        parts["correction"] = '"off"' if self.correction == "off" else _written("correction", self.correction)
        parts |= {"positive": str(positive), "negative": str(negative), "aggregation": f'"{self.aggregation}"'}
        settings = ", ".join(f"{key} = {value}" for key, value in parts.items())
        return f'updates_per_batch = {self.updates}\nobjective = {{ use = "policy_gradient", {settings} }}\n'


def axes() -> Mapping[str, tuple[Any, ...]]:
    """Axis -> its choices."""
    return {
        "view": tuple(built_ins("view")),
        "advantage": tuple(built_ins("advantage")),
        "sign": tuple(SIGNS),
        "selection": (NONE, *built_ins("selection")),
        "surrogate": tuple(built_ins("surrogate")),
        "correction": ("off", *built_ins("correction")),
        "aggregation": get_args(Aggregation),
        "updates": (1, 2),
    }


def every_combination() -> list[Combination]:
    return [Combination(*choice) for choice in product(*axes().values())]


def leaves_a_sample(combination: Combination) -> bool:
    """Whether the advantage has a sign that is trained: the one combination of choices that makes no sense."""
    has: Any = built_ins("advantage")[combination.advantage]
    return "both" in (has.sign, combination.sign) or bool(has.sign == combination.sign)


@cache
def made(kind: str, use: str) -> Component:
    """A component with its default settings."""
    return built_ins(kind)[use].model_validate(examples(kind)[use])


def _written(kind: str, use: str) -> str:
    return table_of(use, examples(kind)[use])

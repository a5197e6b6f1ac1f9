"""What an objective stands for, in words: the point of the policy-gradient product that a preset is."""

from collections.abc import Iterator, Mapping

from prerl_spec.compiler.plan import ComponentPlan

_FACTORS = ("view", "advantage", "surrogate", "aggregation")
"""Parts that stand for themselves; others are named: `positive 0`."""


def point_text(expansion: Mapping[str, str]) -> str:
    """A point of the product: `conditional x group_std x clip (…) x sequence_mean`."""
    return " x ".join(value if part in _FACTORS else f"{part} {value}" for part, value in expansion.items())


def points_of(objective: ComponentPlan, *, always: bool = False) -> Iterator[str]:
    """`grpo is conditional x group_std x clip (…) x sequence_mean`. Of a sum, each term's, and the aggregations that terms
    take from each other. Nothing where the settings already name the parts, unless `always`."""
    named = any(part.kind == "advantage" for part in objective.inner) and not always
    if "advantage" in objective.expansion and not named:
        yield f"{objective.use} is {point_text(objective.expansion)}"
    elif objective.expansion and not named:
        yield f"{objective.use}: " + ", ".join(f"{k} {v}" for k, v in objective.expansion.items())
    for term in objective.inner:
        if "advantage" in term.expansion:
            yield from points_of(term, always=always)

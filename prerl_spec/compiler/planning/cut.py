"""A plan with a cut: what a study makes of an arm's plan, so that all arms end at the same amount of what it matches."""

from dataclasses import replace

from prerl_spec.compiler.graph import Cut
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.digest import digest_of_plan


def with_cut(plan: Plan, cut: Cut | None) -> Plan:
    """The plan that ends where `cut` says, with its own digest; None takes a cut away."""
    changed = replace(plan, cut=cut)
    return replace(changed, digest=digest_of_plan(changed))

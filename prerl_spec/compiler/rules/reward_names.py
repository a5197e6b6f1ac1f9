"""Each reward of a phase has a name of its own: its part of the sum is known by it (E0701)."""

from collections.abc import Iterator

from prerl_spec.codes import Code
from prerl_spec.compiler.resolve.resolved import Built, Resolved
from prerl_spec.compiler.rules.phase_roles import PhaseRoles
from prerl_spec.compiler.rules.rule_diagnostic import at_last_written, use_place
from prerl_spec.errors import Diagnostic
from prerl_spec.registry.reward_base import RewardTerm, part_name
from prerl_spec.types import VERDICT_PART

TAKEN = {
    VERDICT_PART: "the part of a reward that is the verifier's score",
    "mean": "`reward_mean`, the metric of the whole reward",
}
"""Names that are no reward's, and what they stand for."""


def names_of_rewards(resolved: Resolved, roles: PhaseRoles) -> Iterator[Diagnostic]:
    """Two rewards of one name, and a reward that takes a name which stands for something else."""
    seen: dict[str, str] = {}
    for served in roles.rewards:
        if served.built is None:
            continue
        name = part_name(served.built.use, served.built.component)
        place = _place_of_name(resolved, served.path, served.built)
        help = _what_to_write(served.built)
        if name in TAKEN:
            message = f"a reward cannot be called `{name}`: it stands for {TAKEN[name]}"
            yield at_last_written(resolved, Code.CONTRADICTION, message, [(place, None)], help=help)
        elif name in seen:
            places: list[tuple[str, object]] = [(seen[name], None), (place, None)]
            message = f"two rewards of {roles.title} are called `{name}`"
            yield at_last_written(resolved, Code.CONTRADICTION, message, places, help=help)
        seen.setdefault(name, place)


def _what_to_write(built: Built) -> str:
    if isinstance(built.component, RewardTerm):
        return "write another `name`: journal, metrics and `reward_part[…]` go by it"
    return f"`{built.use}` has no setting `name`: its class would have to subclass `RewardTerm` of prerl_spec.sdk"


def _place_of_name(resolved: Resolved, path: str, built: Built) -> str:
    return f"{path}.name" if "name" in built.written else use_place(resolved, path)

"""Base class of rewards that may be named, and the name under which each reward's part of the sum is known."""

from pydantic import Field

from prerl_spec.registry.component import Component

PART_NAME = r"^[a-z][a-z0-9_]*$"


class RewardTerm(Component):
    """A reward with the setting `name`; subclasses define `reward(attempt, group)`.

    A reward that subclasses `Component` goes by the name that a spec uses, and can stand in a phase once.
    """

    kind = "reward"

    name: str | None = Field(
        None,
        pattern=PART_NAME,
        description="what its part of the reward is called in journal, metrics and `reward_part[…]`; unwritten: its `use`",
    )


def part_name(use: str, reward: object) -> str:
    """The name of a reward's part: `name` of a RewardTerm that sets it, else `use` without a pinned version."""
    own = reward.name if isinstance(reward, RewardTerm) else None
    return own or use.partition("@")[0]

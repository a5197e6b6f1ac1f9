"""The result of one check of a component: held, broken or not tried, with details."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One line of a report: `Finding("objective topr.reinforce", "settings", "held", "3, each branch tried")`."""

    component: str
    check: str
    state: Literal["held", "broken", "not tried"]
    detail: str

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
    place: str | None = None
    """Where the author's code is that a broken check is about: "mine.py:14, in credit()"."""
    help: str | None = None
    """What would be right."""

    def lines(self, width: int) -> tuple[str, ...]:
        """The finding as a report prints it, checks padded to `width`."""
        head = f"  {self.state:<9}  {self.check:<{width}}  "
        below = " " * len(head)
        more = [*([f"--> {self.place}"] if self.place else []), *([f"= help: {self.help}"] if self.help else [])]
        return (f"{head}{self.detail}", *(f"{below}{line}" for line in more))

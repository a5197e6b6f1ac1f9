"""Finds the code of authors in a component, and in the traceback of what it raises: which classes are theirs, and where."""

from inspect import findsource, getsourcefile
from itertools import islice
from traceback import walk_tb
from typing import Any, NamedTuple

from prerl_spec.registry.component import Component
from prerl_spec.situations import OURS


class CodePlace(NamedTuple):
    """A function, or a class, and the line of its file."""

    function: str
    file: str
    line: int

    @property
    def where(self) -> str:
        """ "FILE:LINE"."""
        return f"{self.file}:{self.line}"


def is_authored(component: object) -> bool:
    """Whether the component's own class, or one that it inherits from, is an author's."""
    return any(map(_is_authors, type(component).__mro__))


def authored_in(component: object) -> list[type]:
    """The classes in a component and its slots that are not ours, the component's own first."""
    found = list(filter(_is_authors, type(component).__mro__))
    for value in vars(component).values() if isinstance(component, Component) else ():
        for inner in value if isinstance(value, tuple) else (value,):
            found += authored_in(inner) if isinstance(inner, Component) else []
    return found


def frame_of_authors(error: BaseException, authored: list[type]) -> CodePlace | None:
    """Where the exception has passed the authors' packages last: below it, libraries that they have called. The first two
    frames are those of the context manager that caught it, and of its caller."""
    packages = {_top(cls.__module__) for cls in authored}
    found = None
    for frame, line in islice(walk_tb(error.__traceback__), 2, None):
        if _top(frame.f_globals.get("__name__", "")) in packages:
            found = CodePlace(frame.f_code.co_qualname, frame.f_code.co_filename, line)
    return found


def definition(of: Any) -> CodePlace:
    """A class or a method, where no frame of it is left: a method with another signature, a returned value."""
    try:
        return CodePlace(of.__qualname__, getsourcefile(of) or of.__module__, findsource(of)[1] + 1)
    except (OSError, TypeError):  # defined without a file
        return CodePlace(of.__qualname__, of.__module__, 1)


def _is_authors(cls: type) -> bool:
    return _top(cls.__module__) not in OURS and issubclass(cls, Component)


def _top(module: str) -> str:
    return module.partition(".")[0]

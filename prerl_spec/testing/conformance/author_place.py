"""Finds the place in an author's file that a broken law is about."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, FunctionType

from prerl_spec.registry.component import Component, Kind

MEMBERS: dict[Kind, tuple[str, ...]] = {
    "objective": ("credit", "advantage", "terms"),
    "advantage": ("advantage",),
    "selection": ("keep",),
    "surrogate": ("loss",),
    "correction": ("weight",),
    "ramp": ("value",),
    "filter": ("keep",),
    "reward": ("reward",),
    "verifier": ("judge",),
    "schedule": ("after",),
    "optimizer": ("build",),
}
"""What a law of the kind is about if its message names no member."""


def place_of(component: Component, error: BaseException) -> str | None:
    """`mine.py:14, in credit()`: the line that raised the error if it is the author's, else the member that the message
    names, else the class. None where there is no source file."""
    cls = type(component)
    file = _file_of(cls)
    if file is None:
        return None
    for frame, line in reversed(list(_frames(error))):
        if frame.f_code.co_filename == file:
            return f"{_shown(file)}:{line}, in {frame.f_code.co_name}()"
    for name in (*re.findall(r"(\w+)\(\)", str(error)), *MEMBERS.get(component.kind, ())):
        function = _function(cls, name)
        if function is not None and function.__code__.co_filename == file:
            return f"{_shown(file)}:{function.__code__.co_firstlineno}, in {name}()"
    try:
        return f"{_shown(file)}:{inspect.getsourcelines(cls)[1]}, in class {cls.__name__}"
    except (OSError, TypeError):
        return _shown(file)


def _file_of(cls: type) -> str | None:
    try:
        return inspect.getsourcefile(cls)
    except TypeError:
        return None


def _frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    """The frames of the error, outermost first, and their lines."""
    at = error.__traceback__
    while at is not None:
        yield at.tb_frame, at.tb_lineno
        at = at.tb_next


def _function(cls: type, name: str) -> FunctionType | None:
    found = inspect.getattr_static(cls, name, None)
    found = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
    return found if isinstance(found, FunctionType) else None


def _shown(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)

"""Tests every law of a component and tells all that are broken in one error, those of the kind before those of every
component."""

import inspect
from collections.abc import Callable
from traceback import walk_tb
from types import TracebackType
from typing import ParamSpec

from prerl_spec.errors import EnvironmentUnmet, RunFailed
from prerl_spec.registry.component import Component
from prerl_spec.testing.laws.broken import LawsBroken, kind_of_fault
from prerl_spec.testing.laws.component import check_component

P = ParamSpec("P")


class Laws:
    """`with Laws(component) as laws: laws.hold(_check_values, part)`.

    At the end the laws of every component are tested as well. One that is broken is raised as it is, several as
    LawsBroken. What is raised inside the block ends it, and counts as one of them, unless it says that the laws cannot be
    tested here (EnvironmentUnmet, RunFailed).
    """

    def __init__(self, component: Component) -> None:
        self._component = component
        self._broken: list[Exception] = []

    def hold(self, law: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> bool:
        """Whether the law holds; where it does not, the next one is tested all the same."""
        try:
            law(*arguments, **named)
        except EnvironmentUnmet:
            raise
        except Exception as error:  # an author's code may raise anything, and all of it is told
            self._add(error)
            return False
        return True

    def __enter__(self) -> "Laws":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None:
            if not isinstance(error, Exception) or isinstance(error, EnvironmentUnmet | RunFailed):
                return
            self._add(error)
        self.hold(check_component, self._component)
        if len(self._broken) > 1:
            raise LawsBroken(self._broken) from None
        if self._broken and self._broken[0] is not error:
            raise self._broken[0]

    def _add(self, error: Exception) -> None:
        if isinstance(error, LawsBroken):
            for one in error.broken:
                self._add(one)
            return
        known = {kind_of_fault(one) for one in self._broken}
        if kind_of_fault(error) in known:
            return
        # What breaks a law may also make a later one fail on its own arithmetic: that says nothing new.
        if self._broken and not isinstance(error, AssertionError) and not self._is_of_its_author(error):
            return
        self._broken.append(error)

    def _is_of_its_author(self, error: Exception) -> bool:
        files = {inspect.getfile(cls) for cls in type(self._component).__mro__ if cls.__module__ != "builtins"}
        return any(frame.f_code.co_filename in files for frame, _ in walk_tb(error.__traceback__))

"""The worker pools of every verifier that is asked, each opened at its first question."""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from prerl_spec.engine.verification import Item, VerifierPool
from prerl_spec.registry.component import Component
from prerl_spec.types import Verdict


class VerifierPools:
    """Use as a context manager: the workers end with it. Equal declarations share a pool.

    `progress(done, total)` counts the verdicts of a call.
    """

    def __init__(self, progress: Callable[[int, int], None] | None = None) -> None:
        self._progress = progress
        self._stack = ExitStack()
        self._pools: dict[str, VerifierPool] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def judge(self, verifier: Component, items: Sequence[Item]) -> list[Verdict]:
        """One verdict an item, in order. Raises EnvironmentUnmet for a verifier that cannot be started."""
        if not items:
            return []
        entry = f"{type(verifier).__module__}:{type(verifier).__qualname__}"
        key = json.dumps([entry, verifier.settings()], sort_keys=True)
        if key not in self._pools:
            self._pools[key] = self._stack.enter_context(VerifierPool(verifier, entry_value=entry))
        return self._pools[key].verify(items, progress=self._progress)

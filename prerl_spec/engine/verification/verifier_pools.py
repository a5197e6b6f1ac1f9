"""The worker pools of all verifiers in use, each opened at its first use."""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack

from prerl_spec.engine.verification.asked_verdicts import Asked, AskedVerdicts
from prerl_spec.engine.verification.verdict_batch import Item
from prerl_spec.engine.verification.verifier_pool import VerifierPool
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.types import Verdict


class VerifierPools:
    """One pool per distinct declaration; `stack` closes them.

    `progress(done, total)` counts the verdicts of a call.
    """

    def __init__(self, stack: ExitStack, progress: Callable[[int, int], None] | None = None) -> None:
        self._stack = stack
        self._progress = progress
        self._pools: dict[str, VerifierPool] = {}

    def judge(self, verifier: Verifier, items: Sequence[Item]) -> list[Verdict]:
        """One verdict per item, in order. Raises EnvironmentUnmet for a verifier that cannot be started."""
        return self._pool(verifier).verify(items, progress=self._progress) if items else []

    def asked(self, *, beside: int) -> AbstractContextManager[Asked]:
        """The verdicts of a round of sampling, asked for one at a time; so many workers as `beside` says begin at
        once. One round at a time, and nothing else is judged meanwhile."""
        return AskedVerdicts(self._pool, self._progress, beside=beside)

    def check_golds(
        self, verifier: Verifier, golds: Sequence[str], progress: Callable[[int, int], None] | None = None
    ) -> list[str | None]:
        """For each gold answer the reason why it cannot be used, None if it can. Raises EnvironmentUnmet."""
        return self._pool(verifier).check_golds(golds, progress) if golds else []

    def _pool(self, verifier: Verifier) -> VerifierPool:
        entry = f"{type(verifier).__module__}:{type(verifier).__qualname__}"
        key = json.dumps([entry, verifier.settings()], sort_keys=True)
        if key not in self._pools:
            self._pools[key] = self._stack.enter_context(VerifierPool(verifier, entry_value=entry))
        return self._pools[key]

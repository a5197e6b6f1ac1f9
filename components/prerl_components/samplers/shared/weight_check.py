"""Compares, bit for bit, the weights that an engine computes with and those of the trained module.

When a sampler opens, perturbed weights are pushed: every tensor of the policy must arrive, and where each of its rows lies in
the engine is learned. After every push, the true first one included, all rows are compared; after every draw the engine must
still hold them, and before it the trained module must be the one that was pushed. What is compared is in the engine's dtype: a
change of a weight that rounds away there changes no sample.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from prerl_components.samplers.shared.policy_rows import ROWS, PerturbedPolicy, PolicyRows
from prerl_components.samplers.shared.row_hashes import NOT_FINITE, Hashes, digest
from prerl_components.samplers.shared.weight_map import Form, Source, WeightMap
from prerl_spec.sdk import RunFailed

NAMED = 3
"""Tensors that a message names."""

REFUSED = (
    "its samples are not trained on, and the last checkpoint is unaffected. Re-run the same command; if it ends so again, "
    'try sampler = "transformers"'
)


class EngineWeights(Protocol):
    """The weights of one engine, over all of its workers."""

    @property
    def name(self) -> str:
        """For messages: "the engine", or a server's address."""
        ...

    @property
    def num_workers(self) -> int: ...
    def rows(self) -> dict[str, Hashes]:
        """The row hashes of every weight; empty if it is quantised."""
        ...

    def digests(self) -> dict[str, int]:
        """`digest` of each, which is less to send."""
        ...


class WeightCheck:
    """The comparison with one or several engines. Opening it, and `pushed`, are collective calls."""

    def __init__(
        self,
        policy: PolicyRows,
        handed_over: PerturbedPolicy,
        engines: Sequence[EngineWeights],
        push: Callable[[], None],
    ) -> None:
        """`push` makes the engines take what `handed_over` hands over: perturbed weights first, then the true ones.

        Raises RunFailed for a tensor that an engine does not take.
        """
        self._policy = policy
        self._engines = tuple(engines)
        with handed_over.perturbing():
            push()
        self._base: dict[Source, Hashes] = policy.base_hashes()
        self._maps = [self._learned(engine) for engine in self._engines]
        self._held: list[Mapping[str, int]] = [{} for _ in self._engines]
        self._trained: tuple[int, ...] = ()
        push()
        self.pushed(0)

    def pushed(self, version: int) -> None:
        """To be called after a push. Raises RunFailed if an engine's weights are not the module's."""
        forms = {form for weight_map in self._maps for _, form in weight_map.sources} or {ROWS}
        sources: dict[Source, Hashes] = {**self._base, **self._policy.hashes(forms)}
        self._held = []
        for engine, weight_map in zip(self._engines, self._maps, strict=True):
            wanted = weight_map.expected(sources)
            self._held.append({key: digest(rows) for key, rows in wanted.items()})
            if engine.digests() != self._held[-1]:
                held = engine.rows()
                wrong = weight_map.wrong_rows(wanted, held)
                not_finite = any((rows == NOT_FINITE).any() for rows in held.values())
                raise RunFailed(
                    f"after update {version} {engine.name} does not hold the trainer's weights"
                    f"{', some are not finite' if not_finite else ''}: {_named(wrong)}",
                    hint=REFUSED,
                )
        self._trained = self._policy.fingerprint()

    def put_off(self) -> None:
        """To be called in place of a push that will follow before the next draw: the module must stay as it is until then."""
        self._trained = self._policy.fingerprint()

    def before_draw(self) -> None:
        """Raises RunFailed if the module was updated after the last push. Not a collective call."""
        if self._policy.fingerprint() != self._trained:
            raise RunFailed(
                "the trained weights have changed after they were last pushed to the sampler",
                hint="the sampler would draw from weights of an earlier update: `sync` must follow every update",
            )

    def after_draw(self, engines: Sequence[EngineWeights] | None = None) -> None:
        """Raises RunFailed if an engine's weights are no longer those of the last push. Not a collective call."""
        for engine, held in zip(self._engines, self._held, strict=True):
            if engines is not None and engine not in engines:
                continue
            found = engine.digests()
            if found != held:
                changed = sorted(key for key in {*held, *found} if held.get(key) != found.get(key))
                more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
                raise RunFailed(
                    f"the weights of {engine.name} have changed since they were pushed: {', '.join(changed[:NAMED])}{more}",
                    hint=REFUSED,
                )

    def _learned(self, engine: EngineWeights) -> WeightMap:
        rows = engine.rows()
        weight_map = WeightMap(rows)
        if not rows:
            return weight_map
        lacking: dict[str, int] = {}
        for forms in _attempts(engine.num_workers):
            sources = {**self._policy.hashes(forms, perturb=True), **self._base}
            weight_map.add(sources)
            tried = {source: rows for source, rows in sources.items() if not lacking or source[0] in lacking}
            missing, names = weight_map.missing(tried), {name for name, _ in tried}
            # A tensor that has no such form is still lacking.
            lacking = missing if not lacking else {n: r for n, r in lacking.items() if n in missing or n not in names}
            if not lacking:
                return weight_map
        shown = ", ".join(f"{name} ({number} rows)" for name, number in list(lacking.items())[:NAMED])
        more = f" and {len(lacking) - NAMED} more" if len(lacking) > NAMED else ""
        raise RunFailed(
            f"{engine.name} does not take the trainer's weights: of a push it holds nowhere {shown}{more}",
            hint='try sampler = "transformers", or another version of vLLM',
        )


def _attempts(num_workers: int) -> list[tuple[Form, ...]]:
    """Forms to look for, the usual first."""
    parts = [Form("part", i, num_workers) for i in range(num_workers)] if num_workers > 1 else []
    return [(ROWS, Form("scaled")), (Form("columns"), *parts), (Form("float32"),)]


def _named(wrong: Mapping[str, NDArray[np.intp]]) -> str:
    """The tensors with the most wrong rows, and how many there are."""
    ranked = sorted(wrong.items(), key=lambda item: -len(item[1]))
    shown = ", ".join(
        f"{name} ({len(rows)} {'row' if len(rows) == 1 else 'rows'} from {int(rows[0])})"
        for name, rows in ranked[:NAMED]
    )
    more = f" and {len(ranked) - NAMED} more" if len(ranked) > NAMED else ""
    return f"{shown}{more}"

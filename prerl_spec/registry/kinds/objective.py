"""Objectives: what each trained token earns, and what is differentiated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from prerl_spec.needs import Batch, Credit, Need
from prerl_spec.registry.kinds.declared import Declared
from prerl_spec.types import Array, Step, Tokens

if TYPE_CHECKING:
    from torch import Tensor


class Objective(Declared, Protocol):
    """Computes the credit of each trained token (`credit`) and the per-token loss (`terms`); never sees rows."""

    @property
    def uses_rollouts(self) -> bool:
        """Whether it needs attempts sampled from the policy (False: documents)."""
        ...

    def needs(self) -> frozenset[Need]:
        """Every vector that `terms` of this part reads."""
        ...

    def reads(self) -> frozenset[Need]:
        """Every vector that `credit` of this part reads, none of them with gradient: each costs a forward of all samples
        (the sampler's excepted), weighted or not."""
        ...

    @property
    def scope(self) -> Literal["response", "all"]:
        """Which tokens of a document are trained; always "response" for an objective that samples."""
        ...

    @property
    def min_group(self) -> int: ...
    @property
    def uses_ratio(self) -> bool:
        """Whether it uses a ratio to the old policy, which needs old log-probs where updates_per_batch > 1."""
        ...

    def parts(self) -> tuple[Objective, ...]:
        """(self,); a sum returns its terms."""
        ...

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        """The advantages and weights of a step that is trained in one update. `known` holds exactly the vectors of
        `reads()`, [N]: a plain mapping, nothing is computed by reading it."""
        ...

    def credits(self, batch: Batch, updates: Sequence[Step]) -> Sequence[Credit]:
        """The advantages and weights of each update of a batch, before any forward with gradient; the same on every rank.

        An advantage is computed once a step, over all samples of the batch; weights and their denominators are those of
        an update's samples. `batch.known` holds exactly the vectors of `reads()`, [N].
        """
        ...

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] per-token loss, pure; whole samples. The engine multiplies by `weight_n` and sums: never average here."""
        ...

    def measures(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Mapping[str, Tensor]:
        """Per-token values [n] by metric name, of the same vectors as `terms` and without gradient: a step's metric is
        their mean over trained tokens."""
        ...

"""REINFORCE: no ratio to an older policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from prerl_spec.sdk import Need, Surrogate, Tokens

if TYPE_CHECKING:
    from torch import Tensor


class Plain(Surrogate):
    """−A log π. With several updates a batch, the later ones train on samples of an older policy, uncorrected."""

    formula: ClassVar[str] = "−A log π"
    source: ClassVar[str] = "REINFORCE, Williams 1992"
    peers: ClassVar[Mapping[str, str]] = {"verl": 'loss_mode "gpg"'}
    uses_ratio: ClassVar[bool] = False
    unbounded = ("one", "one")

    def loss(
        self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: Mapping[Need, Tensor]
    ) -> Tensor:
        """[n] −A log π."""
        return -advantage_n * logp_n

"""The entropy bonus, as a term of `weighted_sum`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from prerl_components.objectives.token_losses.token_loss import SampledTokenLoss
from prerl_spec.sdk import Conditional, Need, Tokens

if TYPE_CHECKING:
    from torch import Tensor

_ENTROPY = Need(Conditional(), "policy", entropy=True)


class Entropy(SampledTokenLoss):
    """−H(π(· | x, y_<t)): minimising it raises the entropy of the next-token distribution at every response token."""

    formula: ClassVar[str] = "−H(π(· | x, y_<t))"
    source: ClassVar[str] = "entropy regularisation, Williams and Peng 1991; A3C, arXiv:1602.01783, section 4"
    peers: ClassVar[Mapping[str, str]] = {
        "TRL": "entropy_coef (0 unless set), always a token mean",
        "verl": "entropy_coeff (0 unless set), averaged as the policy's loss",
    }
    hints: ClassVar[Mapping[str, str]] = {
        **SampledTokenLoss.hints,
        "coefficient": "`entropy` already rewards entropy: write a positive number, or leave the term out",
    }

    def needs(self) -> frozenset[Need]:
        return frozenset({_ENTROPY})

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] minus the entropies, in nats."""
        return -logp[_ENTROPY]

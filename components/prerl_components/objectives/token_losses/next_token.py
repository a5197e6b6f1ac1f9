"""Language modelling: pre-training on documents, or supervised fine-tuning on answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from prerl_components.objectives.token_losses.document_loss import DocumentLoss
from prerl_spec.sdk import Conditional, Need, Tokens

if TYPE_CHECKING:
    from torch import Tensor

_LOGP = Need(Conditional(), "policy")


class NextToken(DocumentLoss):
    """−log π(y_t | context, y_<t) on the tokens of documents, without rollouts or rewards."""

    formula: ClassVar[str] = "Σ_t −log π(y_t | x, y_<t)/N"
    source: ClassVar[str] = "maximum likelihood of the next token; GPT, Radford et al. 2018, eq. 1"
    peers: ClassVar[Mapping[str, str]] = {
        "TRL": 'SFTTrainer, loss_type = "nll"; completion_only_loss is scope = "response"',
        "verl": "the SFT trainer, on response tokens",
    }

    scope: Literal["response", "all"] = Field(
        "response", description="response: train the document after its question; all: train the question as well"
    )

    def needs(self) -> frozenset[Need]:
        return frozenset({_LOGP})

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] cross-entropies, in nats."""
        return -logp[_LOGP]

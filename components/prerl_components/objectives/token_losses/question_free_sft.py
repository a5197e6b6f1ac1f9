"""Supervised fine-tuning on answers alone: the question is taken away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from prerl_components.objectives.aggregation import AGGREGATION_WORDS, Aggregation
from prerl_components.objectives.token_losses.document_loss import DocumentLoss
from prerl_spec.sdk import Marginal, Need, Tokens

if TYPE_CHECKING:
    from torch import Tensor


class QuestionFreeSft(DocumentLoss):
    """−log π(y_t | b, y_<t) on the answers of documents, behind a prefix b in place of the question: supervised
    learning of log P(y).

    The mean over an answer's tokens, then over answers, as the paper prints it.
    """

    formula: ClassVar[str] = "mean_i mean_t −log π(y_t | b, y_<t)"
    source: ClassVar[str] = "question-free fine-tuning (QFFT), arXiv:2506.12860 v1, eq. 2"
    unlike: ClassVar[Mapping[str, str]] = {
        "prefix": "the paper leaves the whole prompt out; here a response follows `prefix`: its first token needs a context",
    }

    aggregation: Aggregation = Field("sequence_mean", description=AGGREGATION_WORDS)
    prefix: str = Field(
        "auto",
        min_length=1,
        description='prefix b that replaces the question: a text, or "auto": the first special token of the chat '
        "template, else BOS, else EOS",
    )

    @property
    def scope(self) -> Literal["response"]:
        return "response"

    @property
    def _logp(self) -> Need:
        return Need(Marginal(prefix=self.prefix), "policy")

    def needs(self) -> frozenset[Need]:
        return frozenset({self._logp})

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        """[n] cross-entropies, in nats."""
        return -logp[self._logp]

"""The forward pass of training and scoring, as an nn.Module: FSDP2 gathers weights when a module is called."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from prerl_spec.engine.policy.logprobs import Chosen, chosen_logprobs
from prerl_spec.engine.policy.sharding import Shards


class Scoring(nn.Module):
    """Log-probabilities of chosen tokens under `model`; `shards` is set if its weights are sharded.

    `plain_head`: whether the model's logits are head(hidden), so that they can be computed tile by tile.
    """

    def __init__(self, model: nn.Module, plain_head: bool = True) -> None:
        super().__init__()
        self.model = model
        self.plain_head = plain_head
        self.vocab_size = int(cast(Any, model).get_output_embeddings().weight.shape[0])
        self.shards: Shards | None = None

    def forward(
        self,
        id_BT: Tensor,
        position_BT: Tensor,
        at_n: Tensor,
        target_n: Tensor,
        *,
        temperature: float = 1.0,
        entropy: bool = False,
        is_top: bool = False,
    ) -> Chosen:
        """`chosen_logprobs` of n tokens: `target_n[i]` is predicted at the flat position `at_n[i]` in B·T."""
        # transformers' type annotations are too narrow for the calls below.
        model = cast(Any, self.model)
        # Without a mask attention is causal, and kernels for that serve; a cache would be thrown away.
        inputs = {"input_ids": id_BT, "position_ids": position_BT, "attention_mask": None, "use_cache": False}
        if self.plain_head:
            hidden_nd = taken(model.base_model(**inputs).last_hidden_state, at_n)
            head = model.get_output_embeddings()
        else:
            # The model post-processes its logits, so it computes them itself, at the positions that some row needs.
            width = id_BT.shape[1]
            kept, place_n = torch.unique(at_n % width, return_inverse=True)
            hidden_nd = taken(model(**inputs, logits_to_keep=kept).logits, at_n // width * len(kept) + place_n)
            head = nn.Identity()
        return chosen_logprobs(
            hidden_nd,
            target_n,
            head,
            vocab_size=self.vocab_size,
            temperature=temperature,
            entropy=entropy,
            is_top=is_top,
        )


def taken(x_BTd: Tensor, at_n: Tensor) -> Tensor:
    """[n, d] at flat positions in B·T, some of them more than once: a shared prompt's last token predicts the first of each
    response. Indexing would add their gradients in whatever order the threads come."""
    return embedding(at_n, x_BTd.flatten(0, 1))

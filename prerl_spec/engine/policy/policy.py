"""The policy: log-probabilities of trained tokens in any view, with or without gradient.

The model stays in evaluation mode, without dropout: a rollout must be scored under the distribution that sampled it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from prerl_spec.engine.policy.flat_attention import FlatRow, Unfit, flat_row_of, require_causal
from prerl_spec.engine.policy.forward import Scoring
from prerl_spec.engine.policy.head.output import leaves_its_head_as_it_is
from prerl_spec.engine.policy.logprobs import Chosen
from prerl_spec.engine.policy.long_positions import take_the_longest_texts
from prerl_spec.engine.policy.norms import fuse_norms
from prerl_spec.engine.policy.packing import Pass, lay_rows
from prerl_spec.engine.policy.rows import Arrangement, Rows, Stem, flat_row
from prerl_spec.engine.policy.sharding import Shards
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.errors import RunFailed
from prerl_spec.needs import Layout, Need, View
from prerl_spec.registry.kinds.model import LoadedModel
from prerl_spec.types import Segment

PARITY_NATS = 1e-3
"""Largest mean fp32 difference between two computations of the same log-probabilities. Rounding stays below 2e-5 in the
model families that agree; the smallest real leak or missed soft cap seen was 1e-2."""


class Policy:
    """A causal language model with fp32 weights that computes in `compute_dtype`.

    `arrangement`: how samples share a forward; measured when the model is loaded, like `plain_head`, not looked up.
    """

    def __init__(self, loaded: LoadedModel, device: torch.device) -> None:
        self.loaded = loaded
        self.codec = loaded.codec
        self.device = device
        # transformers' type annotations are too narrow for the calls below, and type some attributes as tensors.
        self.module = cast(Any, loaded.module)
        self.module.to(device)
        self.module.eval()
        self.forwards: Counter[tuple[str, str]] = Counter()
        """Number of samples scored, by (view, of)."""
        self.norms = fuse_norms(self.module, loaded.compute_dtype)
        self.scoring = Scoring(self.module)
        self.vocab_size = self.scoring.vocab_size
        self._scorings = [self.scoring]
        self.scoring.plain_head = self._has_plain_head()
        self.arrangement: Arrangement = self._measured_arrangement()

    @property
    def plain_head(self) -> bool:
        """Whether the model's logits are head(hidden), so that they can be computed tile by tile."""
        return self.scoring.plain_head

    @property
    def is_one_by_one(self) -> bool:
        """Whether a text has its own log-probabilities only in a forward of its own, or all logits of a forward are held at
        once."""
        return self.arrangement == "alone" or not self.plain_head

    @property
    def is_sharded(self) -> bool:
        """Whether every forward is a collective call."""
        return self.scoring.shards is not None

    def frozen_copy(self) -> Scoring:
        """A frozen copy of the current model, for scoring; it is sharded together with the policy."""
        assert not self.is_sharded, "a sharded model cannot be copied"
        copy = Scoring(deepcopy(self.module).requires_grad_(False), self.plain_head)
        self._scorings.append(copy)
        return copy

    def shard(self, ranks: Ranks, fsdp: Mapping[str, Any]) -> None:
        """Shards the weights, and those of frozen copies, over all ranks. `fsdp` is the spec's `distributed.fsdp`."""
        for scoring in self._scorings:
            scoring.shards = Shards(scoring, scoring.model, ranks, fsdp, self.loaded.compute_dtype)
            # FSDP2 makes the first module called the root; a sampler would call an inner module first.
            with torch.no_grad():
                self.row_logprobs(_nothing(), scoring=scoring)

    def whole_weights(self) -> AbstractContextManager[None]:
        """Inside, each rank may run the policy's module any number of times; all ranks enter and leave together."""
        return nullcontext() if self.scoring.shards is None else self.scoring.shards.whole()

    def end_with_next_pass(self, ends: bool) -> None:
        """Whether the next backward pass is the last one of an update (or of a gradient that a probe takes)."""
        if self.scoring.shards is not None:
            self.scoring.shards.end_with_next_pass(ends)

    @property
    def max_length(self) -> int:
        """Maximum length of context and response together, in tokens."""
        config = self.module.config.get_text_config()
        for name in ("max_position_embeddings", "n_positions"):
            if isinstance(length := getattr(config, name, None), int):
                return length
        return 1 << 30

    def parameters(self) -> list[tuple[str, torch.nn.Parameter]]:
        """Trained parameters with their names, tied ones once."""
        return [(n, p) for n, p in self.module.named_parameters() if p.requires_grad]

    def autocast(self) -> AbstractContextManager[Any]:
        """Autocast to the compute dtype over fp32 weights."""
        if self.loaded.compute_dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.loaded.compute_dtype)

    def logprobs(
        self, part: Pass, needs: Iterable[Need], *, temperature: float, of: str, scoring: Scoring | None = None
    ) -> dict[Need, Tensor]:
        """Each Need as a vector [n] in nats over the pass's tokens, zero for samples without rows in the view.

        One forward per distinct view. `of` is the label under which `forwards` counts; `scoring` is the model that
        scores, None for the policy itself.
        """
        found: dict[Need, Tensor] = {}
        wanted = list(needs)
        for view in {n.view: None for n in wanted}:
            logp_n, entropy_n = self._view(
                part, view, temperature, scoring, any(n.entropy for n in wanted if n.view == view)
            )
            self.forwards[(view.name, of)] += part.rows[view].num_samples if view in part.rows else 0
            for need in wanted:
                if need.view == view:
                    found[need] = cast(Tensor, entropy_n) if need.entropy else logp_n
        return found

    def _view(
        self, part: Pass, view: View, temperature: float, scoring: Scoring | None, entropy: bool
    ) -> tuple[Tensor, Tensor | None]:
        nothing = torch.zeros(part.tokens.num_tokens, device=self.device)
        rows = part.rows.get(view)
        if rows is None and self.is_sharded:
            # Another rank may have rows here, and needs this one's part of its gathers, forward and backward.
            logp_r, _ = self.row_logprobs(_nothing(), scoring=scoring)
            nothing = nothing + 0.0 * logp_r.sum()
        if rows is None:
            return nothing, nothing if entropy else None
        logp_r, entropy_r = self.row_logprobs(rows, temperature=temperature, scoring=scoring, entropy=entropy)
        index_r = torch.from_numpy(rows.index_n).to(self.device)
        logp_n = nothing.index_copy(0, index_r, logp_r)
        return logp_n, None if entropy_r is None else nothing.index_copy(0, index_r, entropy_r)

    def row_logprobs(
        self, rows: Rows, *, temperature: float = 1.0, scoring: Scoring | None = None, entropy: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """Log-probabilities of the rows' trained tokens, in their order, and their entropies if requested, in nats."""
        scoring = self.scoring if scoring is None else scoring
        inputs = [torch.from_numpy(a).to(self.device) for a in (rows.id_BT, rows.position_BT, rows.at_n, rows.target_n)]
        row = FlatRow(rows.stems) if rows.stems else None
        with self.autocast(), flat_row_of(scoring.model, row):
            found: Chosen = scoring(*inputs, temperature=temperature, entropy=entropy)
        if scoring.shards is not None and not torch.is_grad_enabled():
            scoring.shards.reshard()
        return found.logp_n, found.entropy_n

    def _has_plain_head(self) -> bool:
        """Whether head(hidden) are the model's own logits: measured, and looked at bit by bit at the head's end."""
        texts = _texts(self.vocab_size)
        ids = torch.tensor([[*texts[0].context, *texts[0].segments[0].tokens]], device=self.device)
        with self.autocast():
            is_last = leaves_its_head_as_it_is(self.module, ids)
        return is_last and self._agrees([lay_rows([text], [0], "alone") for text in texts])

    def _measured_arrangement(self) -> Arrangement:
        """The cheapest arrangement in which this model's log-probabilities are those of samples one by one."""
        if take_the_longest_texts(self.module.config.get_text_config()):
            return "alone"
        texts, starts = _texts(self.vocab_size), [0, 8, 12]
        try:
            with self.autocast():
                require_causal(self.module, self.device)
            # The first two begin alike, and share their beginning.
            flat = flat_row(texts, starts, worth=lambda *_: True)
            if self._agrees([flat]) and (self._is_half or self._gap([flat]) < self._gap([_joined(flat)]) / 10):
                return "flat"
        except Unfit:
            pass
        return "padded" if self._agrees([lay_rows(texts, starts, "padded")]) else "alone"

    @property
    def _is_half(self) -> bool:
        return self.loaded.compute_dtype != torch.float32

    def _agrees(self, rows: Sequence[Rows]) -> bool:
        # With 16-bit compute two orders of the same sums differ by about 1e-2.
        return self._gap(rows) < (3e-2 if self._is_half else PARITY_NATS)

    @torch.no_grad()
    def _gap(self, rows: Sequence[Rows]) -> float:
        """Mean difference of our log-probabilities of the three texts, in these rows, from the model's own on each by
        itself, in nats."""
        ours = torch.cat([self.row_logprobs(each)[0][np.argsort(each.index_n)] for each in rows])
        theirs = []
        for text in _texts(self.vocab_size):
            ids = torch.tensor([[*text.context, *text.segments[0].tokens]], device=self.device)
            scored = len(text.segments[0].tokens)
            with self.autocast():
                logits = self.module(input_ids=ids, use_cache=False).logits[0, -scored - 1 : -1]
            theirs.append(logits.float().log_softmax(-1).gather(-1, ids[0, -scored:, None]).squeeze(-1))
        gap = (ours - torch.cat(theirs)).abs().mean().item()
        if not np.isfinite(gap):
            raise RunFailed(
                "the model's log-probabilities are not finite before training", hint="check the model's weights"
            )
        return gap


def _texts(vocab_size: int) -> list[Layout]:
    """Three texts of 13, 9 and 11 tokens; the first two have a context of 5 tokens in common, the third one of its own."""
    generator = np.random.Generator(np.random.Philox(7))
    drawn = [generator.integers(0, vocab_size, size=n).tolist() for n in (13, 9, 11)]
    drawn[1][:5] = drawn[0][:5]
    return [Layout(tuple(ids[:5]), (Segment(tuple(ids[5:])),)) for ids in drawn]


def _joined(row: Rows) -> Rows:
    """The same tokens as one sample: how far the texts are off where they see each other. That may be little in a model
    that is not trained yet."""
    return replace(row, stems=(Stem(row.id_BT.size),))


def _nothing() -> Rows:
    """One token after one token: for forwards that other ranks need."""
    return lay_rows([Layout((0,), (Segment((0,)),))], [0], "alone")

"""The decoding loop of one batch: sample a token for each row, mark ended rows, drop them, advance the rest.

Axes: S samples of the batch, R rows still in the cache, T = max_new_tokens, V vocabulary.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from prerl_components.samplers.embedded.draw import BLOCK, Drawn, UniformStreams, draw
from prerl_components.samplers.embedded.kv_rows import KvRows
from prerl_components.samplers.embedded.stop_texts import StopTexts
from prerl_spec.sdk import Decoding, Generation, RunFailed

DROP_SHARE = 0.125
"""Fraction of ended rows above which dropping them pays for the copy of the cache."""

Stop = Literal["eos", "stop", "length"]


@dataclass(frozen=True)
class Batch:
    """Prompts to continue, and for each sample the index of its prompt and its seed.

    With a `width` the batch keeps its shape to the end: prompts are padded to `width` tokens, and ended rows are kept. The
    last `fillers` samples only fill up the shape and are discarded.
    """

    contexts: tuple[tuple[int, ...], ...]
    prompt_S: tuple[int, ...]
    seed_S: tuple[int, ...]
    width: int | None = None
    fillers: int = 0


class Responses:
    """Sampled so far: [S, T] tokens, log-probabilities and entropies, and each sample's length and stop reason."""

    def __init__(self, num_samples: int, max_new_tokens: int, device: torch.device) -> None:
        shape = (num_samples, max_new_tokens)
        self.token_ST = torch.zeros(shape, dtype=torch.long, device=device)
        self.logp_ST = torch.zeros(shape, device=device)
        self.entropy_ST = torch.zeros(shape, device=device)
        self.length_S = [max_new_tokens] * num_samples
        self.stop_S: list[Stop] = ["length"] * num_samples

    def write(self, t: int, sample_R: Tensor, drawn: Drawn) -> None:
        """Stores the t-th token of these samples; entries beyond a sample's end are never read."""
        self.token_ST[sample_R, t] = drawn.token_R
        self.logp_ST[sample_R, t] = drawn.logp_R
        self.entropy_ST[sample_R, t] = drawn.entropy_R

    def ended(self, samples: Sequence[int]) -> list[tuple[tuple[int, ...], Stop]]:
        """Tokens and stop reason of each of these samples, at least one, which have ended."""
        longest = max(self.length_S[s] for s in samples)
        rows = self.token_ST[torch.tensor(samples, device=self.token_ST.device), :longest].tolist()
        return [(tuple(row[: self.length_S[s]]), self.stop_S[s]) for s, row in zip(samples, rows, strict=True)]

    def generations(self) -> list[Generation]:
        """One Generation per sample, in order."""
        longest = max(self.length_S)
        written = (self.token_ST, self.logp_ST, self.entropy_ST)
        token_ST, logp_ST, entropy_ST = (values_ST[:, :longest].tolist() for values_ST in written)
        return [
            Generation(tuple(token_ST[s][:n]), tuple(logp_ST[s][:n]), self.stop_S[s], tuple(entropy_ST[s][:n]))
            for s, n in enumerate(self.length_S)
        ]


class BatchLoop:
    """Decodes every sample of a batch to its end. For each row still in the cache, `sample_R` is its sample and `alive_R`
    whether it is unfinished."""

    def __init__(
        self,
        rows: KvRows,
        batch: Batch,
        decoding: Decoding,
        eos_ids: Sequence[int],
        stops: StopTexts | None,
        device: torch.device,
    ) -> None:
        num_samples = len(batch.seed_S)
        self._rows = rows
        self._batch = batch
        self._decoding = decoding
        self._eos_ids = torch.tensor(eos_ids, dtype=torch.long, device=device)
        self._stops = stops
        self._device = device
        self._num_wanted = num_samples - batch.fillers
        self.responses = Responses(num_samples, decoding.max_new_tokens, device)
        self._streams = UniformStreams(batch.seed_S) if decoding.temperature > 0 else None
        self._uniform_RK = torch.zeros(0, device=device)
        self._sample_R = list(range(num_samples))
        self._sample_index_R = torch.arange(num_samples, device=device)
        self._alive_R = [True] * num_samples
        self._num_alive = num_samples

    def run(self, ended: Callable[[Sequence[int]], None]) -> list[Generation]:
        """One generation per sample, in the batch's order; calls `ended(samples)` after each token, with those that it ended.

        Raises RunFailed if the model's logits are not finite.
        """
        logits_RV = self._prefill()
        for t in range(self._decoding.max_new_tokens):
            drawn = draw(logits_RV, self._decoding, self._uniforms(t))
            self.responses.write(t, self._sample_index_R, drawn)
            ended(self._end_rows(t, drawn))
            if self._num_alive == 0 or t + 1 == self._decoding.max_new_tokens:
                break
            logits_RV = self._rows.advance(self._drop_rows(drawn.token_R))
        if left := self._wanted(row for row, alive in enumerate(self._alive_R) if alive):
            ended(left)
        return self.responses.generations()[: self._num_wanted]

    def _prefill(self) -> Tensor:
        """[R, V] logits of every sample's first token: each prompt is prefilled once, then copied to its samples."""
        logits_PV = self._rows.prefill(self._batch.contexts, self._decoding.max_new_tokens, self._batch.width)
        prompt_R = torch.tensor(self._batch.prompt_S, device=self._device)
        self._rows.select(prompt_R)
        return logits_PV.index_select(0, prompt_R)

    def _uniforms(self, t: int) -> Tensor | None:
        if self._streams is None:
            return None
        if t % BLOCK == 0:
            self._uniform_RK = torch.from_numpy(self._streams.block(self._sample_R)).to(self._device)
        return self._uniform_RK[:, t % BLOCK]

    def _end_rows(self, t: int, drawn: Drawn) -> list[int]:
        """Records which rows end with their t-th token, and why; returns their samples, without fillers."""
        is_eos_R = torch.isin(drawn.token_R, self._eos_ids)
        # One device synchronisation per token: rows with non-finite logits are found together with the ended ones.
        suspects: list[int] = (is_eos_R | drawn.logp_R.isnan()).nonzero()[:, 0].tolist()
        found: dict[int, Stop] = dict.fromkeys(suspects, "eos")
        if suspects and bool(drawn.logp_R[suspects].isnan().any()):
            raise RunFailed(
                f"the model's logits are not finite at token {t + 1} of a response",
                hint="check grad_norm and lr of the last steps: the weights have probably diverged",
            )
        if self._stops is not None:
            for row in self._rows_at_stop(self._stops, t, drawn.token_R):
                found.setdefault(row, "stop")
        new = [row for row in found if self._alive_R[row]]
        for row in new:
            self._alive_R[row] = False
            self.responses.length_S[self._sample_R[row]] = t + 1
            self.responses.stop_S[self._sample_R[row]] = found[row]
        self._num_alive -= len(new)
        return self._wanted(new)

    def _wanted(self, rows: Iterable[int]) -> list[int]:
        """The samples of those rows that are not fillers."""
        return [self._sample_R[row] for row in rows if self._sample_R[row] < self._num_wanted]

    def _rows_at_stop(self, stops: StopTexts, t: int, token_R: Tensor) -> Iterator[int]:
        """Rows whose t-th token completes a stop string."""
        first = max(0, t + 1 - stops.num_tokens)
        for row, token in enumerate(token_R.tolist()):
            if self._alive_R[row] and stops.may_end_with(token):
                tail_T = self.responses.token_ST[self._sample_R[row], first : t + 1]
                if stops.in_tail(tail_T.tolist()):
                    yield row

    def _drop_rows(self, token_R: Tensor) -> Tensor:
        """Drops the ended rows once they exceed DROP_SHARE; returns the tokens of the remaining rows.

        Never for a batch that must keep its shape: dropping a row would change the last bits of the others.
        """
        if self._batch.width is not None or len(self._alive_R) - self._num_alive < DROP_SHARE * len(self._alive_R):
            return token_R
        keep = [row for row, alive in enumerate(self._alive_R) if alive]
        keep_R = torch.tensor(keep, device=self._device)
        self._rows.select(keep_R)
        self._sample_R = [self._sample_R[row] for row in keep]
        self._sample_index_R = self._sample_index_R.index_select(0, keep_R)
        self._alive_R = [True] * len(keep)
        if self._streams is not None:
            self._uniform_RK = self._uniform_RK.index_select(0, keep_R)
        return token_R.index_select(0, keep_R)

"""Bytes that a run writes: checkpoints, which are certain, the journal and the responses of evaluations, at most."""

from dataclasses import dataclass

CHECKPOINT_BYTES_PER_PARAMETER = 12
"""A float32 weight and two moments."""
WEIGHT_BYTES = 4
"""Of a merged copy: an adapter's phase ends hold the whole model as well."""

TOKEN_BYTES = 4 + 4 + 4
"""An id, a log-probability and an entropy: float32 is exact for those of the built-in samplers (storage/journal_frames.py)."""
TEXT_BYTES_PER_TOKEN = 4
"""UTF-8 text of a token: about 4 in English, less in digits."""
RESPONSE_BYTES = 300
"""Frame, verdict, extracted answer and reward of a response."""

EVALUATED_BYTES = 1000
"""A line of evaluation/samples but its response: keys, verdict, and the question with its gold answer, which every line has."""


@dataclass(frozen=True)
class DiskBytes:
    """What a whole run writes and keeps. `checkpoints_certain` are there at its end in any case, `checkpoints` at most at
    any moment, None if the number of parameters is unknown; `journal_steps` is a step at most, by phase id; `journal` is
    None if a phase ends by a token budget; `samples` are the responses of evaluations, None if their number is unknown."""

    checkpoints_certain: int | None
    checkpoints: int | None
    journal_steps: dict[str, int]
    journal: int | None
    samples: int | None

    @property
    def is_known(self) -> bool:
        return None not in (self.journal, self.checkpoints, self.samples)

    @property
    def known(self) -> int:
        """The sum of what is known, at most."""
        return (self.journal or 0) + (self.checkpoints or 0) + (self.samples or 0)


def journal_step_bytes(responses: int, tokens: int) -> int:
    """Bytes of a step's journal at most: `responses` of `tokens` tokens each, refills included."""
    return responses * (RESPONSE_BYTES + tokens * (TOKEN_BYTES + TEXT_BYTES_PER_TOKEN))


def samples_bytes(responses: int, tokens: int) -> int:
    """Bytes of evaluated responses at most: `responses` lines with `tokens` tokens in all."""
    return responses * EVALUATED_BYTES + tokens * TEXT_BYTES_PER_TOKEN


def checkpoint_bytes(trained: int) -> int:
    """Bytes of a checkpoint of `trained` trained parameters."""
    return trained * CHECKPOINT_BYTES_PER_PARAMETER

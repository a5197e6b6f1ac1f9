"""ASCII tables of an objective's advantage, weight and term per token, and an ASCII curve."""

from collections.abc import Sequence
from typing import Protocol

from prerl_spec.report.formatting.printable import ascii_only
from prerl_spec.text import Codec
from prerl_spec.types import Array, Step

MAX_TOKEN_CHARACTERS = 12


class PartOfTokens(Protocol):
    """One part of an objective: three vectors [N] over the batch's tokens."""

    @property
    def name(self) -> str: ...
    @property
    def advantage_N(self) -> Array: ...
    @property
    def weight_N(self) -> Array: ...
    @property
    def term_N(self) -> Array: ...
    @property
    def denominator(self) -> str: ...


def token_table(
    step: Step, codec: Codec, parts: Sequence[PartOfTokens], samples: Sequence[int], *, max_tokens: int | None = None
) -> str:
    """One block per sample, one line per trained token: advantage, weight and term of each part."""
    names = "".join(f"  {p.name[:31]:^31}" for p in parts)
    head = "".join(f"  {'advantage':>9}  {'weight':>9}  {'term':>9}" for _ in parts)
    lines = [f"{'':<18}{names}", f"{'token':<18}{head}", "-" * (18 + 33 * len(parts))]
    for sample in samples:
        attempt = step.samples[sample]
        group = step.groups[int(step.group_S[sample])]
        reward = "none" if attempt.reward is None else f"{attempt.reward:g}"
        verdict = attempt.stop if attempt.verdict is None else attempt.verdict.outcome.value
        lines.append(f"{_escaped(group.prompt.question or '')}  ({verdict}, reward {reward}, {attempt.stop})")
        end = int(step.token_ends[sample])
        places = range(end - int(step.tokens.length_S[sample]), end)
        for place in places[:max_tokens]:
            token = _escaped(codec.decode([int(step.tokens.id_N[place])], skip_special=False))
            cells = "".join(
                f"  {p.advantage_N[place]:>9.3f}  {p.weight_N[place]:>9.2e}  {p.term_N[place]:>9.3f}" for p in parts
            )
            lines.append(f"  {token[:MAX_TOKEN_CHARACTERS]:<16}{cells}")
        if max_tokens is not None and len(places) > max_tokens:
            lines.append(f"  ... and {len(places) - max_tokens} more tokens")
    return "\n".join([*lines, *(_sums(p) for p in parts)])


def curve(values: Sequence[float], *, height: int = 8, low: float = 0.0, high: float = 1.0) -> str:
    """One column per value between `low` and `high`, with the axis on the left."""
    rows: list[str] = []
    span = high - low
    levels = [min(height - 1, max(0, int((v - low) / span * height))) for v in values]
    for level in reversed(range(height)):
        label = f"{low + span * (level + 1) / height:5.2f}" if level in (height - 1, height // 2 - 1) else " " * 5
        rows.append(f"{label} |{''.join('*' if at == level else ' ' for at in levels).rstrip()}")
    return "\n".join([*rows, f"{low:5.2f} +{'-' * len(values)}"])


def _sums(part: PartOfTokens) -> str:
    carrying = int((part.weight_N != 0).sum())
    loss = float((part.weight_N * part.term_N).sum())
    return (
        f"{part.name}: {carrying} of {len(part.weight_N)} tokens of the batch have non-zero weight, "
        f"sum of weight x term {loss:.4g}, divided by {part.denominator}"
    )


def _escaped(text: str) -> str:
    return ascii_only(text.replace("\n", "\\n"))

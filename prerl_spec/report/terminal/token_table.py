"""ASCII tables of an objective's advantage, weight, term and push per token, and an ASCII curve."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np

from prerl_spec.report.formatting.printable import ascii_only
from prerl_spec.text import Codec
from prerl_spec.types import Array, Outcome, Step

MAX_TOKEN_CHARACTERS = 12


PUSH = (
    "push: -weight x d(term)/d(log pi) of the token in the views it is scored in, in loss per nat, the same unit for every\n"
    "objective: above 0 the update raises log pi. A term is a value of its own loss, and says nothing beside another one's."
)


class PartOfTokens(Protocol):
    """One part of an objective: four vectors [N] over the batch's tokens."""

    @property
    def name(self) -> str: ...
    @property
    def advantage_N(self) -> Array: ...
    @property
    def weight_N(self) -> Array: ...
    @property
    def term_N(self) -> Array: ...
    @property
    def push_N(self) -> Array: ...
    @property
    def denominator(self) -> str: ...


def token_table(
    step: Step,
    codec: Codec,
    parts: Sequence[PartOfTokens],
    samples: Sequence[int],
    *,
    beside: Sequence[PartOfTokens] = (),
    max_tokens: int | None = None,
) -> str:
    """One block per sample, one line per trained token: advantage, weight and term of each part, then the pushes of the
    parts' sum, and of the sum of those `beside`, next to each other."""
    everyone, sides = [*parts, *beside], [side for side in (parts, beside) if side]
    pushes = [(_name_of(side), np.sum([part.push_N for part in side], axis=0)) for side in sides]
    names = "".join(f"  {p.name[:31]:^31}" for p in everyone) + f"  {'push':^{12 * len(pushes) - 2}}".rstrip()
    head = "".join(f"  {'advantage':>9}  {'weight':>9}  {'term':>9}" for _ in everyone)
    head += "".join(f"  {name[:10]:>10}" for name, _ in pushes)
    lines = [f"{'':<18}{names}", f"{'token':<18}{head}", "-" * (18 + 33 * len(everyone) + 12 * len(pushes))]
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
                f"  {p.advantage_N[place]:>9.3f}  {p.weight_N[place]:>9.2e}  {p.term_N[place]:>9.3f}" for p in everyone
            )
            cells += "".join(f"  {push_N[place]:>+10.2e}" for _, push_N in pushes)
            lines.append(f"  {token[:MAX_TOKEN_CHARACTERS]:<16}{cells}")
        if max_tokens is not None and len(places) > max_tokens:
            lines.append(f"  ... and {len(places) - max_tokens} more tokens")
    return "\n".join([*lines, *(_sums(p) for p in everyone), *_sums_of_pushes(step, pushes), PUSH])


def _name_of(side: Sequence[PartOfTokens]) -> str:
    return side[0].name if len(side) == 1 else "all terms"


def _sums_of_pushes(step: Step, pushes: Sequence[tuple[str, Array]]) -> Iterator[str]:
    """What each side does to right and to other responses of the batch; nothing for a batch that no verifier has judged."""
    verdicts = [attempt.verdict for attempt in step.samples]
    if not any(verdicts):
        return
    right_S = np.array([v is not None and v.outcome is Outcome.RIGHT for v in verdicts], dtype=bool)
    right_N = right_S[step.tokens.sample_N]
    for name, push_N in pushes:
        yield f"{name}: sum of push {push_N[right_N].sum():+.4g} on right responses, {push_N[~right_N].sum():+.4g} on others"


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

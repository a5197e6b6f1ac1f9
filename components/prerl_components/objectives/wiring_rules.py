"""Reports an objective's settings that have no effect in its phase, before anything heavy is imported."""

from collections.abc import Iterator, Sequence
from typing import Literal

from prerl_spec.sdk import Code, Conflict, Place, Wiring


def settings_of_the_other_sign(wiring: Wiring, trains: Literal["both", "negative", "positive"]) -> Iterator[Conflict]:
    """Settings that only act on samples of a sign that is never trained, with more than one update per batch.

    A < 0: the loss |A|·max(ρ, clip(ρ, 1−ε₋, 1+ε₊)) is |A|·ρ above 1 + ε₊, for any ε₊. A > 0: −A·min(ρ, clip(ρ)) is
    −A·ρ below 1 − ε₋, and the dual clip needs A < 0. An unparsable response has reward 0, the lowest score of a
    verifier, so its A is never positive; with further reward terms it can be.
    """
    idle: dict[str, tuple[str, ...]] = {"both": (), "negative": ("clip_high",), "positive": ("clip_low", "dual_clip")}
    settings = idle[trains] if wiring.updates_per_batch > 1 else ()
    if trains == "positive" and not wiring.has_rewards:
        settings = (*settings, "unparsable")
    why = f"only samples with {trains} advantage are trained"
    yield from settings_that_cannot_act(wiring, settings, why, 'set center = "group", which trains both signs')


def settings_that_cannot_act(wiring: Wiring, settings: Sequence[str], why: str, instead: str) -> Iterator[Conflict]:
    """W0702 for each of these settings that is written."""
    for setting in settings:
        if setting in wiring.written:
            yield Conflict(
                Code.NO_EFFECT,
                f"`{setting}` has no effect: {why}",
                (Place("self", setting),),
                help=f"remove {setting}, or {instead}",
            )


def importance_cap_without_effect(wiring: Wiring, importance_on: bool) -> Iterator[Conflict]:
    """A cap has no effect without importance weights."""
    if not importance_on and "importance_cap" in wiring.written:
        yield Conflict(
            Code.NO_EFFECT,
            '`importance_cap` has no effect with importance = "off"',
            (Place("self", "importance_cap"),),
            help='set importance = "truncate" or "mask", or remove importance_cap',
        )

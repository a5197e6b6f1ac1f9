"""Reports an objective's settings that have no effect in its phase, before anything heavy is imported."""

from collections.abc import Iterator

from prerl_components.objectives.point import Point
from prerl_spec.sdk import Code, Conflict, Place, Sign, Wiring


def sign_settings_without_effect(
    point: Point, wiring: Wiring, written: frozenset[str], surrogate_written: frozenset[str], surrogate: str = ""
) -> Iterator[Conflict]:
    """W0702 for each written setting that only acts on a sign of A that is never trained.

    A sign is not trained if its factor is 0, or if the advantage never has it; further reward terms can give an advantage
    any sign, and centring gives every group both. `surrogate` is the slot that holds the surrogate's settings, if not the
    objective itself. Settings of the ratio are silent with one update a batch: they have a warning of their own.
    """
    if point.center:
        return
    sign = "both" if wiring.has_rewards else point.advantage.sign
    factors: dict[Sign, float] = {"positive": point.positive, "negative": point.negative}
    trained = [one for one, factor in factors.items() if factor > 0 and sign in ("both", one)]
    if len(trained) != 1:  # none left is a contradiction, which the objective reports
        return
    (only,) = trained
    off: Sign = "negative" if only == "positive" else "positive"
    never = sign not in ("both", off)
    why = f"the advantage is never {off}" if never else f"only samples with {only} advantage are trained"
    of_ratio = getattr(point.surrogate, "ratio_settings", ()) if wiring.updates_per_batch == 1 else ()
    for setting in getattr(point.surrogate, "settings_by_sign", {}).get(off, ()):
        if setting in surrogate_written and setting not in of_ratio:
            yield _idle(setting, f"{surrogate}.{setting}" if surrogate else setting, why)
    if never and off in written and factors[off] > 0:
        yield _idle(off, off, why)
    if not never and only == "positive" and "unparsable" in written and _lowest_is_never_positive(point, wiring):
        yield _idle("unparsable", "unparsable", f"{why}, and an unparsable response has reward 0, the lowest")


def _lowest_is_never_positive(point: Point, wiring: Wiring) -> bool:
    """Whether the lowest reward earns at most 0: of advantages that the rewards alone decide, without further terms."""
    return not wiring.has_rewards and (point.advantage.scale is not None or point.advantage.sign == "negative")


def _idle(setting: str, place: str, why: str) -> Conflict:
    return Conflict(
        Code.NO_EFFECT, f"`{setting}` has no effect: {why}", (Place("self", place),), help=f"remove {setting}"
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

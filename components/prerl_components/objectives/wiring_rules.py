"""Rules between an objective and its phase, checked before anything heavy is imported."""

from collections.abc import Iterator
from typing import Literal

from prerl_spec.sdk import Code, Component, Conflict, Place, Wiring


def lone_attempts(wiring: Wiring, min_group: int, baseline: str) -> Iterator[Conflict]:
    """A group baseline over one attempt a prompt is 0 for ever."""
    if min_group > 1 and _setting(wiring.sampler, "group_size") == 1:
        yield Conflict(
            Code.CONTRADICTION,
            "a group baseline needs at least two attempts a prompt, and `group_size` is 1",
            (Place("sampler", "group_size"), Place("self", baseline)),
            help="set group_size to 2 or more, or take an objective without a group baseline",
        )


def truncated_sampling(wiring: Wiring, importance_on: bool) -> Iterator[Conflict]:
    """Under top_p or top_k the sampler's distribution is not the policy's, and no ratio to it means anything."""
    truncating = []
    if (top_p := _setting(wiring.sampler, "top_p")) is not None and top_p < 1:
        truncating.append(Place("sampler", "top_p"))
    if (top_k := _setting(wiring.sampler, "top_k")) is not None and top_k > 0:
        truncating.append(Place("sampler", "top_k"))
    ratios = []
    if wiring.updates_per_batch > 1:
        ratios.append(Place("phase", "updates_per_batch"))
    if importance_on:
        ratios.append(Place("self", "importance"))
    if truncating and ratios:
        yield Conflict(
            Code.CONTRADICTION,
            f"a sampler that truncates ({_names(truncating)}) biases the probability ratios of {_names(ratios)}",
            (*truncating, *ratios),
            help="train with top_p = 1.0 and top_k = 0; an evaluator may truncate as it likes",
        )


def ratio_settings_without_effect(wiring: Wiring) -> Iterator[Conflict]:
    """With one update a batch ρ = 1 everywhere: no clip ever acts."""
    if wiring.updates_per_batch > 1:
        return
    for setting in ("clip_low", "clip_high", "dual_clip"):
        if setting in wiring.written:
            yield Conflict(
                Code.NO_EFFECT,
                f"`{setting}` has no effect with one update a batch: the ratio to the old policy is always 1",
                (Place("self", setting),),
                help="set updates_per_batch above 1 to make it act, or leave it out",
            )


def settings_of_the_other_sign(wiring: Wiring, trains: Literal["both", "negative", "positive"]) -> Iterator[Conflict]:
    """What only acts on samples of a sign that is never trained, more than one update a batch given.

    A < 0: the loss |A|·max(ρ, clip(ρ, 1−ε₋, 1+ε₊)) is |A|·ρ above 1 + ε₊, whatever ε₊. A > 0: −A·min(ρ, clip(ρ)) is
    −A·ρ below 1 − ε₋, and the dual clip asks for A < 0. An unparsable response has reward 0, the least that a verifier
    gives, so its A is never above 0; with further reward terms it may be.
    """
    idle: dict[str, tuple[str, ...]] = {"both": (), "negative": ("clip_high",), "positive": ("clip_low", "dual_clip")}
    settings = idle[trains] if wiring.updates_per_batch > 1 else ()
    if trains == "positive" and not wiring.has_rewards:
        settings = (*settings, "unparsable")
    for setting in settings:
        if setting in wiring.written:
            yield Conflict(
                Code.NO_EFFECT,
                f"`{setting}` has no effect: only samples of {trains} advantage are trained",
                (Place("self", setting),),
                help='leave it out, or set center = "group", which trains both signs',
            )


def importance_cap_without_effect(wiring: Wiring, importance_on: bool) -> Iterator[Conflict]:
    """A cap on weights that are not taken."""
    if not importance_on and "importance_cap" in wiring.written:
        yield Conflict(
            Code.NO_EFFECT,
            '`importance_cap` has no effect with importance = "off"',
            (Place("self", "importance_cap"),),
            help='set importance = "truncate" or "mask", or leave the cap out',
        )


def _setting(component: Component | None, name: str) -> float | None:
    """A sampler's number, None where it has no such setting (a plugin's own kind of sampler)."""
    value = getattr(component, name, None)
    return float(value) if isinstance(value, int | float) else None


def _names(places: list[Place]) -> str:
    return " and ".join(f"`{p.setting}`" for p in places)

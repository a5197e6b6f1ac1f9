"""Curves of arms with the spread of their seeds, and when each was first as good as the baseline's end."""

from collections.abc import Mapping, Sequence
from statistics import fmean, median

from prerl_spec.comparison.equal_amounts import reached_at
from prerl_spec.comparison.findings import ArmCurve, Reached
from prerl_spec.comparison.track import Track

FEWEST = 3
"""Places of a curve: the base and the end alone are no curve."""


def arm_curve(arm: str, tracks: Sequence[Track]) -> ArmCurve | None:
    """Mean, least and most over an arm's runs at the steps at which all of them were scored, and at their ends, wherever each
    of them ended; None for fewer than three such places, or where no tokens were generated between them."""
    of_run = [{score.global_step: value for score, value in track.places} for track in tracks]
    places = [[step] * len(of_run) for step in of_run[0] if all(step in other for other in of_run)]
    ends = [max(run) for run in of_run]
    if ends not in places:
        places.append(ends)
    tokens = [
        fmean(track.run.spent_at(step).generated_tokens for track, step in zip(tracks, place, strict=True))
        for place in places
    ]
    if len(places) < FEWEST or tokens[-1] <= tokens[0]:
        return None
    values = [[run[step] for run, step in zip(of_run, place, strict=True)] for place in places]
    return ArmCurve(
        arm=arm,
        generated_tokens=tuple(tokens),
        steps=tuple(map(fmean, places)),
        mean=tuple(map(fmean, values)),
        low=tuple(map(min, values)),
        high=tuple(map(max, values)),
        num_seeds=len(tracks),
    )


def reached(arms: Mapping[str, Sequence[Track]], threshold: float) -> list[Reached]:
    """For each arm, medians of the tokens and steps at the first score that is at least as good as the threshold.

    Its resolution is the distance between two scores; the seeds that never got there are counted, not averaged in.
    """
    found = []
    for arm, tracks in arms.items():
        lower = tracks[0].is_lower_better
        tokens, steps = (
            [reached_at(track.over(axis), threshold, lower_is_better=lower) for track in tracks]
            for axis in ("generated_tokens", "steps")
        )
        found.append(
            Reached(
                arm=arm,
                num_seeds=len(tracks),
                num_reached=sum(amount is not None for amount in tokens),
                generated_tokens=_median(tokens),
                steps=_median(steps),
            )
        )
    return found


def _median(amounts: Sequence[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return median(known) if known else None

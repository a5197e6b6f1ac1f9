"""Runs of an arm and of the baseline that share their seeds, and what has no partner."""

from collections.abc import Sequence
from dataclasses import dataclass

from prerl_spec.comparison.arms import Absent, Arm
from prerl_spec.comparison.scored_run import ScoredRun


@dataclass(frozen=True)
class Pair:
    """Two runs that are compared with each other: `Pair("seed 3", of the baseline, of the arm)`."""

    name: str
    first: ScoredRun
    second: ScoredRun


def pairs_of(baseline: Arm, arm: Arm) -> tuple[list[Pair], list[Absent]]:
    """The pairs in the baseline's order. Single runs are a pair whatever their seeds: a difference then holds for these two
    checkpoints."""
    if len(baseline.runs) == len(arm.runs) == 1:
        first, second = baseline.runs[0], arm.runs[0]
        name = first.label if first.key == second.key else f"{first.name} and {second.name}"
        return [Pair(name, first, second)], []
    known, own = baseline.by_key(), arm.by_key()
    both = [key for key in known if key in own]
    alone = [(baseline, known[key], arm) for key in known if key not in own]
    alone += [(arm, own[key], baseline) for key in own if key not in known]
    absent = [Absent(f"{of.name}, {run.label}", f"{other.name} has no run of it") for of, run, other in alone]
    return [Pair(known[key].label, known[key], own[key]) for key in both], absent


def paired_on(pairs: Sequence[Pair]) -> str:
    """On what runs are paired, in words: one base, or bases and seeds crossed, or arms of different bases."""
    if not all(pair.first.base and pair.second.base for pair in pairs):
        return "checkpoints as they are"
    bases = {_base_of(run): run.base for pair in reversed(pairs) for run in (pair.second, pair.first)}
    if len(bases) == 1:
        return f"paired on one base: {next(iter(bases.values()))}"
    apart = next((pair for pair in pairs if _base_of(pair.first) != _base_of(pair.second)), None)
    if apart is not None:
        return f"arms on different bases: {apart.first.base}; {apart.second.base}"
    return f"crosses bases and seeds: {len(bases)} bases, one for each seed"


def _base_of(run: ScoredRun) -> str:
    return run.base_content or run.base


def other_prompts(pairs: Sequence[Pair]) -> list[str]:
    """A note where the runs of a pair have met other prompts and sample streams, by what these hang on."""
    for pair in pairs:
        (own, *phases), (other, *others) = pair.first.asked or ("",), pair.second.asked or ("",)
        if own != other:
            return [
                f'not the same prompts: run.streams is "{own}" in {pair.first.name}, "{other}" in {pair.second.name}'
            ]
        if phases != others:
            return [
                'not the same prompts: with run.streams = "global" they hang on the step of the run, and the phases of '
                f"{pair.first.name} and {pair.second.name} differ"
            ]
    return []

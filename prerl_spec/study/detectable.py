"""The smallest difference that a study can see, from the spread between seeds of earlier runs or a stated prior."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from math import sqrt
from pathlib import Path
from statistics import variance
from typing import Any

from prerl_spec.compiler.past_runs.run_folder import numbered
from prerl_spec.compiler.render.human_units import plural
from prerl_spec.errors import Damaged
from prerl_spec.study.results import Key, end_scores, primary_key
from prerl_spec.study.state import last_notes
from prerl_spec.study.study_folder import StudyFolder, digest_of_study, read_study
from prerl_spec.study.study_plan import StudyPlan, cell_name

POWER = 0.8


@dataclass(frozen=True)
class Detectable:
    """`Detectable(effect=.031, sd=.02, source="study.prior_sd", unknown=None)`: effect and standard deviation in the primary
    score's own units, 0.01 being a point; else why it is unknown."""

    effect: float | None
    sd: float | None
    source: str
    unknown: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "power": POWER}

    def in_words(self, study: StudyPlan) -> str:
        """One sentence with its unit."""
        if self.effect is None or self.sd is None:
            return f"unknown: {self.unknown}"
        compared = len(study.arms) - 1
        of_arms = "" if compared == 1 else f", each of {compared} arms against {study.arms[0]} after Holm"
        return (
            f"{100 * self.effect:.2f} points of {study.primary} with probability {POWER:.0%} (two-sided 5 %{of_arms}); "
            f"{len(study.seeds)} seeds are the unit, paired differences have a standard deviation of {100 * self.sd:.2f} "
            f"points ({self.source})"
        )


def detectable(study: StudyPlan) -> Detectable:
    """Stated before anything runs. Earlier runs are the finished cells of studies of this name with the same arms and
    primary, this one's included; `prior_sd` serves where they have fewer than two seeds of two arms."""
    if study.primary is None:
        return Detectable(None, None, "", 'no primary score is named: write study.primary = "task/metric"')
    if len(study.arms) < 2:
        return Detectable(None, None, "", "there is one arm, and nothing to compare it with")
    if len(study.seeds) < 2:
        return Detectable(None, None, "", "one seed has no spread: write more study.seeds")
    spread = _spread(study, primary_key(study.primary))
    if spread is not None:
        sd, source = spread
    elif study.prior_sd is not None:
        sd, source = study.prior_sd, "study.prior_sd"
    else:
        why = "no earlier run of this study tells the spread between seeds: write study.prior_sd, the standard deviation of "
        return Detectable(None, None, "", why + "a paired difference in the primary score (0.02 is two points)")
    if find_spec("scipy") is None:
        return Detectable(None, None, "", f"install prerl-spec[train]; the standard deviation is {sd:g} ({source})")
    # It takes half a second to import.
    from prerl_spec.statistics.seeds import detectable_effect

    return Detectable(detectable_effect(sd, len(study.seeds), POWER, len(study.arms) - 1), sd, source)


def _spread(study: StudyPlan, primary: Key) -> tuple[float, str] | None:
    """The standard deviation of paired differences from the first arm, pooled over arms and studies, and where it is from."""
    groups: list[list[float]] = []
    damaged: list[str] = []
    for root in [root for _, root in sorted(numbered(study.output_dir, f"{study.name}-study").items())]:
        try:
            groups += [d for d in _of_study(study, root, primary) if len(d) > 1]
        except Damaged as error:
            # Another study's files: this one can run without them.
            damaged.append(str(error.file))
    if not groups:
        return None
    degrees = sum(len(group) - 1 for group in groups)
    pooled = sum(variance(group) * (len(group) - 1) for group in groups) / degrees
    if not pooled:  # coarse scores of few seeds repeat by chance: no spread is no knowledge
        return None
    source = f"{plural(len(groups), 'comparison')} of earlier runs, {plural(degrees, 'degree')} of freedom"
    return sqrt(pooled), f"{source}; damaged, and left out: {', '.join(damaged)}" if damaged else source


def _of_study(study: StudyPlan, root: Path, primary: Key) -> list[list[float]]:
    """The differences in a folder of a study with the same arms, primary and match; none in any other. Raises Damaged."""
    if digest_of_study(root) is None:
        return []
    said, folder = read_study(root), StudyFolder(root)
    if (said["arms"], said["primary"], said["match"]) != (list(study.arms), study.primary, study.match):
        return []
    # What was taken over from an earlier study stands there as well.
    own = [cell for cell in said["seeds"] if not _is_taken(folder, study, cell)]
    return list(_differences(study, folder, own, primary))


def _is_taken(folder: StudyFolder, study: StudyPlan, seed: int) -> bool:
    """Whether every cell of a seed was copied from an earlier study."""
    known = last_notes(folder) if folder.state.is_file() else {}
    return all(known.get(cell_name(arm, seed), {}).get("event") == "take" for arm in study.arms)


def _differences(study: StudyPlan, folder: StudyFolder, seeds: Sequence[int], primary: Key) -> Iterator[list[float]]:
    """For each arm but the first its differences from the first, one a seed at which both are finished and scored."""
    values = {
        (arm, seed): end_scores(folder.run(name)).get(primary)
        for arm in study.arms
        for seed in seeds
        if folder.is_finished(name := cell_name(arm, seed))
    }
    first = study.arms[0]
    for arm in study.arms[1:]:
        pairs = [(values.get((first, seed)), values.get((arm, seed))) for seed in seeds]
        yield [own - base for base, own in pairs if base is not None and own is not None]

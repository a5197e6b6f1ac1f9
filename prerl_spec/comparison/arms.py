"""Arms: the runs that differ in their seeds only, and what of them is not there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os.path import commonpath
from pathlib import Path

from prerl_spec.comparison.scored_run import ScoredRun, SeedKey
from prerl_spec.errors import UsageError
from prerl_spec.language.suggest import choice


@dataclass(frozen=True)
class Arm:
    """An arm and its runs, one a seed."""

    name: str
    runs: tuple[ScoredRun, ...]

    def by_key(self) -> dict[SeedKey, ScoredRun]:
        return {run.key: run for run in self.runs}


@dataclass(frozen=True)
class Absent:
    """A run that is not compared, and why: `Absent("dsrl, seed 2", "unfinished")`."""

    what: str
    why: str


def grouped(runs: Sequence[tuple[str, ScoredRun]]) -> list[Arm]:
    """Arms from (meaning without seeds and name, run), in the order given; each is called by its runs' name, or by their common
    folder where several arms share that name, or by the first one's where they share a folder too.

    Raises UsageError where two runs of an arm share their seeds: they differ in nothing.
    """
    of_meaning: dict[str, list[ScoredRun]] = {}
    for meaning, run in runs:
        members = of_meaning.setdefault(meaning, [])
        if same := next((other for other in members if other.key == run.key), None):
            raise differ_in_nothing(same.folder, run.folder)
        members.append(run)
    arms = [Arm(members[0].name, tuple(members)) for members in of_meaning.values()]
    if len({arm.name for arm in arms}) == len(arms):
        return arms
    common = [Path(commonpath([run.folder.resolve() for run in arm.runs])) for arm in arms]
    apart = len(set(common)) == len(common)
    names = distinct(common if apart else [arm.runs[0].folder for arm in arms])
    return [replace(arm, name=name) for arm, name in zip(arms, names, strict=True)]


def distinct(folders: Sequence[Path]) -> list[str]:
    """Folders by the fewest last parts of their paths that tell all of them apart: `["dsrl/seed-0", "grpo/seed-0"]`."""
    whole = [folder.resolve().parts for folder in folders]
    longest = max(map(len, whole))
    return next(
        names
        for n in range(1, longest + 1)
        if len(set(names := ["/".join(p[-n:]) for p in whole])) == len(names) or n == longest
    )


def labelled(arms: Sequence[Arm]) -> list[Arm]:
    """The arms with their runs named by seed, and by model.seed as well where an arm has a seed twice."""
    whole = any(len({run.key.seed for run in arm.runs}) < len(arm.runs) for arm in arms)
    return [Arm(arm.name, tuple(replace(run, label=run.key.in_words(whole=whole)) for run in arm.runs)) for arm in arms]


def with_baseline_first(arms: Sequence[Arm], baseline: str | None) -> list[Arm]:
    """The arms with the named one first: by its name, or by the folder of one of its runs. Raises UsageError for another."""
    if baseline is None:
        return list(arms)
    arm = _called("--baseline", arms, baseline)
    if arm is None:
        raise _no_arm("--baseline", baseline, arms)
    return [arm, *(other for other in arms if other is not arm)]


def named_ones(arms: Sequence[Arm], names: Sequence[str] | None) -> tuple[list[Arm], list[Absent]]:
    """The first arm and those of these names, in the order of the arms; the others, named. All of them for None.

    A name is an arm's, or the folder of one of its runs. Raises UsageError for another, and for the first arm's.
    """
    if names is None:
        return list(arms), []
    if not names:
        raise _no_arm("--arms", "", arms[1:])
    wanted = []
    for name in names:
        arm = _called("--arms", arms, name)
        if arm is None:
            raise _no_arm("--arms", name, arms[1:])
        if arm is arms[0]:
            raise UsageError(
                f"--arms names {name}, which is the baseline",
                hint="name the arms to compare with it, or another --baseline",
            )
        wanted.append(arm)
    absent = [Absent(arm.name, "--arms does not name it") for arm in arms[1:] if arm not in wanted]
    return [arm for arm in arms if arm is arms[0] or arm in wanted], absent


def _called(option: str, arms: Sequence[Arm], name: str) -> Arm | None:
    """The arm of this name, or with a run in this folder. Raises UsageError where these are two."""
    place = Path(name).resolve()
    by_name = next((arm for arm in arms if name == arm.name), None)
    by_folder = next((arm for arm in arms if any(run.folder.resolve() == place for run in arm.runs)), None)
    if by_name and by_folder and by_name is not by_folder:
        raise UsageError(
            f"{option}: {name} is the name of one arm and a run of another, {by_folder.name}",
            hint=f"name a run's folder by its path, as ./{name}, or {by_name.runs[0].folder.resolve()}",
        )
    return by_name or by_folder


def _no_arm(option: str, name: str, arms: Sequence[Arm]) -> UsageError:
    return UsageError(
        f"{option}: {name or 'an empty name'} is none of the arms", hint=choice(name, [arm.name for arm in arms])
    )


def differ_in_nothing(first: Path, second: Path) -> UsageError:
    return UsageError(f"{first} and {second} differ in nothing", hint="name each run once, and runs that differ")

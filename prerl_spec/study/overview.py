"""What a study is about to do, in words: arms and seeds, pairing, budget, what is shared, cost, detectable effect."""

from collections.abc import Iterator

from prerl_spec.compiler.plan import PhasePlan
from prerl_spec.compiler.render.human_units import count, duration, line, plural
from prerl_spec.study.detectable import Detectable
from prerl_spec.study.readable_axes import readable_axes
from prerl_spec.study.study_folder import StudyFolder
from prerl_spec.study.study_plan import Cell, StudyPlan
from prerl_spec.study.tasks import tasks_of

TAKEN = {
    "generated_tokens": "generated tokens",
    "trained_tokens": "trained tokens",
    "steps": "steps",
    "seconds": "seconds of training",
}


def overview(study: StudyPlan, folder: StudyFolder, effect: Detectable, jobs: int) -> str:
    """Several lines of text; nothing has run yet, or part of it has."""
    tasks = tasks_of(study)
    done = sum(folder.is_finished(task.name) for task in tasks)
    out = [f"study {study.name}: {plural(len(study.arms), 'arm')} x {plural(len(study.seeds), 'seed')}"]
    compared = f"; the others are compared with {study.arms[0]}" if len(study.arms) > 1 else ""
    out += line("arms", ", ".join(study.arms) + compared)
    out += line("seeds", ", ".join(map(str, study.seeds)))
    out += line(
        "paired",
        f"{study.base()}; the same prompts and random numbers at the same step of a phase in every arm"
        + (", but for what is noted below" if study.unpaired else ""),
    )
    out += line("ends at", _ends(study))
    out += [words for said in _shared(study) for words in line("shared", said)]
    out += line(
        "runs", f"{len(tasks)}, {plural(len(study.cells), 'cell')} among them" + (f"; {done} finished" if done else "")
    )
    out += line("cost", _cost(study, jobs))
    out += line("detects", effect.in_words(study))
    for said in (*study.unpaired, *readable_axes(study), *study.notes):
        out += line("note", said)
    return "\n".join(out)


def _shared(study: StudyPlan) -> Iterator[str]:
    """One line for all seeds at which the same arms share the same phases."""
    seeds: dict[tuple[str, str], list[int]] = {}
    for shared in study.shared:
        users = ", ".join(cell.arm for cell in study.cells if shared in cell.continues)
        seeds.setdefault((shared.in_words(), users), []).append(shared.plan.seed)
    for (phases, users), at in seeds.items():
        where = "" if len(at) == len(study.seeds) else f", at {', '.join(f'seed {seed}' for seed in at)}"
        yield f"{phases}: once a seed for {users}{where}"


def _ends(study: StudyPlan) -> str:
    what = TAKEN[study.match]
    if not study.is_cut:
        return f"the end of its own schedules: no arm takes any {what} that all do not share"
    from_where = "" if study.common(study.seeds[0]) is None else ", counted from the end of what all arms share"
    if study.budget is None:
        return f"as many {what} as {study.arms[0]} takes with the same seed{from_where}"
    return f"{study.budget:,.15g} {what}{from_where}"


def _cost(study: StudyPlan, jobs: int) -> str:
    """Of the phases as their schedules say: a budget may end a phase earlier or later."""
    phases = [phase for shared in study.shared for phase in _own_phases(study, shared.plan.phases)]
    phases += [phase for cell in study.cells for phase in _left(cell)]
    sampled = [phase.sampled_tokens_at_most for phase in phases if phase.uses_rollouts]
    tokens = "unknown" if None in sampled else f"at most {count(sum(t or 0 for t in sampled))}"
    seconds = list(_seconds(study))
    if None in seconds:
        took = "unknown: the plan of a cell says why"
    else:
        whole = sum(s or 0.0 for s in seconds)
        took = f"at most about {duration(whole)}" + (f", {duration(whole / jobs)} with {jobs} jobs" if jobs > 1 else "")
        took += ", as if every response had the maximum length, and the seconds that each run takes to start"
    return f"{tokens} tokens sampled in training; time, evaluation included: {took}"


def _left(cell: Cell) -> tuple[PhasePlan, ...]:
    """The phases that are the cell's own."""
    return cell.plan.phases[cell.continues[-1].num_phases :] if cell.continues else cell.plan.phases


def _own_phases(study: StudyPlan, phases: tuple[PhasePlan, ...]) -> tuple[PhasePlan, ...]:
    """Of a shared run's phases those that no shorter shared run has."""
    shorter = [
        s.num_phases for s in study.shared if s.num_phases < len(phases) and s.plan.phases == phases[: s.num_phases]
    ]
    return phases[max(shorter, default=0) :]


def _seconds(study: StudyPlan) -> Iterator[float | None]:
    """Each run's estimate. A shared phase is taken off each cell and counted once."""
    for cell in study.cells:
        whole, own = cell.plan.estimated_seconds, len(cell.plan.phases) - len(_left(cell))
        shared = [_phase_seconds(phase) for phase in cell.plan.phases[:own]]
        yield None if whole is None or None in shared else whole - sum(s or 0.0 for s in shared)
    for shared_run in study.shared:
        for phase in _own_phases(study, shared_run.plan.phases):
            yield _phase_seconds(phase)


def _phase_seconds(phase: PhasePlan) -> float | None:
    return None if phase.cost is None or phase.steps is None else phase.cost.seconds_per_step * phase.steps

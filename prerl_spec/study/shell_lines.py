"""One shell command a run of a study, by stages, for schedulers that run them on other machines."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from prerl_spec.compiler.render.human_units import plural
from prerl_spec.study.study_folder import StudyFolder
from prerl_spec.study.study_plan import StudyPlan
from prerl_spec.study.tasks import Task, tasks_of


def shell_lines(study: StudyPlan, folder: StudyFolder, spec: Path, options: Sequence[str]) -> str:
    """Comments and commands. All runs of a stage may run at once; each stage needs the ones before it finished.

    `options` are the overrides that the study was compiled with. Finished runs are listed too: their commands end at once.
    """
    stages = _stages(study)
    head = ["prerl-spec", "study", str(spec), *options, "--study-dir", str(folder.root)]
    many = f"{plural(sum(map(len, stages)), 'run')} in {plural(len(stages), 'stage')}"
    out = [
        f"# study {study.name}: {many}. Runs of a stage may run at once, on any",
        "# machines that share this folder; a stage needs the ones before it finished. A command may be repeated:",
        "# it goes on where its run is (exit 75: interrupted, 5: failed, 0: finished). On Slurm, with these lines in",
        "# cells.txt beside examples/slurm/study.sbatch:",
    ]
    for number, tasks in enumerate(stages, 1):
        wait = " --dependency=afterok:$job" if number > 1 else ""
        out.append(f"#   job=$(sbatch --parsable --array=1-{len(tasks)}{wait} study.sbatch cells.txt {number})")
    for number, tasks in enumerate(stages, 1):
        out.append(f"# stage {number}")
        out += [shlex.join([*head, "--cell", task.name]) for task in tasks]
    out.append("# when all are finished: " + shlex.join(["prerl-spec", "compare", str(folder.root)]))
    return "\n".join(out)


def _stages(study: StudyPlan) -> list[list[Task]]:
    tasks = tasks_of(study)
    return [[task for task in tasks if task.stage == stage] for stage in sorted({task.stage for task in tasks})]


def named_task(study: StudyPlan, name: str) -> Task | None:
    """The task that `--cell` names."""
    return next((task for task in tasks_of(study) if task.name == name), None)


def names(study: StudyPlan) -> Iterator[str]:
    """What `--cell` may name."""
    return (task.name for task in tasks_of(study))

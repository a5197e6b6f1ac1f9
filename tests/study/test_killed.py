"""A study that is killed goes on with the same command and comes to the same: weights, steps, scores of every run."""

import os
import random
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest

from prerl_spec.compiler.past_runs.run_folder import hold_run_folder
from prerl_spec.compiler.plan import Plan
from prerl_spec.engine.inspect.fsck import check_run
from prerl_spec.errors import UsageError
from prerl_spec.storage.sealed import read_array
from prerl_spec.study.compile_study import compile_study
from prerl_spec.study.running.cell_queue import CellQueue, Running
from prerl_spec.study.running.taking_over import Earlier
from prerl_spec.study.study_folder import StudyFolder, begin_study
from prerl_spec.study.tasks import Task, tasks_of
from tests.study.forked import outcomes, queue_forked, run_plan
from tests.study.quiet import Quiet
from tests.study.specs import FOUR_ARMS, TWO_ARMS, written

SEED = 1


def test_a_killed_study_comes_to_the_same_as_one_left_alone(tmp_path: Path) -> None:
    study = compile_study(written(tmp_path, TWO_ARMS))
    # First and here: the others, forked, then have what a run imports.
    run_plan(study.cell("pruned", 1).plan, tmp_path / "alone")
    begun = time.monotonic()
    assert queue_forked(study, tmp_path / "whole", jobs=2) == 0
    seconds = time.monotonic() - begun
    moment = random.Random(SEED).uniform(0.2, 0.8) * seconds
    assert queue_forked(study, tmp_path / "killed", jobs=2, kill_after=moment) == -signal.SIGKILL
    assert queue_forked(study, tmp_path / "killed", jobs=2) == 0
    expected = outcomes(study, tmp_path / "whole")
    assert None not in expected.values()
    assert outcomes(study, tmp_path / "killed") == expected
    assert trained(tmp_path / "alone") == trained(StudyFolder(tmp_path / "whole").run("pruned/1"))
    for cell in study.cells:
        scores = read_array(StudyFolder(tmp_path / "whole").run(cell.name) / "scores.json")
        assert [(row["phase"], row["global_step"]) for row in scores if row["metric"] == "avg@1"] == [
            ("base", 1),
            ("refine", 3),
        ]
    _another_study_takes_over_what_is_the_same(tmp_path)


def _another_study_takes_over_what_is_the_same(tmp_path: Path) -> None:
    """With an arm more, of the finished one: only the new arm is computed, and a flipped byte keeps a run from being taken."""
    later = """[[study.arms.later.phases]]
id = "refine"
objective = { use = "marginal_pg", advantage = "minus_one", coefficient = 0.5 }
"""
    spec = written(tmp_path, TWO_ARMS + later)
    study, whole = compile_study(spec), StudyFolder(tmp_path / "whole")
    folder, _ = begin_study(study, tmp_path / "more", {})
    computed: list[str] = []

    def start(of: StudyFolder, task: Task, plan: Plan) -> Running:
        computed.append(task.name)
        return Failing()

    def queued() -> list[str]:
        computed.clear()
        source = Earlier(whole.root, folder.root)
        found = CellQueue(study, folder, tasks_of(study), start, Quiet(), source=source).run()
        return [*computed, *(name for name in found.failed if name not in computed)]

    weights = max(whole.run("refined/1").glob("checkpoints/step-*/*.safetensors"))
    sound = weights.read_bytes()
    weights.write_bytes(bytes([sound[0] ^ 1]) + sound[1:])
    assert queued() == ["later/0", "refined/1"]
    assert not list(folder.root.glob("cells/*/.*")), "no copy is left behind"
    weights.write_bytes(sound)
    live = folder.run("pruned/1")
    live.mkdir(parents=True)
    with hold_run_folder(live), pytest.raises(UsageError, match="is live"):
        Earlier(whole.root, folder.root).take(whole.run("pruned/1"), live)
    (folder.run("later/1") / "journal").mkdir(parents=True)
    begun = study.cell("pruned", 1).plan
    assert Earlier(whole.root, whole.root.parent).offered(folder, Task("later/1", (), 2, 1), begun) is None
    (folder.run("later/1") / "journal").rmdir()
    assert queued() == ["later/0", "later/1"]
    found = outcomes(study, folder.root)
    kept = outcomes(study, whole.root)
    assert {name for name, outcome in found.items() if outcome is None} == {"later/0", "later/1"}
    assert all(outcome == kept[name] for name, outcome in found.items() if outcome is not None)
    assert all(finding.state == "ok" for finding in check_run(folder.run("pruned/1")))
    with pytest.raises(UsageError, match="is the folder of this study"):
        Earlier(folder.root, folder.root)


class Failing:
    """`Running` of a run that has failed."""

    def exit_code(self) -> int:
        return 5

    def send(self, number: int) -> None: ...

    def cause(self) -> str:
        return "it was not to be computed"


def trained(run: Path) -> dict[str, str]:
    """Hashes of the weights and moments of a run's last checkpoint."""
    last = max((run / "checkpoints").glob("step-*"))
    return {str(f.relative_to(last)): sha256(f.read_bytes()).hexdigest() for f in last.rglob("*.safetensors")}


@pytest.mark.slow
def test_four_arms_at_three_seeds_killed_five_times_come_to_the_same(tmp_path: Path) -> None:
    """With the command itself, as processes: SIGKILL to the study, at whatever its cells are then at."""
    spec = written(tmp_path, FOUR_ARMS)
    study = compile_study(spec)
    assert commanded(spec, tmp_path / "whole") == 0
    chance = random.Random(SEED)
    for ended in sorted(chance.sample(range(15), 5)):
        killed = commanded(spec, tmp_path / "killed", kill_after=(ended, chance.uniform(0.0, 8.0)))
        assert killed == -signal.SIGKILL
    assert commanded(spec, tmp_path / "killed") == 0
    expected = outcomes(study, tmp_path / "whole")
    assert None not in expected.values()
    assert outcomes(study, tmp_path / "killed") == expected


def commanded(spec: Path, place: Path, *, kill_after: tuple[int, float] | None = None) -> int:
    """`prerl-spec study` in a session of its own; `kill_after`: as many finished runs, and seconds from then on. Its cells die
    with it: it alone is killed."""
    words = [sys.executable, "-m", "prerl_spec", "study", str(spec), "--study-dir", str(place), "--jobs", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    if kill_after is not None:
        ended, seconds = kill_after
        while process.poll() is None and num_ended(place) < ended:
            time.sleep(0.02)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def num_ended(place: Path) -> int:
    """How many runs of the study have ended so far."""
    state = StudyFolder(place).state
    return state.read_bytes().count(b'"event": "end"') if state.is_file() else 0

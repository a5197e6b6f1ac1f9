"""The process of a cell: what it is started with, what it says of its end, that it takes signals."""

import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from prerl_spec.compiler.hardware import Gpu, Hardware
from prerl_spec.errors import UsageError
from prerl_spec.process.forked_commands import ForkedCommand
from prerl_spec.study.compile_study import compile_study
from prerl_spec.study.running import cell_process
from prerl_spec.study.running.cell_process import CellProcess, Starter
from prerl_spec.study.study_folder import StudyFolder
from prerl_spec.study.study_plan import StudyPlan
from prerl_spec.study.tasks import tasks_of
from tests.study.specs import TWO_ARMS, written

SHOWS = "import os, sys; print(os.environ.get('OMP_NUM_THREADS'), os.environ.get('CUDA_VISIBLE_DEVICES'), sys.argv[1:])"
WAITS = "import time; print('error: it waits', flush=True); time.sleep(60)"


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyPlan:
    return compile_study(written(tmp_path_factory.mktemp("two"), TWO_ARMS))


def started(
    monkeypatch: pytest.MonkeyPatch, study: StudyPlan, place: Path, code: str, jobs: int = 2, gpus: int = 2
) -> list[CellProcess]:
    """A process for each of the first three tasks, with this program in place of prerl-spec."""
    start, folder = starter(monkeypatch, code, jobs=jobs, gpus=gpus), StudyFolder(place)
    return [start(folder, task, study.cells[0].plan) for task in tasks_of(study)[:3]]


def starter(monkeypatch: pytest.MonkeyPatch, code: str, *, jobs: int = 2, gpus: int, several: bool = False) -> Starter:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(cell_process, "detect_hardware", lambda: Hardware(8, 1 << 30, (Gpu("A", 1 << 30),) * gpus))
    monkeypatch.setattr(cell_process, "command_line", lambda words: [sys.executable, "-S", "-c", code, *words])
    return Starter(jobs, local_code=True, several=several)


def ended(process: CellProcess) -> int:
    while (code := process.exit_code()) is None:
        time.sleep(0.005)
    return code


def test_a_cell_runs_its_plan_with_its_share_of_the_cores(
    monkeypatch: pytest.MonkeyPatch, study: StudyPlan, tmp_path: Path
) -> None:
    for process in started(monkeypatch, study, tmp_path, SHOWS, gpus=0):
        assert ended(process) == 0
    said = StudyFolder(tmp_path).log("refined/0").read_text()
    run = tmp_path / "cells" / "refined" / "seed-0"
    assert said == f"4 None {['run', str(run / 'plan.json'), '--run-dir', str(run), '--local-code']}\n"


def test_several_runs_are_forked_where_there_is_no_gpu_and_each_has_one_process(
    monkeypatch: pytest.MonkeyPatch, study: StudyPlan, tmp_path: Path
) -> None:
    class Server:
        pid: int | None

        def __init__(self, environment: Mapping[str, str]) -> None:
            assert environment["OMP_NUM_THREADS"] == "4"

        def wait_for_imports(self) -> None: ...

        def start(self, words: Sequence[str], log: Path) -> int | None:
            return self.pid

    monkeypatch.setattr(cell_process, "ForkServer", Server)
    plan = study.cells[0].plan
    spread = replace(plan, distributed={**plan.distributed, "processes": 2})
    for several, gpus, its, can, forks in (
        (True, 0, plan, True, True),
        (True, 0, plan, False, False),
        (True, 0, spread, True, False),
        (True, 1, plan, True, False),
        (False, 0, plan, True, False),
    ):
        Server.pid = 7 if can else None
        start = starter(monkeypatch, SHOWS, gpus=gpus, several=several)
        process = start(StudyFolder(tmp_path), tasks_of(study)[0], its)
        assert isinstance(process._process, ForkedCommand) == forks
        if not forks:
            assert ended(process) == 0


def test_nothing_is_forked_any_more_once_the_code_has_changed(
    monkeypatch: pytest.MonkeyPatch, study: StudyPlan, tmp_path: Path
) -> None:
    """The server holds what it has imported, and a run's manifest names the code that is there when it begins."""
    code, closed, imports = ["one"], [], ["while it imports"]

    class Server:
        def __init__(self, environment: Mapping[str, str]) -> None: ...

        def wait_for_imports(self) -> None:
            code.extend(imports)

        def start(self, words: Sequence[str], log: Path) -> int | None:
            return 7

        def close(self) -> None:
            closed.append(self)

    monkeypatch.setattr(cell_process, "ForkServer", Server)
    monkeypatch.setattr(cell_process, "code_on_disk", lambda packages: frozenset({(code[-1], 1, 1)}))
    task, plan, forks = tasks_of(study)[0], study.cells[0].plan, []
    start = starter(monkeypatch, SHOWS, gpus=0, several=True)

    def begin() -> None:
        process = start(StudyFolder(tmp_path), task, plan)
        forks.append(isinstance(process._process, ForkedCommand))
        assert forks[-1] or ended(process) == 0

    begin()  # what the server imports while the code changes may be of either
    assert forks == [False]
    start = starter(monkeypatch, SHOWS, gpus=0, several=True)
    imports.clear()
    begin()
    begin()
    for code[-1] in ("two", "while it imports"):
        begin()
    assert forks == [False, True, True, False, False]
    assert not closed, "the runs that have been forked go on"


def test_a_log_that_cannot_be_written_fails_its_cell_alone(
    monkeypatch: pytest.MonkeyPatch, study: StudyPlan, tmp_path: Path
) -> None:
    """As an error that the queue reports for this run, also where it would be forked."""
    folder, (task, other, *_) = StudyFolder(tmp_path), tasks_of(study)
    folder.log(task.name).mkdir(parents=True)
    for several in (False, True):
        start = starter(monkeypatch, SHOWS, gpus=0, several=several)
        with pytest.raises(UsageError, match=rf"{folder.log(task.name)} cannot be written: is a directory"):
            start(folder, task, study.cells[0].plan)
        start.close()
    assert ended(starter(monkeypatch, SHOWS, gpus=0)(folder, other, study.cells[0].plan)) == 0


NEEDS = """\
warning: a line of before
error: an error of before

error: 2 needs are not met on this machine
  package math-verify (for math_verify): not installed
    = help: pip install math-verify
  gpu any (for vllm): none
    = help: run it elsewhere

wandb: something else
"""
INVALID = """\
error[E0201]: unknown objective `marginal_nrs`
 --> spec.toml:3:7
  |
3 | use = "marginal_nrs"
  |       ^^^^^^^^^^^^^^ did you mean `marginal_nsr`?
  = help: `prerl-spec explain E0201` says more
"""
LONG = "error: 9 needs\n" + "".join(f"  need {number}\n" for number in range(9))


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            NEEDS,
            "error: 2 needs are not met on this machine; package math-verify (for math_verify): not installed; "
            "help: pip install math-verify; gpu any (for vllm): none; help: run it elsewhere",
        ),
        (
            INVALID,
            "error[E0201]: unknown objective `marginal_nrs`; at spec.toml:3:7; did you mean `marginal_nsr`?; "
            "help: `prerl-spec explain E0201` says more",
        ),
        (LONG, "error: 9 needs; need 0; need 1; need 2; need 3; …"),
        ("no error\nat all\n\n", "at all"),
        ("", "nothing was said"),
        (None, "its log cannot be read"),
    ],
    ids=["needs", "invalid", "long", "no error", "nothing", "no log"],
)
def test_the_cause_is_the_last_error_with_what_belongs_to_it(said: str | None, cause: str, tmp_path: Path) -> None:
    class Ended:
        pid, returncode = 1, 3

        def poll(self) -> int | None:
            return 3

        def send_signal(self, number: int) -> None: ...

    log = tmp_path / "log"
    if said is not None:
        log.write_text(f"error: an earlier try\n{said}")
    assert CellProcess(Ended(), log, len("error: an earlier try\n")).cause() == f"exit 3: {cause} ({log})"


def test_cells_that_run_at_once_see_a_gpu_each_and_a_signal_ends_them(
    monkeypatch: pytest.MonkeyPatch, study: StudyPlan, tmp_path: Path
) -> None:
    waiting = started(monkeypatch, study, tmp_path, WAITS)
    seen = [Path(f"/proc/{process._process.pid}/environ").read_bytes() for process in waiting[:2]]
    assert b"CUDA_VISIBLE_DEVICES=0" in seen[0]
    assert b"CUDA_VISIBLE_DEVICES=1" in seen[1]
    while "it waits" not in waiting[0]._log.read_text():
        time.sleep(0.005)
    for process in waiting:
        process.send(signal.SIGKILL)
        assert ended(process) == -signal.SIGKILL
    assert waiting[0].cause().startswith("killed by SIGKILL: error: it waits (")

"""Two nodes, each a mount namespace of its own: one run folder that both see, or one each. Needs root, or user namespaces."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from prerl_spec.engine.processes.shared_folder import require_shared
from prerl_spec.errors import EnvironmentUnmet
from tests.engine.runs import SPEC, steps_of
from tests.engine.test_launch import environment, events, free_port

EVALUATED = (
    SPEC + '\n[[evaluate]]\nuse = "holdout"\ndata = "train"\nlimit = 4\nmax_new_tokens = 8\nat = ["base", "end"]\n'
)


class Rank:
    """A rank among two without torch: what the other one says is given."""

    size = 2

    def __init__(self, rank: int, theirs: Sequence[object] = ()) -> None:
        self.rank = rank
        self.is_main = rank == 0
        self._theirs = theirs

    def gather(self, items: list[object]) -> list[object]:
        return items or list(self._theirs)

    def main_does(self, work: object, what: str) -> None:
        if self.is_main:
            work()  # type: ignore[operator]


def test_a_process_that_does_not_see_the_folder_is_named_on_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("prerl_spec.engine.processes.shared_folder.SECONDS_TO_APPEAR", 0.1)
    require_shared(tmp_path, Rank(0))  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir()), "the file is removed"
    with pytest.raises(
        EnvironmentUnmet, match=r"process 1 of 2, on .*, does not see what process 0 writes into"
    ) as caught:
        require_shared(tmp_path / "elsewhere", Rank(1, ["0123"]))  # type: ignore[arg-type]
    assert caught.value.exit_code == 3
    assert "file system that all nodes share" in str(caught.value.hint)


def can_unshare() -> bool:
    with suppress(OSError):
        return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0
    return False


@contextmanager
def nodes(folder: Path, *, shared: bool, seconds: float = 240.0) -> Iterator[list["subprocess.Popen[str]"]]:
    """`run` as two ranks; without `shared`, node 1 has a file system of its own where the runs are."""
    (folder / "runs").mkdir(exist_ok=True)
    port = str(free_port(21000, 40000))
    together = []
    for rank in range(2):
        own: Mapping[str, str] = {
            **environment(),
            "RANK": str(rank),
            "LOCAL_RANK": "0",
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }
        hidden = "mount -t tmpfs none runs && " if rank == 1 and not shared else ""
        line = f"{hidden}exec {sys.executable} -m prerl_spec run spec.toml"
        together.append(
            subprocess.Popen(
                ["unshare", "-m", "bash", "-c", line],
                cwd=folder,
                env=own,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    try:
        deadline = time.monotonic() + seconds
        for process in together:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
        yield together
    finally:
        for process in together:
            process.kill()


@pytest.mark.slow
@pytest.mark.skipif(not can_unshare(), reason="mount namespaces need root here")
def test_nodes_without_a_shared_run_folder_are_refused_and_with_one_they_run_and_resume(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(EVALUATED)
    begin = time.monotonic()
    with nodes(tmp_path, shared=False) as together:
        said = [process.communicate()[0] for process in together]
        assert [p.returncode for p in together] == [3, 3], said
    assert time.monotonic() - begin < 90
    for words in said:
        assert "process 1 of 2, on " in words
        assert "does not see what process 0 writes into runs/small" in words
        assert "put it on a file system that all nodes share" in words
        assert "Traceback" not in words
    with nodes(tmp_path, shared=True) as together:
        said = [process.communicate()[0] for process in together]
        assert [p.returncode for p in together] == [0, 0], said
    run = tmp_path / "runs" / "small"
    assert [s["global_step"] for s in steps_of(run)] == list(range(1, 9))
    assert len(events(run, "evaluate")) == 2
    assert not list(run.glob(".seen-by-all-*"))


@pytest.mark.slow
@pytest.mark.skipif(not can_unshare() or os.geteuid() != 0, reason="mount namespaces need root here")
def test_a_resume_whose_second_node_lost_the_shared_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "spec.toml").write_text(
        EVALUATED.replace('"reincarnate_after", steps = 3', '"reincarnate_after", steps = 300')
    )
    line = [sys.executable, "-m", "prerl_spec", "run", "spec.toml"]
    process = subprocess.Popen(line, cwd=tmp_path, env=environment(), stderr=subprocess.DEVNULL)
    run = tmp_path / "runs" / "small"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list((run / "checkpoints").glob("step-*")):
        time.sleep(0.1)
    process.terminate()
    assert process.wait(60) == 75
    with nodes(tmp_path, shared=False) as together:
        said = [one.communicate()[0] for one in together]
        assert [p.returncode for p in together] == [3, 3], said

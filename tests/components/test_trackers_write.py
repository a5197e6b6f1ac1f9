"""Trackers write below the run folder, under the names they were given."""

from pathlib import Path

import pytest
from accelerate.tracking import GeneralTracker
from prerl_components.trackers.tensorboard import Tensorboard
from prerl_components.trackers.wandb import Wandb

from prerl_spec.compiler.graph import Named
from prerl_spec.engine.record.tracking import Trackers
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.testing.laws import check_tracker


class Unwilling(GeneralTracker):  # type: ignore[misc]
    """A tracker whose service refuses."""

    name, requires_logging_directory, tracker = "unwilling", False, None

    def start(self) -> None:
        raise RuntimeError("nobody is logged in")


def test_tensorboard_obeys_the_laws(tmp_path: Path) -> None:
    check_tracker(Tensorboard(), tmp_path)
    assert list(tmp_path.glob("trackers/run/events.out.tfevents.*"))


def test_wandb_offline_obeys_the_laws(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    check_tracker(Wandb(project="mine"), tmp_path)
    assert list(tmp_path.glob("trackers/wandb/offline-run-*/run-*.wandb"))


def test_a_tracker_that_cannot_start_ends_the_run_with_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tensorboard, "accelerate_tracker", lambda self, name, folder: Unwilling(_blank=True))
    with pytest.raises(EnvironmentUnmet, match=r"cannot start \(tensorboard\): RuntimeError: nobody is logged in"):
        Trackers([Named("tensorboard", Tensorboard())], tmp_path, "run")


def test_wandb_is_offline_unless_asked_and_keeps_its_own_project(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    tracker = Wandb(project="mine").accelerate_tracker("run-7", tmp_path)
    assert tracker.run_name == "mine"
    assert tracker.init_kwargs == {"name": "run-7", "dir": str(tmp_path), "mode": "offline"}
    assert Wandb(mode="online").accelerate_tracker("run-7", tmp_path).init_kwargs["mode"] == "online"

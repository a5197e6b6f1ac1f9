"""Where batches come from: refills, faults of the verifier, and what a journal's replay decides."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from prerl_spec.errors import EnvironmentUnmet, RunFailed
from prerl_spec.storage.frames import FrameKind
from tests.engine import parity
from tests.engine.parity_parts import EverySecond, Parity
from tests.engine.runs import Heard, steps_of, weights_at
from tests.run_files import frames_of, groups_of

REFILLED = """
[[phases]]
id = "refine"
prompts_per_step = 4
updates_per_batch = 2
objective = "grpo"
schedule = { use = "fixed_steps", steps = 3 }
"""


def start(
    folder: Path, phases: str, listener: Heard | None = None, verifier: Parity | None = None, **more: Any
) -> Path:
    """A run in which every step takes three rounds, whatever is drawn."""
    return parity.start(folder, phases, listener, verifier, filters=(EverySecond(),), **more)


class Killed(BaseException):
    """What a SIGKILL would do: nothing is committed."""


@pytest.fixture(scope="module")
def refilled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return start(tmp_path_factory.mktemp("refilled"), REFILLED)


def same_end(one: Path, other: Path, step: int) -> bool:
    return all(torch.equal(weights_at(other, step)[n], t) for n, t in weights_at(one, step).items())


def test_dropped_groups_are_replaced_in_rounds_and_counted(refilled: Path) -> None:
    drawn = groups_of(refilled, 2)
    assert list(drawn) == [(0, 0), (0, 1), (0, 2), (0, 3), (1, 4), (1, 5), (2, 8)]
    assert len({(g.prompt.data, g.prompt.row) for g in drawn.values()}) == len(drawn)
    assert steps_of(refilled)[1]["metrics"]["groups_discarded"] == 3


@pytest.mark.parametrize("stage", ["verify", "train"])
def test_a_step_with_refills_is_replayed_to_the_same_bits(refilled: Path, tmp_path: Path, stage: str) -> None:
    class Dies(Heard):
        def tick(self, at: str, done: int, total: int) -> None:
            if at == stage and any(refill == 1 for refill, _ in groups_of(tmp_path / "runs" / "small", 2)):
                raise Killed

    with pytest.raises(Killed):
        start(tmp_path, REFILLED, Dies())
    assert same_end(refilled, start(tmp_path, REFILLED), 3)


def test_a_broken_verifier_stops_the_run_and_a_mended_one_judges_the_same_responses(
    refilled: Path, tmp_path: Path
) -> None:
    switch = tmp_path / "broken"

    def break_it(event: Mapping[str, Any]) -> None:
        if event.get("global_step") == 1:
            switch.touch()

    verifier = Parity(broken=str(switch))
    with pytest.raises(RunFailed, match="verifications ended in a timeout or an error"):
        start(tmp_path, REFILLED, Heard(break_it), verifier)
    with pytest.raises(RunFailed, match="verifications ended in a timeout or an error"):
        start(tmp_path, REFILLED, None, verifier)
    run = tmp_path / "runs" / "small"
    assert [e["global_step"] for e in steps_of(run)] == [1], "the step was not trained on"
    assert [frame.kind for frame in frames_of(run, 2)].count(FrameKind.REJECTION) == 2
    switch.unlink()
    start(tmp_path, REFILLED, None, verifier)
    assert same_end(refilled, run, 3)


def test_a_document_longer_than_the_model_is_named_and_never_cut(tmp_path: Path) -> None:
    pretrain = """
[[phases]]
id = "pretrain"
data = "corpus"
documents_per_step = 4
objective = "next_token"
schedule = { use = "fixed_steps", steps = 1 }
"""
    with pytest.raises(
        EnvironmentUnmet,
        match=r"4 documents are longer than the model's context of 64 tokens\n  corpus, row \d+: \d+ tokens",
    ):
        start(tmp_path, pretrain, corpus_steps=(6, 7))

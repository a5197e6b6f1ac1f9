"""More processes change who computes what, never what is computed; their gradients: tests/product/test_one_gradient.py."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.errors import EnvironmentUnmet
from tests.engine.forked_ranks import forked_ranks, torchrun
from tests.engine.runs import SPEC, start, weights_at
from tests.run_files import groups_of


@pytest.mark.parametrize("two", [forked_ranks, pytest.param(torchrun, marks=pytest.mark.slow)])
def test_a_spec_under_two_processes_draws_disjoint_prompts_and_stays_in_step(
    two: Callable[..., str], tmp_path: Path
) -> None:
    """New processes that a launcher joins by the same variables: tests/engine/test_launch.py."""
    (tmp_path / "spec.toml").write_text(SPEC)
    two("prerl_spec", "run", "spec.toml", "--set", 'trackers=["tensorboard"]', cwd=tmp_path)
    both, alone = tmp_path / "runs" / "small", start(tmp_path / "alone")
    for step in (4, 5, 6, 7, 8):
        groups = groups_of(both, step)
        assert sorted(groups) == [(0, slot) for slot in range(4)]
        assert len({g.prompt.row for g in groups.values()}) == 4, "no prompt twice in a step"
    # The first sampled step comes from weights that two processes have trained for three steps.
    drawn, expected = (_tokens(f, 4) for f in (both, alone))
    assert drawn == expected
    one, two = weights_at(alone, 3), weights_at(both, 3)
    for name, tensor in one.items():
        # Adam divides by the root of tiny squared gradients, which magnifies the rounding of sums in another order.
        torch.testing.assert_close(two[name], tensor, atol=1e-5, rtol=0)
    assert list((both / "trackers").rglob("events.out.tfevents.*")), (
        "a tracker that is finished leaves the processes joined"
    )


def _tokens(folder: Path, step: int) -> list[tuple[int, ...]]:
    return [a.tokens for _, group in sorted(groups_of(folder, step).items()) for a in group.attempts]


def test_a_spec_that_asks_for_more_processes_than_were_launched_is_refused() -> None:
    with pytest.raises(EnvironmentUnmet, match="2 processes are requested") as caught:
        Ranks.start(2)
    assert caught.value.hint == "use `prerl-spec run SPEC --processes 2`, or a launcher that sets RANK and WORLD_SIZE"


def test_a_launcher_whose_processes_are_not_connected_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ranks = Ranks.start()
    assert ranks.size == 1
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(EnvironmentUnmet, match="2 processes are requested, but Accelerate connects 1"):
        Ranks.start()

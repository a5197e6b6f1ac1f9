"""What plan says of `determinism = "invariant"`: the promise, its price, and passes that no number of processes changes."""

from pathlib import Path

import pytest

from prerl_spec.compiler.estimates.lanes import lane_notes, workers
from prerl_spec.compiler.render.render_plan import render_plan
from tests.compiler.specs import bent
from tests.compiler.test_plan import phase, planned

INVARIANT = ("[optimizer]", '[distributed]\ndeterminism = "invariant"\nprocesses = {}\n[optimizer]')


def test_only_powers_of_two_of_the_processes_share_an_update() -> None:
    assert [workers(n) for n in (1, 2, 3, 4, 7, 8, 64)] == [1, 2, 2, 4, 4, 8, 8]


@pytest.mark.parametrize(
    ("processes", "price"),
    [
        (1, "time and 3 gradients more in memory"),
        (4, "time and 1 gradient more in memory"),
        (8, "time and no memory"),
        (3, "2 of 3 processes share an update"),
    ],
)
def test_the_price_of_invariance_is_in_the_plan(tmp_path: Path, processes: int, price: str) -> None:
    key, table = INVARIANT
    plan = planned(tmp_path, bent((key, table.format(processes))))
    assert plan.notes[-len(list(lane_notes(processes))) :] == tuple(lane_notes(processes))
    assert price in " ".join(render_plan(plan).split())
    # 32 documents in 8 lanes of 4, which fit into a pass; 6 groups in 8 lanes of one at most.
    lanes = 8 // workers(processes)
    assert [phase(plan, name).passes_at_most for name in ("pretrain", "prune")] == [lanes, lanes]


def test_a_fast_plan_says_nothing_of_it(tmp_path: Path) -> None:
    assert not any("invariant" in note for note in planned(tmp_path).notes)

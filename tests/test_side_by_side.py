"""benchmarks/side_by_side.py: what it tells of measured turns, and that it refuses to compare what is not the same."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(autouse=True)
def sides_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS / "sides"))


def step(seconds: float, generated: int) -> dict[str, Any]:
    stages = {"sample": seconds / 4, "train": seconds / 2}
    return {"cpu": seconds, "stages": stages, "tokens": {"generated": generated}, "peak_mib": 512.0}


def cells(end: float) -> dict[str, str]:
    """The table's row of two turns, in which TRL has generated twice the tokens of ours."""
    import tables

    work = {"vocabulary": 51, "end": end, "response": 64, "prompts": 8, "group": 8}
    turns = [
        {"ours": step(2.0, 1000), "trl": step(3.0, 2000), "floor": step(1.0, 1000)},
        {"ours": step(3.0, 1000), "trl": step(6.0, 2000), "floor": step(1.0, 1000)},
    ]
    table = tables.show({"measured": [{"workload": work, "turns": turns}]}).splitlines()
    return dict(zip(*([c.strip() for c in line.split("|")] for line in (table[0], table[2])), strict=True))


def test_ratios_are_of_turns_and_at_natural_length_per_token() -> None:
    fixed, natural = cells(0.0), cells(1 / 32)
    assert fixed["ours"] == natural["ours"] == "2.5 (2–3)"
    assert fixed["ours: sample + train"] == "0.625 + 1.25"
    assert fixed["TRL / ours"] == "1.75", "of 1.5 and 2"
    assert natural["TRL / ours"] == "0.88", "half as much: TRL has generated twice the tokens"
    assert fixed["ours / floor"] == "2.50"
    assert fixed["before"] == fixed["NSR / GRPO"] == "–"


@pytest.mark.parametrize(
    ("theirs", "losses", "even", "agrees"),
    [
        (1.0005, (-0.08, -0.08004), False, True),
        (1.01, (-0.08, -0.08), False, False),
        (1.0, (-0.08, -0.0802), False, False),
        (1.0, (0.0, 1e-8), True, True),
        (1.0, (0.0, 1e-4), True, False),
        (1.0, (1e-4, 1e-4), True, False),
    ],
)
def test_nothing_is_measured_unless_loss_and_gradient_agree(
    theirs: float, losses: tuple[float, float], even: bool, agrees: bool, tmp_path: Path
) -> None:
    from parity import gradient_difference, require_parity

    gradient = torch.arange(1.0, 5.0)
    torch.save({"w": gradient}, tmp_path / "gradient.pt")
    torch.save({"w": gradient * theirs}, tmp_path / "trl_gradient.pt")
    difference = gradient_difference(tmp_path)
    assert difference == pytest.approx(abs(theirs - 1), rel=1e-2, abs=1e-9)
    if agrees:
        require_parity(difference, *losses, even=even)
    else:
        with pytest.raises(SystemExit, match="the sides compute different things"):
            require_parity(difference, *losses, even=even)


def test_losses_that_vanish_on_both_sides_show_nothing() -> None:
    from parity import require_parity

    with pytest.raises(SystemExit, match="shows nothing"):
        require_parity(0.0, 0.0, 0.0, even=False)


@pytest.mark.slow
def test_the_product_and_the_floor_take_turns() -> None:
    options = ["--vocabulary", "51", "--repeats", "1", "--only", "ours", "ours nsr", "floor"]
    command = [sys.executable, str(BENCHMARKS / "side_by_side.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("| 51, ")]
    assert len(table) == 2, "fixed and natural length"

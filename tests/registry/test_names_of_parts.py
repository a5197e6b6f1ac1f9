"""A part is called what the spec calls it, not by its class: in a plan, and in what is said of it in a run."""

import re
from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from prerl_spec.compiler.compile import check_spec
from prerl_spec.compiler.planning.planner import make_plan
from tests.registry.distributions import install
from tests.registry.test_slot_contracts import SPEC

MODULE = """
import numpy as np
from pydantic import Field
from prerl_spec.sdk import Advantage


class HalvedReward(Advantage):
    share: float = Field(0.5, description="factor")

    def advantage(self, batch):
        return np.full(len(batch.step.samples), np.nan)
"""


@pytest.fixture
def spec(site: Path) -> Path:
    install(site, "acme", {"advantage:acme.soft": "acme:HalvedReward"}, MODULE)
    parts = 'advantage = "acme.soft", selection = ["cov_mask"], correction = "mask"'
    (site / "spec.toml").write_text(SPEC.replace("SLOTS", parts).replace('plugins.files = ["mine.py"]\n', ""))
    return site / "spec.toml"


def test_a_plan_names_the_parts_of_a_point_as_the_spec_does(spec: Path) -> None:
    objective = make_plan(check_spec(spec)[0]).phases[0].objective
    assert objective.expansion["advantage"] == "acme.soft (share = 0.5)"
    assert objective.expansion["view"] == "conditional"
    assert objective.expansion["correction"].startswith("mask (")
    assert objective.expansion["selection"].startswith("cov_mask (")


def test_a_run_names_a_part_that_is_at_fault_as_the_spec_does(
    spec: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(spec.parent)
    assert main(["run", "spec.toml"]) == 5
    assert re.search(r"the advantage `acme\.soft` gives nan in `advantage` for prompt train", capsys.readouterr().err)

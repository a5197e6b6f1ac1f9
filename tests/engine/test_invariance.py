"""`determinism = "invariant"`: one result on any number of processes, bit for bit (guarantee G14)."""

import hashlib
import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from prerl_components.objectives.presets.pretrain_space import MarginalPg

from prerl_spec.compiler.estimates.lanes import LANES, workers
from prerl_spec.engine.policy.packing import pack_shares
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.work_split import Division, LaneTree, add_in_pairs
from prerl_spec.needs import View
from prerl_spec.views import Conditional
from tests.engine.forked_ranks import forked_ranks
from tests.engine.parity import HEAD
from tests.engine.runs import start, steps_of
from tests.engine.steps import gradient_of, make_trainer, random_step, tiny_policy
from tests.run_files import groups_of

INVARIANT = 'distributed = { determinism = "invariant" }\n'
PHASES = """
[[evaluate]]
use = "holdout"
data = "train"
limit = 5
samples = 2
at = ["phases", "end"]

[[phases]]
id = "pretrain"
data = "corpus"
documents_per_step = 11
objective = "next_token"
schedule = { use = "fixed_steps", steps = 3 }

[[phases]]
id = "prune"
prompts_per_step = 5
objective = { use = "marginal_nsr", advantage = "minus_one" }
schedule = { use = "reincarnate_after", steps = 2 }

[[phases]]
id = "refine"
prompts_per_step = 6
updates_per_batch = 2
schedule = { use = "fixed_steps", steps = 2 }
[phases.objective]
use = "weighted_sum"
terms = [{ use = "marginal_pg", advantage = "minus_one" }, { use = "kl", coefficient = 0.5 }]
"""


def outcome(folder: Path, processes: int) -> dict[str, Any]:
    """Hashes of the last checkpoint's tensors, every step's metrics, every score and every sampled token of a run."""
    text = HEAD.replace("spec = 1\n", f"spec = 1\n{INVARIANT}") + PHASES
    if processes == 1:
        run = start(folder, text)
    else:
        folder.mkdir()
        (folder / "spec.toml").write_text(text)
        forked_ranks("prerl_spec", "run", "spec.toml", cwd=folder, processes=processes)
        run = folder / "runs" / "small"
    last = run / "checkpoints" / "step-000007"
    scores = json.loads((run / "scores.json").read_text())
    steps = sorted(int(file.stem.removeprefix("step-")) for file in (run / "journal").glob("step-*.journal"))
    return {
        "tensors": {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(last.rglob("*.safetensors"))},
        "metrics": [step["metrics"] for step in steps_of(run)],
        "scores": [(s["phase"], s["task"], s["metric"], s["value"], s["low"], s["high"]) for s in scores],
        "journal": [list(groups_of(run, step).items()) for step in steps],
    }


def test_one_and_two_processes_end_with_the_same_weights_moments_metrics_and_scores(tmp_path: Path) -> None:
    alone, both = outcome(tmp_path / "one", 1), outcome(tmp_path / "two", 2)
    assert len(alone["tensors"]) >= 3, "model, moments, reference"
    assert len(alone["scores"]) >= 3
    assert alone["journal"]
    assert both == alone


@pytest.mark.slow
@pytest.mark.parametrize("processes", [3, 4])
def test_more_processes_end_with_the_same_as_one(tmp_path: Path, processes: int) -> None:
    assert outcome(tmp_path / "many", processes) == outcome(tmp_path / "one", 1)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 11])
def test_every_lane_has_one_rank_and_ranks_that_work_have_equally_many(size: int) -> None:
    lanes = [Division.in_lanes(rank, size).mine for rank in range(size)]
    assert [lane for mine in lanes for lane in mine] == list(range(LANES))
    assert {len(mine) for mine in lanes[: workers(size)]} == {LANES // workers(size)}


@pytest.mark.parametrize("size", [2, 3, 4, 8])
def test_the_tree_gives_one_sum_however_many_ranks_make_it(size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    lanes = [torch.randn(99, generator=generator) for _ in range(LANES)]

    def total(ranks: int) -> torch.Tensor:
        parts = []
        for rank in range(workers(ranks)):
            tree = LaneTree()
            for lane in Division.in_lanes(rank, ranks).mine:
                tree.add([lanes[lane].clone()])
            found = tree.take()
            assert found is not None
            parts += found
        return add_in_pairs(parts)

    assert torch.equal(total(size), total(1))
    one_by_one = sum(lanes, torch.zeros(99))
    assert not torch.equal(one_by_one, total(1))
    torch.testing.assert_close(total(1), one_by_one)


def test_lanes_hold_every_sample_once_and_pack_alike_whoever_packs_them() -> None:
    step = random_step(13, 3)
    views: dict[View, range] = {Conditional(): range(len(step.samples))}
    whole: dict[int, list[tuple[int, ...]]] = {}
    for size, rank in product((1, 2, 4), range(4)):
        if rank < size:
            packed = pack_shares(step, views, tiny_policy().codec, Division.in_lanes(rank, size), tokens_per_pass=80)
            for lane, passes in packed.items():
                samples = [one.sample_ids for one in passes]
                assert whole.setdefault(lane, samples) == samples
    assert sorted(s for passes in whole.values() for samples in passes for s in samples) == list(range(39))


def test_lanes_give_the_gradient_of_one_share_up_to_rounding() -> None:
    step, policy = random_step(13, 3), tiny_policy()
    plain = gradient_of(make_trainer(policy, MarginalPg()), step)
    in_lanes = gradient_of(make_trainer(policy, MarginalPg(), ranks=Ranks.start(invariant=True)), step)
    assert plain.norm() > 0
    # Sums of fp32 in another order.
    torch.testing.assert_close(in_lanes, plain, atol=1e-6, rtol=1e-5)

"""What chance hangs on: names that never change, and runs that draw the same in a phase whatever came before it."""

import json
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from prerl_spec.compiler.build_graph import build_graph
from prerl_spec.compiler.compile import compile_spec, read_plan
from prerl_spec.engine.batches.cursor import Cursor, draw_places, shares
from prerl_spec.engine.batches.source import Rollouts
from prerl_spec.engine.inspect.replay import replay
from prerl_spec.engine.processes.seeds import named_seed
from prerl_spec.engine.processes.streams import Streams
from prerl_spec.errors import Interrupted
from prerl_spec.testing.steps import made_step
from prerl_spec.types import Generation
from tests.engine.runs import SPEC, Heard, start, steps_of, weights_at
from tests.run_files import groups_of

HEAD = (
    SPEC.partition("[[phases]]")[0]
    .replace('output_dir = "runs" }', 'output_dir = "runs", streams = "phase" }')
    .replace("every = 2", "every = 100")
    .replace("num_hidden_layers = 2", "num_hidden_layers = 1")
    .replace("[model]\n", "[model]\nseed = 7\n")
    .replace("[data]\n", '[data]\nhard = { use = "arithmetic_chains", part = "hard" }\n')
)
REFINE = """
[[phases]]
id = "refine"
data = { train = 0.5, hard = 0.5 }
prompts_per_step = 4
objective = { use = "marginal_pg", advantage = "minus_one" }
schedule = { use = "fixed_steps", steps = 2 }
"""
WARM = """
[[phases]]
id = "warm"
prompts_per_step = 2
objective = { use = "marginal_nsr", advantage = "minus_one" }
schedule = { use = "fixed_steps", steps = 3 }
"""
IDLE = """
[[phases]]
id = "idle"
prompts_per_step = 2
updates_per_batch = 2
objective = "nothing"
schedule = { use = "fixed_steps", steps = 5 }
"""
SPENT = IDLE.replace('"idle"', '"spent"').replace(
    '{ use = "fixed_steps", steps = 5 }', '{ use = "reincarnate_after", tokens = 30 }'
)
"""Ends with the step that reaches 30 generated tokens: 2 × 4 responses of at most 12 tokens take one or two."""


@dataclass(frozen=True)
class Arm:
    """A finished run, and what its sampler was asked in each phase's steps: (context, seeds) of each request."""

    folder: Path
    asked: Mapping[str, list[list[tuple[tuple[int, ...], tuple[int, ...]]]]]

    def first_step(self, phase: str) -> dict[str, Any]:
        return next(e for e in steps_of(self.folder) if e["phase"] == phase)

    def moments_at(self, global_step: int) -> dict[str, torch.Tensor]:
        file = self.folder / "checkpoints" / f"step-{global_step:06d}" / "trainer" / "optimizer.safetensors"
        return load_file(file) if file.exists() else {}


def arm(folder: Path, text: str) -> Arm:
    asked: dict[str, list[Any]] = {}
    generate = Rollouts._generate

    def noting(self: Rollouts, requests: Any, *rest: Any) -> list[list[Generation]]:
        asked.setdefault(self.phase.id, []).append([(r.context, r.seeds) for r in requests])
        return generate(self, requests, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rollouts, "_generate", noting)
        return Arm(start(folder, text), asked)


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Arm]:
    """Warm-ups of 0, 3 and 5 steps; the longest takes no update."""
    texts = {0: HEAD + REFINE, 3: HEAD + WARM + REFINE, 5: HEAD + IDLE + REFINE + SPENT}
    return {steps: arm(tmp_path_factory.mktemp(f"arm{steps}"), text) for steps, text in texts.items()}


def test_global_names_are_those_of_every_run_so_far() -> None:
    """A run that an earlier version began goes on with them."""
    at = Streams(17).of_step("prune", 3, 653)
    assert at.sample(1, 5, 2) == named_seed(17, "prune", 653, 1, 5, 2)
    assert at.order("train", 4) == named_seed(17, "order", "train", 4)
    assert at.dropout(1) == named_seed("prune", 653, 1)
    generator = np.random.Generator(np.random.Philox(named_seed(17, "mixture", "prune", 653, 1)))
    assert at.mixture(1).random() == generator.random()
    assert at.sample(1, 5, 2) == 5736185954328940200


def test_names_of_a_phase_do_not_hang_on_what_came_before_it() -> None:
    late, early = (Streams(17, "phase").of_step("refine", 2, before + 2) for before in (650, 0))
    assert late.sample(0, 1, 2) == early.sample(0, 1, 2) == named_seed(17, "phase", "refine", 2, 0, 1, 2)
    assert late.order("train", 0) == early.order("train", 0) == named_seed(17, "order", "refine", "train", 0)
    assert late.dropout(0) == early.dropout(0)
    assert late.mixture(1).random() == early.mixture(1).random()


@pytest.mark.parametrize("kind", ["global", "phase"])
def test_what_is_drawn_for_another_purpose_is_another_number(kind: Any) -> None:
    seeds: list[int] = []
    for run in (1, 2):
        for phase in ("prune", "refine"):
            for step in (1, 2):
                at = Streams(run, kind).of_step(phase, step, step + (0 if phase == "prune" else 2))
                seeds += [at.sample(refill, slot, k) for refill in (0, 1) for slot in (0, 1) for k in (0, 1)]
                seeds += [int(at.mixture(refill).integers(1 << 62)) for refill in (0, 1)]
    assert len(set(seeds)) == len(seeds)
    orders = [Streams(1, kind).of_step("refine", 1, 1).order(data, epoch) for data in ("a", "b") for epoch in (0, 1)]
    assert len(set(orders)) == 4
    first, later = (Streams(1, kind).of_step("refine", 1, 1).dropout(update) for update in (0, 1))
    assert first != later


def test_a_phase_has_orders_of_its_own_and_global_ones_are_those_of_all() -> None:
    def epoch(kind: Any, phase: str) -> list[int]:
        streams = Streams(1, kind).of_step(phase, 1, 1)
        return draw_places(Cursor.start(), "train", 12, size=12, streams=streams)[0]

    assert epoch("global", "prune") == epoch("global", "refine")
    assert epoch("phase", "prune") != epoch("phase", "refine")
    assert sorted(epoch("phase", "prune")) == list(range(12))


def test_a_component_draws_by_the_number_that_the_streams_of_the_run_count() -> None:
    step = replace(made_step([[1.0, 0.0]]), step=2, global_step=652)
    assert (step.stream, replace(step, streams="phase").stream) == (652, 2)
    assert {part.stream for part in replace(step, streams="phase").split(1)} == {2}


def test_arms_with_other_warm_ups_meet_the_same_prompts_and_seeds(arms: dict[int, Arm]) -> None:
    assert [arms[n].first_step("refine")["global_step"] for n in (0, 3, 5)] == [1, 4, 6]
    for steps in (3, 5):
        assert arms[steps].asked["refine"] == arms[0].asked["refine"]
    drawn = [[groups_of(arms[n].folder, n + step) for step in (1, 2)] for n in (0, 3, 5)]
    prompts = [[[group.prompt for _, group in sorted(step.items())] for step in of_arm] for of_arm in drawn]
    assert prompts[0] == prompts[1] == prompts[2]
    assert {prompt.data for step in prompts[0] for prompt in step} == {"train", "hard"}, "the mixture is drawn, too"


def test_arms_whose_weights_agree_sample_the_same_tokens_and_go_the_same_way(arms: dict[int, Arm]) -> None:
    """A warm-up that takes no update leaves no trace: the same groups, metrics and weights, to the last bit."""
    for step in (1, 2):
        assert groups_of(arms[0].folder, step) == groups_of(arms[5].folder, step + 5)
    here, there = ([e for e in steps_of(arms[n].folder) if e["phase"] == "refine"] for n in (0, 5))
    for first, second in zip(here, there, strict=True):
        assert first["metrics"] == second["metrics"]
        assert first["hashes"]["weights"] == second["hashes"]["weights"]
    assert here[0]["hashes"]["weights"] != arms[3].first_step("refine")["hashes"]["weights"]


def test_an_idle_phase_pays_for_its_samples_and_moves_nothing(arms: dict[int, Arm]) -> None:
    folder = arms[5].folder
    idle = [e for e in steps_of(folder) if e["phase"] in ("idle", "spent")]
    assert all((e["updates"], e["applied"], e["tokens"]["trained"]) == (0, 0, 0) for e in idle)
    assert all(e["metrics"][key] == 0 for e in idle for key in ("parameters_moved", "grad_norm", "loss"))
    assert all(e["tokens"]["generated"] >= 8 and e["seconds"]["sample"] > 0 for e in idle)
    assert len({e["hashes"]["weights"] for e in idle[:5]}) == 1
    assert not arms[5].moments_at(5)
    last = idle[-1]["global_step"]
    assert all(torch.equal(tensor, weights_at(folder, last)[name]) for name, tensor in weights_at(folder, 7).items())
    before, after = arms[5].moments_at(7), arms[5].moments_at(last)
    assert before.keys() == after.keys() != set()
    assert all(torch.equal(before[name], after[name]) for name in before)
    states = (
        json.loads((folder / "checkpoints" / f"step-{n:06d}" / "trainer" / "state.json").read_text()) for n in (7, last)
    )
    assert len({state["updates"] for state in states}) == 1


def test_a_token_budget_counts_what_an_idle_phase_generates(arms: dict[int, Arm]) -> None:
    tokens = [e["tokens"]["generated"] for e in steps_of(arms[5].folder) if e["phase"] == "spent"]
    assert sum(tokens[:-1]) < 30 <= sum(tokens)


def test_an_interrupted_run_goes_on_in_the_streams_of_its_phase(arms: dict[int, Arm], tmp_path: Path) -> None:
    def interrupt(event: Mapping[str, Any]) -> None:
        if event["event"] == "step" and event["global_step"] == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        start(tmp_path, HEAD + WARM + REFINE, Heard(interrupt))
    again = arm(tmp_path, HEAD + WARM + REFINE)
    assert again.asked == {"refine": arms[3].asked["refine"][1:]}
    for name, tensor in weights_at(arms[3].folder, 5).items():
        assert torch.equal(weights_at(again.folder, 5)[name], tensor), name


def test_a_step_of_a_later_phase_is_replayed_with_equal_results(arms: dict[int, Arm]) -> None:
    graph = build_graph(read_plan(arms[3].folder / "plan.json"), "")
    assert graph.run.streams == "phase"
    found = replay(graph, arms[3].folder, 5, Heard())
    assert [step.global_step for step in found.steps] == [4, 5]
    assert found.is_equal


def test_seeds_of_a_run_over_one_base_have_its_weights_and_other_streams(arms: dict[int, Arm], tmp_path: Path) -> None:
    one, other = arms[5], arm(tmp_path, (HEAD + IDLE).replace("seed = 3", "seed = 4").replace("steps = 5", "steps = 1"))
    first, second = (run.first_step("idle")["hashes"]["weights"] for run in (one, other))
    assert first == second
    (mine, *_), (theirs,) = one.asked["idle"], other.asked["idle"]
    assert {context for context, _ in mine} != {context for context, _ in theirs}
    assert not {s for _, seeds in mine for s in seeds} & {s for _, seeds in theirs for s in seeds}
    seeds = json.loads((other.folder / "manifest.json").read_text())["seeds"]
    assert (seeds["run"], seeds["model"]) == (4, 7)


def test_the_digest_of_a_run_holds_its_streams_and_its_base_where_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "spec.toml"
    file.write_text(SPEC.replace('part = "easy", ', "").replace("exact_match", "math_verify"))
    plan = compile_spec(file).plan
    assert plan.digest == "afa8772d6104dcaa0ec4611182e8eb8bdf2c05248be3d6848f8f8437e70ca535", (
        "runs of earlier versions have this digest"
    )
    assert "streams" not in plan.as_json()
    assert "seed" not in plan.model.settings
    assert "run.streams" not in {value.path for value in plan.values}


def test_a_mixture_is_drawn_again_in_each_round() -> None:
    at = Streams(1, "phase").of_step("refine", 1, 1)
    drawn = [shares({"math": 0.5, "code": 0.5}, 40, streams=at, refill=refill) for refill in (0, 1)]
    assert drawn[0] != drawn[1]

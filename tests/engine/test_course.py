"""What a run carries from step to step: scores for its schedule, a reference, an extension that was cut short."""

import gc
import json
import os
import resource
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from prerl_spec.engine.record.events import read_events
from prerl_spec.engine.run.position import Position
from prerl_spec.errors import Interrupted, RunFailed
from tests.engine import runs
from tests.engine.parity import start
from tests.engine.runs import SPEC, Heard, steps_of, weights_at

CURVE = """
[[evaluate]]
use = "holdout"
data = "train"
verifier = "exact_match"
max_new_tokens = 1
limit = 2
every = 2
at = ["end"]

[[phases]]
id = "refine"
prompts_per_step = 2
objective = { use = "marginal_nsr", advantage = "minus_one" }
schedule = { use = "until_plateau", metric = "train/avg@1", patience = 3, steps = 9 }
"""

HANDED_OVER = """
[[phases]]
id = "warm"
prompts_per_step = 2
objective = { use = "marginal_nsr", advantage = "minus_one" }
schedule = { use = "reincarnate_after", steps = 2, reference = "HOW" }

[[phases]]
id = "refine"
prompts_per_step = 2
updates_per_batch = 2
schedule = { use = "fixed_steps", steps = 3 }
[phases.objective]
use = "weighted_sum"
terms = [{ use = "marginal_nsr", advantage = "minus_one" }, { use = "kl", coefficient = 0.5 }]
"""


def interrupted_at(step: int) -> Heard:
    def interrupt(event: Mapping[str, Any]) -> None:
        if event["event"] == "step" and event["global_step"] == step:
            os.kill(os.getpid(), signal.SIGINT)

    return Heard(interrupt)


def same_end(one: Path, other: Path, step: int) -> bool:
    return all(torch.equal(weights_at(other, step)[n], t) for n, t in weights_at(one, step).items())


class Killed(BaseException):
    """What a SIGKILL would do: nothing is committed."""


def test_a_score_counts_for_a_plateau_once_when_it_is_new_and_after_a_kill_too(tmp_path: Path) -> None:
    """Scored after steps 2, 4 and 6, heard at 3, 5 and 7: flat for 3 steps at step 7, where a score is heard, and not
    at step 6, where none is. No box fits in one token: every score is 0, whatever is drawn."""
    assert [e["global_step"] for e in steps_of(start(tmp_path / "whole", CURVE))] == list(range(1, 8))

    class Dies(Heard):
        def tick(self, stage: str, done: int, total: int) -> None:
            if stage == "train" and self.events[-1].get("global_step") == 6 and self.events[-1]["event"] == "evaluate":
                raise Killed

    with pytest.raises(Killed):
        start(tmp_path / "killed", CURVE, Dies(), checkpoint_every=50)
    again = start(tmp_path / "killed", CURVE)
    assert [e["global_step"] for e in steps_of(again)] == list(range(1, 8))
    repeated = [e["global_step"] for e in read_events(again / "events.jsonl") if e["event"] == "repeat"]
    assert repeated == list(range(1, 7)), "every step stands in the file once, and what was taken again is told"


@pytest.mark.parametrize(("how", "step"), [("resync", 3), ("keep", 2)])
def test_a_reference_of_tied_weights_is_handed_over_and_comes_back_after_an_interrupt(
    tmp_path: Path, how: str, step: int
) -> None:
    phases = HANDED_OVER.replace("HOW", how)
    whole = start(tmp_path / "whole", phases)
    with pytest.raises(Interrupted):
        start(tmp_path / "cut", phases, interrupted_at(step))
    assert same_end(whole, start(tmp_path / "cut", phases), 5)


def test_a_spec_without_phases_scores_the_model_as_base_whatever_its_evaluators_wait_for(tmp_path: Path) -> None:
    score = '[[evaluate]]\nuse = "holdout"\ndata = "train"\nlimit = 2\n'
    run = start(tmp_path, f'{score}at = ["phases"]\n{score}samples = 2\nat = ["base", "end"]\n')
    scores = json.loads((run / "scores.json").read_text())
    assert {(s["phase"], s["global_step"]) for s in scores} == {("base", 0)}
    assert {s["metric"] for s in scores} >= {"avg@1", "avg@2"}


def test_an_evaluators_own_verifier_reads_the_gold_answers_that_it_alone_judges(tmp_path: Path) -> None:
    """`\\frac{` is no mathematics for the top-level math_verify, and a text like any other for exact_match."""
    (tmp_path / "rows.jsonl").write_text(json.dumps({"question": "1 2", "answer": "\\frac{"}) + "\n")
    text = SPEC[: SPEC.index("[[phases]]")].replace("[data]", '[data]\nheld = { use = "jsonl", path = "rows.jsonl" }')
    text = text.replace("exact_match", "math_verify")
    run = runs.start(tmp_path, f'{text}[[evaluate]]\nuse = "holdout"\ndata = "held"\nverifier = "exact_match"\n')
    assert {s["task"] for s in json.loads((run / "scores.json").read_text())} == {"held"}


LEARNING = "".join(
    f"""
[[phases]]
id = "{name}"
data = "corpus"
documents_per_step = 2
objective = "next_token"
schedule = {{{{ {schedule} }}}}
optimizer = {{{{ use = "adamw", lr = 1.0, lr_schedule = "linear", warmup_steps = 2 }}}}
"""
    for name, schedule in (
        ("warm", "{first}"),
        ("middle", 'use = "fixed_steps", steps = 2, lr_schedule = "{then}"'),
        ("late", 'use = "fixed_steps", steps = 2'),
    )
)
FOUR = 'use = "fixed_steps", steps = 4'
CARRY = ', lr_schedule = "carry"'
FLAT = 'use = "until_plateau", metric = "lr", patience = 1, steps = 4'


@pytest.mark.parametrize(
    ("first", "then", "eighths"),
    [
        (FOUR, "restart", [4, 8, 8, 4, 4, 8, 4, 8]),
        (FOUR + CARRY, "restart", [4, 8, 8, 6, 4, 2, 4, 8]),
        (FOUR + CARRY, "carry", [4, 8, *(8 * k / 6 for k in (6, 5, 4, 3, 2, 1))]),
        (FLAT + CARRY, "restart", [4, 8, 8, 6, 4, 4, 8]),
    ],
)
def test_a_carried_learning_rate_is_one_course_over_all_its_phases(
    tmp_path: Path, first: str, then: str, eighths: list[float]
) -> None:
    """Up in two steps, then down over the planned steps of all phases of the course: a boundary makes no jump, not even
    behind a phase that ends early."""
    run = start(tmp_path, LEARNING.format(first=first, then=then))
    assert [e["metrics"]["lr"] * 8 for e in steps_of(run)] == pytest.approx(eighths)


def test_only_a_phase_that_has_used_its_steps_up_goes_on_when_it_gets_more() -> None:
    spent = Position(step=5, over=True, spent=True)
    assert not spent.reopened(6).over
    assert spent.reopened(5).over
    assert Position(step=4, over=True).reopened(9).over, "it ended on a plateau"


@pytest.mark.parametrize("bytes_left", [200, 20_000])
def test_a_full_disk_ends_the_run_with_words_and_costs_no_committed_step(tmp_path: Path, bytes_left: int) -> None:
    """No file grows beyond some bytes after step 3: the event of step 4, or the weights of its checkpoint."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(event: Mapping[str, Any]) -> None:
        if event["event"] == "step" and event["global_step"] == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_left, limits[1]))

    phases = CURVE[CURVE.index("[[phases]]") :].replace("train/avg@1", "lr")
    try:
        with pytest.raises(RunFailed, match="cannot be written") as caught:
            start(tmp_path, phases, Heard(fill))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "free space" in str(caught.value.hint)
    run = tmp_path / "runs" / "small"
    assert [f.name for f in (run / "checkpoints").iterdir()] == ["step-000002"]
    assert start(tmp_path, phases) == run
    assert steps_of(run)[-1]["global_step"] == 4


def test_moments_that_a_phase_inherits_are_held_once(tmp_path: Path) -> None:
    """At a step's end: the embedding, its two moments, and nobody's copy of them."""
    held: dict[str, int] = {}

    def count(event: Mapping[str, Any]) -> None:
        if event["event"] == "step" and event["step"] == 2:
            gc.collect()
            tensors = [t for t in gc.get_objects() if type(t) in (torch.Tensor, torch.nn.Parameter)]
            held[event["phase"]] = len({t.data_ptr() for t in tensors if t.ndim == 2 and t.shape[1] == 24})

    runs.start(tmp_path, SPEC.replace("hidden_size = 32", "hidden_size = 24"), Heard(count))
    assert held["pretrain"] == held["prune"] == held["refine"] > 0

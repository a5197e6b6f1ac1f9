"""The display: one live line on a terminal, at most one line a step elsewhere, and an honest time left."""

import io
import os
import random
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prerl_components.evaluators.holdout import Holdout
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.token_losses.next_token import NextToken
from prerl_components.optimizers.adamw import Adamw
from prerl_components.schedules.fixed_steps import FixedSteps

from prerl_spec.compiler.graph import Checkpointing, Cut, Distributed, Graph, Named, Phase, RunSettings
from prerl_spec.engine.record.events import Listener
from prerl_spec.report.terminal.progress import Progress
from tests.report.runs import evaluation, score, step_event


class Terminal(io.StringIO):
    """A stream that claims to be a terminal; `screen` is what a person would see in the end."""

    def isatty(self) -> bool:
        return True

    @property
    def screen(self) -> list[str]:
        lines: list[str] = []
        for line in re.sub(r"\x1b\[\d*m", "", self.getvalue()).split("\n"):
            cells: list[str] = []
            for piece in line.split("\r"):
                cells[: len(piece)] = piece
            lines.append("".join(cells).rstrip())
        return lines


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def a_phase(name: str, steps: int, *, documents: bool = False) -> Phase:
    objective = Named("next_token", NextToken()) if documents else Named("grpo", Grpo())
    return Phase(
        id=name,
        data={"train": 1.0},
        prompts_per_step=None if documents else 16,
        documents_per_step=32 if documents else None,
        updates_per_batch=1,
        tokens_per_pass=4096,
        objective=objective,
        schedule=Named("fixed_steps", FixedSteps(steps=steps)),
        optimizer=Named("adamw", Adamw(lr=1e-3)),
        sampler=None,
        verifier=None,
    )


@pytest.fixture
def graph() -> Graph:
    return Graph(
        run=RunSettings("quickstart", 0, Path("runs")),
        model=Named("from_scratch", None),
        data={},
        phases=(a_phase("pretrain", 60, documents=True), a_phase("refine", 45)),
        evaluators=(Named("holdout", Holdout(data="heldout", every=20)),),
        trackers=(),
        distributed=Distributed(),
        checkpoint=Checkpointing(),
        reference=None,
        sampler=None,
        verifier=None,
        digest="",
        plan={},
        spec_text="",
        spec_file="",
    )


def steps_of(phase: str, count: int) -> Iterator[dict[str, object]]:
    draw = random.Random(0)
    for step in range(1, count + 1):
        yield step_event(phase, step, step, draw)


def begin_of(phase: str) -> dict[str, object]:
    return {"event": "phase", "phase": phase, "state": "begin", "global_step": 0}


def test_it_is_a_listener_of_the_engine() -> None:
    listener: Listener = Progress(io.StringIO())
    listener.close()


def test_a_terminal_shows_one_live_line_below_permanent_ones(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    stream, clock = Terminal(), Clock()
    progress = Progress(stream, clock=clock)
    progress.begin(graph)
    progress.event(begin_of("refine"))
    for event in steps_of("refine", 7):
        clock.now += 1
        progress.tick("sample", 64, 128)
        progress.event(event)
    clock.now += 1
    progress.tick("train", 1, 2)
    head, begins, live = stream.screen
    assert head == "[0:00:00] quickstart: pretrain (60 steps) -> refine (45 steps)"
    assert begins == "[0:00:00] refine begins: 45 steps, grpo"
    assert live.startswith("refine 7/45 train 1/2  reward 0.")
    assert re.search(r"right \d+%  39\.9 s left  5810 tok/s  length 4\d$", live)


def test_a_run_that_a_budget_ends_shows_how_much_of_it_is_spent_and_how_long_the_rest_takes(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    stream, clock = Terminal(), Clock()
    progress = Progress(stream, clock=clock)
    progress.begin(replace(graph, cut=Cut("generated_tokens", 400_000, before=1_000)))
    assert stream.screen[0].endswith("-> refine (45 steps), until 400,000 generated tokens")
    progress.event({"event": "resume", "global_step": 20, "from_checkpoint": "step-000020", "taken": 100_000})
    progress.event(begin_of("refine"))
    for event in steps_of("refine", 46):
        clock.now += 1
        progress.event({**event, "tokens": {"generated": 6_000, "trained": 5_000}})
    # 46 steps of 6,000 tokens; the rest is 4 steps of 1.05 s, whatever the schedule would say.
    assert re.match(r"refine 46  reward 0\.\d+  right \d+%  budget 94%  4\.2 s left", stream.screen[-1])
    progress.event({"event": "cut", "match": "generated_tokens", "budget": 400_000.0, "reached": 406_000})
    assert "cut at 406,000 generated tokens: the study's budget is 400,000" in stream.getvalue()


def test_a_narrow_terminal_loses_whole_parts_from_the_end(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    progress = Progress(stream, clock=Clock())
    progress.begin(graph)
    progress.event(next(steps_of("refine", 1)))
    assert re.fullmatch(r"refine 1/45  reward 0\.\d{3}  right \d+%", stream.screen[-1])


def test_a_step_that_applied_no_update_says_so(graph: Graph) -> None:
    stream = io.StringIO()
    progress = Progress(stream, clock=Clock())
    progress.begin(graph)
    for event in steps_of("refine", 2):
        progress.event({**event, "applied": 0} if event["step"] == 2 else event)
    _, updated, idle = stream.getvalue().splitlines()
    assert "no update" not in updated
    assert "refine 2/45  no update: no token has weight  reward 0." in idle


def test_the_live_line_goes_when_the_run_ends(graph: Graph) -> None:
    stream = Terminal()
    progress = Progress(stream, clock=Clock())
    progress.begin(graph)
    progress.tick("sample", 1, 2)
    assert stream.screen[-1] == "sample 1/2"
    progress.end("done: runs/quickstart")
    progress.close()
    assert stream.screen[1:] == ["[0:00:00] done: runs/quickstart", ""]


def test_the_first_step_of_a_phase_is_known_by_its_phase(graph: Graph) -> None:
    stream = Terminal()
    progress = Progress(stream, clock=Clock())
    progress.begin(graph)
    progress.event(begin_of("refine"))
    progress.tick("sample", 8, 128)
    assert stream.screen[-1] == "refine 0/45 sample 8/128"


def test_evaluation_ahead_is_part_of_the_time_left(graph: Graph) -> None:
    stream, clock = Terminal(), Clock()
    progress = Progress(stream, clock=clock)
    progress.begin(graph)
    progress.event(evaluation("base", 0, 0.1, 0, 0))
    for event in steps_of("refine", 5):
        clock.now += 1
        progress.event(event)
    # 40 steps of 1.05 s, and 11 s each at steps 20 and 40 and at the end of the phase.
    assert "1 m 15 s left" in stream.screen[-1]
    assert "holdout" not in stream.screen[-1]


def test_scores_are_permanent_lines(graph: Graph) -> None:
    stream = io.StringIO()
    Progress(stream, clock=Clock()).event(evaluation("base", 0, 0.3, 0, 0))
    assert "base  arithmetic_chains_easy  avg@16 0.300 [0.265, 0.335]  n = 128 x 16\n" in stream.getvalue()


def test_elsewhere_a_sampled_step_is_one_line_without_control_characters(graph: Graph) -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, clock=clock)
    progress.begin(graph)
    for event in steps_of("refine", 5):
        clock.now += 1
        progress.tick("sample", 64, 128)
        progress.event(event)
    progress.close()
    assert len(stream.getvalue().splitlines()) == 6
    assert not set(stream.getvalue()) & {"\r", "\x1b"}


def test_elsewhere_supervised_steps_are_told_now_and_then_and_at_the_end(graph: Graph) -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, clock=clock)
    progress.event(begin_of("pretrain"))
    progress.begin(graph)
    for event in steps_of("pretrain", 60):
        clock.now += 0.5
        progress.event(event)
    told = [line for line in stream.getvalue().splitlines() if "loss" in line]
    assert len(told) == 3
    assert "pretrain 60/60" in told[-1]


def test_a_long_stage_gives_a_sign_of_life_elsewhere() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(stream, clock=clock)
    for done in range(100):
        clock.now += 1
        progress.tick("evaluate:math500_boxed", done, 100)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert re.search(r"evaluate math500_boxed 30/100  1 m \d\d s left", lines[0])


@pytest.mark.parametrize(("name", "value"), [("TERM", "dumb"), ("NO_COLOR", "1")])
def test_plain_wishes_are_respected(graph: Graph, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    stream = Terminal()
    progress = Progress(stream, clock=Clock())
    progress.begin(graph)
    assert "\x1b" not in stream.getvalue()
    progress.tick("sample", 1, 2)
    assert ("\r" in stream.getvalue()) is (name == "NO_COLOR")


def test_it_says_nothing_but_ascii() -> None:
    stream = io.StringIO()
    Progress(stream, clock=Clock()).event({"event": "warning", "message": "π \x1b[2J"})
    assert stream.getvalue() == "[0:00:00] warning: \\u03c0 \\x1b[2J\n"


@pytest.mark.parametrize("of_a_terminal", [True, False])
def test_a_display_that_is_gone_does_not_end_the_run(of_a_terminal: bool) -> None:
    theirs, ours = os.openpty() if of_a_terminal else os.pipe()
    with os.fdopen(ours, "w") as stream:
        progress = Progress(stream, clock=iter(range(0, 10**6, 60)).__next__)
        os.close(theirs)
        for step in range(1, 4):
            progress.event({"event": "warning", "message": "the reader has gone"})
            progress.tick("sample", step, 8)
        progress.close()


def test_scores_are_shown_once_each_and_without_an_interval_where_there_is_none(graph: Graph) -> None:
    stream = Terminal()
    progress = Progress(stream, clock=Clock())
    progress.begin(graph)
    rows = [score("refine", 80, "sums", metric, 0.25, 0, 0) for metric in ("avg@16", "pass@1", "pass@16", "perplexity")]
    rows[3] |= {"low": None, "high": None, "interval": "none"}
    progress.event({"event": "evaluate", "phase": "refine", "evaluator": "evaluate[0]", "seconds": 1.0, "scores": rows})
    assert [line.partition("refine  sums  ")[2] for line in stream.screen if "  sums  " in line] == [
        "avg@16 0.250 [0.215, 0.285]  n = 128 x 16",
        "pass@16 0.250 [0.215, 0.285]  n = 128 x 16",
        "perplexity 0.250 -  n = 128 x 16",
    ]

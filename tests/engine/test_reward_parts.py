"""What a reward is the sum of: known by name, kept in the journal to the last bit, and its author's where it goes wrong."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from prerl_components.rewards.length_penalty import LengthPenalty
from prerl_components.rewards.overlong_penalty import OverlongPenalty

from prerl_spec.cli.main import main
from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.graph import Named, Phase
from prerl_spec.engine.batches.judged_groups import rewarded, with_known_parts
from prerl_spec.engine.inspect.replay_credit import replay_credit
from prerl_spec.engine.training.metrics import sampled_metrics
from prerl_spec.errors import AuthorFault, RunFailed
from prerl_spec.report.tables.attempts import ShownAttempt
from prerl_spec.sdk import Component, Conditional, Credit, Need, OnePartObjective
from prerl_spec.storage.frames import Frame, FrameKind, append_frames
from prerl_spec.storage.journal_frames import group_frame, read_step_entries, step_frame, verdicts_frame
from prerl_spec.testing.steps import made_step
from prerl_spec.types import Attempt, Group, Outcome, Step, Verdict
from tests.engine import parity
from tests.engine.runs import SPEC, Heard, steps_of, weights_at
from tests.engine.test_rollouts import ERROR, RIGHT, TIMEOUT, WRONG, Desk
from tests.run_files import frames_of, groups_of


class Third(Component):
    """A term that no float32 holds."""

    kind: ClassVar = "reward"

    def reward(self, attempt: Attempt, group: Group) -> float:
        return len(attempt.tokens) / 3


class Failing(Component):
    """Does what it is told to go wrong."""

    kind: ClassVar = "reward"

    returned: Any = None
    refill_rounds: int = 0

    def reward(self, attempt: Attempt, group: Group) -> Any:
        return 1 / 0 if self.returned == "raise" else self.returned

    def keep(self, group: Group) -> Any:
        return self.reward(group.attempts[0], group)


THIRD = Named("acme.third", Third())
TAIL = Named("overlong_penalty", OverlongPenalty(buffer=4, name="tail"))
BOTH = (THIRD, TAIL)


@pytest.fixture(scope="module")
def phase(tmp_path_factory: pytest.TempPathFactory) -> Phase:
    file = tmp_path_factory.mktemp("spec") / "spec.toml"
    file.write_text(SPEC)
    return compile_spec(file).graph.phases[1]


def mixed_verdicts(verifier: Any, items: Sequence[tuple[str, str, bool]]) -> list[Verdict]:
    return [RIGHT, TIMEOUT, WRONG, Verdict(Outcome.WRONG, 0.1), ERROR, *[WRONG] * (len(items) - 5)]


def judged(rewards: Sequence[Named[Any]]) -> Group:
    (group,) = made_step([[1.0, 0.1, Outcome.TIMEOUT]], lengths=[8, 5, 3]).groups
    return rewarded(group, [v for a in group.attempts if (v := a.verdict) is not None], rewards)


# --- parts and their sum ----------------------------------------------------------------------------------------------


def test_a_reward_is_the_sum_of_its_parts_and_a_timeout_has_none() -> None:
    """Budget 8, buffer 4: 8 tokens earn −1, 5 earn −1/4."""
    right, graded, timeout = judged(BOTH).attempts
    assert right.parts == {"verdict": 1.0, "acme.third": 8 / 3, "tail": -1.0}
    assert graded.parts == {"verdict": 0.1, "acme.third": 5 / 3, "tail": -0.25}
    assert (timeout.parts, timeout.reward) == ({}, None)
    for attempt in (right, graded):
        score, *terms = attempt.parts.values()
        assert attempt.reward == score + sum(terms)


def test_a_reward_is_asked_about_scored_attempts_only() -> None:
    asked: list[Attempt] = []

    class Asked(Component):
        kind: ClassVar = "reward"

        def reward(self, attempt: Attempt, group: Group) -> float:
            assert [a.reward for a in group.attempts] == [1.0, 0.1, None], "as yet the score alone"
            asked.append(attempt)
            return 2.0

    judged((Named("asked", Asked()), Named("asked_again", Asked())))
    assert [a.verdict.outcome for a in asked if a.verdict] == [Outcome.RIGHT, Outcome.WRONG] * 2


def test_without_rewards_the_verdict_is_the_reward() -> None:
    assert [a.parts for a in judged(()).attempts] == [{"verdict": 1.0}, {"verdict": 0.1}, {}]


def test_a_pinned_version_is_no_part_of_a_name() -> None:
    pinned = Named("length_penalty@1", LengthPenalty(weight=1.0))
    assert list(judged((pinned,)).attempts[0].parts) == ["verdict", "length_penalty"]


def test_a_step_has_a_vector_of_each_part_and_nothing_where_nothing_was_scored(tmp_path: Path, phase: Phase) -> None:
    step, _ = Desk(tmp_path, replace(phase, rewards=BOTH), mixed_verdicts).collect()
    assert list(step.parts_S) == ["verdict", "acme.third", "tail"]
    for name, part_S in step.parts_S.items():
        assert part_S.shape == step.reward_S.shape == (16,)
        assert np.array_equal(np.isnan(part_S), np.isnan(step.reward_S)), name
    assert np.array_equal(np.flatnonzero(np.isnan(step.reward_S)), [1, 4])
    assert np.array_equal(step.parts_S["verdict"][[0, 2, 3]], [1.0, 0.0, 0.1])
    halves = step.split(2)
    assert np.array_equal(np.concatenate([h.parts_S["tail"] for h in halves]), step.parts_S["tail"], equal_nan=True)


def test_the_budget_that_a_reward_sees_is_the_samplers_now_and_when_read_back(tmp_path: Path, phase: Phase) -> None:
    seen: list[int] = []

    class Budget(Component):
        kind: ClassVar = "reward"

        def reward(self, attempt: Attempt, group: Group) -> float:
            seen.append(group.max_new_tokens)
            return 0.0

    desk = Desk(tmp_path, replace(phase, rewards=(Named("budget", Budget()),)))
    first, _ = desk.collect()
    again, _ = desk.collect()
    assert set(seen) == {12}
    assert first == again


# --- the journal ------------------------------------------------------------------------------------------------------


def test_parts_come_back_from_the_journal_to_the_last_bit(tmp_path: Path, phase: Phase) -> None:
    desk = Desk(tmp_path, replace(phase, rewards=BOTH), mixed_verdicts)
    step, _ = desk.collect()
    again, _ = desk.collect()
    assert again == step
    for name, part_S in step.parts_S.items():
        assert part_S.tobytes() == again.parts_S[name].tobytes()
    written = [f.header["parts"] for f in frames_of_folder(tmp_path) if f.kind is FrameKind.VERDICTS]
    assert list(written[0]) == ["acme.third", "tail"], "the score stands with the verdict"


def test_a_journal_without_rewards_is_written_as_it_was_before_there_were_parts(tmp_path: Path, phase: Phase) -> None:
    Desk(tmp_path, phase, mixed_verdicts).collect()
    headers = [f.header for f in frames_of_folder(tmp_path) if f.kind is FrameKind.VERDICTS]
    assert {tuple(h) for h in headers} == {("refill", "slot", "verdicts", "rewards")}


def frames_of_folder(folder: Path) -> tuple[Frame, ...]:
    return read_step_entries(folder / "journal" / "step-000001.journal").file.frames


def earlier_journal(folder: Path, group: Group) -> Path:
    """A step's file as it was before parts were recorded."""
    file = folder / "step-000001.journal"
    frame = verdicts_frame(group)
    header = {name: value for name, value in frame.header.items() if name != "parts"}
    step = step_frame({"phase": "prune", "step": 1, "global_step": 1})
    append_frames(file, [step, group_frame(group), Frame(FrameKind.VERDICTS, header)], first=0)
    return file


def test_a_journal_of_an_earlier_version_without_rewards_has_the_verdict_as_its_part(tmp_path: Path) -> None:
    (read,) = read_step_entries(earlier_journal(tmp_path, judged(()))).groups.values()
    assert [a.parts for a in read.attempts] == [{"verdict": 1.0}, {"verdict": 0.1}, {}]


def test_sums_of_an_earlier_version_have_no_known_parts_and_are_computed_again(tmp_path: Path) -> None:
    whole = judged(BOTH)
    (read,) = read_step_entries(earlier_journal(tmp_path, whole)).groups.values()
    assert [a.parts for a in read.attempts] == [{}, {}, {}]
    assert [a.reward for a in read.attempts] == [a.reward for a in whole.attempts]
    read = replace(read, max_new_tokens=whole.max_new_tokens)
    assert with_known_parts(read, BOTH) == whole
    with pytest.raises(RunFailed, match=r"without its parts, and the rewards of the spec give 3\.16\d* now"):
        with_known_parts(read, (THIRD, Named("overlong_penalty", OverlongPenalty(buffer=4, weight=0.5))))


# --- metrics, and what is shown ---------------------------------------------------------------------------------------


def test_the_mean_of_each_part_is_a_metric_where_there_are_rewards(tmp_path: Path, phase: Phase) -> None:
    step, _ = Desk(tmp_path, replace(phase, rewards=BOTH), mixed_verdicts).collect()
    metrics = sampled_metrics(step)
    assert metrics["reward_verdict"] == pytest.approx(1.1 / 14, abs=1e-15)
    assert metrics["reward_acme.third"] == pytest.approx(1.0, abs=1e-15)
    assert metrics["reward_tail"] == 0.0
    names = [name for name in metrics if name.startswith("reward_") and name != "reward_mean"]
    assert metrics["reward_mean"] == pytest.approx(sum(metrics[name] for name in names), abs=1e-15)


def test_without_rewards_there_is_no_such_metric() -> None:
    assert [m for m in sampled_metrics(made_step([[1.0, 0.0]])) if m.startswith("reward_")] == ["reward_mean"]


def test_discarded_groups_count_in_the_means_and_a_step_without_a_score_has_zeros() -> None:
    step = replace(Step("p", 1, 1, (), discarded=(judged(BOTH),)), part_names=("verdict", "acme.third", "tail"))
    assert sampled_metrics(step)["reward_tail"] == -0.625
    nothing = replace(made_step([[Outcome.TIMEOUT]]), part_names=("verdict", "tail"))
    assert sampled_metrics(nothing)["reward_tail"] == 0.0


@pytest.mark.parametrize(
    ("reward", "parts", "words"),
    [
        (0.75, {"verdict": 1.0, "tail": -0.25}, "verdict 1, tail -0.25"),
        (1.0, {"verdict": 1.0}, ""),
        (None, {}, ""),
        (0.75, {}, "parts not recorded: written by an earlier version"),
    ],
)
def test_what_a_reward_is_the_sum_of_is_said_where_it_is_one(
    reward: float | None, parts: dict[str, float], words: str
) -> None:
    shown = ShownAttempt(0, 0, "2+2?", "4", "4", "eos", 3, "right", reward=reward, parts=parts)
    assert shown.sum_of == words


# --- an author's mistake ----------------------------------------------------------------------------------------------


def test_an_exception_in_a_reward_is_its_authors_and_the_responses_are_kept(tmp_path: Path, phase: Phase) -> None:
    desk = Desk(tmp_path, replace(phase, rewards=(Named("acme.failing", Failing(returned="raise")),)))
    with pytest.raises(AuthorFault) as caught:
        desk.collect()
    assert caught.value.message.startswith("the reward `acme.failing` failed in `Failing.reward` (")
    assert "ZeroDivisionError: division by zero" in caught.value.message
    groups = read_step_entries(tmp_path / "journal" / "step-000001.journal").groups.values()
    assert [len(g.attempts) for g in groups] == [4] * 4
    assert all(a.verdict is None for g in groups for a in g.attempts)


@pytest.mark.parametrize("returned", [None, "0.5", [1.0]])
def test_a_reward_that_is_no_number_is_its_authors(tmp_path: Path, phase: Phase, returned: Any) -> None:
    desk = Desk(tmp_path, replace(phase, rewards=(Named("acme.failing", Failing(returned=returned)),)))
    with pytest.raises(AuthorFault, match=r"the reward `acme\.failing` failed in `Failing` \(.*TypeError"):
        desk.collect()


@pytest.mark.parametrize("returned", [float("nan"), float("inf"), float("-inf")])
def test_a_reward_that_is_not_finite_is_named_with_its_prompt_and_attempt(
    tmp_path: Path, phase: Phase, returned: float
) -> None:
    class Sometimes(Component):
        kind: ClassVar = "reward"

        def reward(self, attempt: Attempt, group: Group) -> float:
            return returned if attempt.verdict == WRONG else 0.0

    desk = Desk(tmp_path, replace(phase, rewards=(TAIL, Named("acme.sometimes", Sometimes()))), mixed_verdicts)
    with pytest.raises(RunFailed) as caught:
        desk.collect()
    (name,) = phase.data
    row = next(iter(read_step_entries(tmp_path / "journal" / "step-000001.journal").groups.values())).prompt.row
    assert caught.value.message == f"the reward `acme.sometimes` gives {returned} for prompt {name}[{row}], attempt 2"


def test_terms_that_are_finite_and_whose_sum_is_not_are_refused(tmp_path: Path, phase: Phase) -> None:
    rewards = tuple(Named(f"acme.{n}", Failing(returned=1.7e308)) for n in ("one", "two"))
    with pytest.raises(RunFailed, match=r"the rewards of prompt train\[\d+\], attempt 0 sum up to inf"):
        Desk(tmp_path, replace(phase, rewards=rewards)).collect()


@pytest.mark.parametrize(
    ("returned", "words"),
    [("raise", r"`Failing\.reward` \(.*ZeroDivisionError"), (None, r"`Failing` \(.*keep\(\) returns None, not a bool")],
)
def test_what_goes_wrong_in_a_filter_is_its_authors(tmp_path: Path, phase: Phase, returned: Any, words: str) -> None:
    desk = Desk(tmp_path, replace(phase, filters=(Named("acme.failing", Failing(returned=returned)),)))
    with pytest.raises(AuthorFault, match=rf"`acme\.failing` failed in {words}"):
        desk.collect()


# --- a run ------------------------------------------------------------------------------------------------------------

REWARDED = """
[[phases]]
id = "refine"
prompts_per_step = 4
objective = "grpo"
schedule = { use = "fixed_steps", steps = 3 }
rewards = [
    { use = "overlong_penalty", buffer = 12, weight = 0.7 },
    { use = "length_penalty", weight = 0.3, name = "brevity" },
]
filters = [{ use = "reward_spread", least = 1e-3 }]
"""


class Killed(BaseException):
    """What a SIGKILL would do: nothing is committed."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return parity.start(tmp_path_factory.mktemp("whole"), REWARDED)


def test_a_run_killed_behind_its_verdicts_goes_on_with_the_recorded_parts(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dies(Heard):
        def tick(self, at: str, done: int, total: int) -> None:
            if at == "train" and (tmp_path / "runs" / "small" / "journal" / "step-000002.journal").exists():
                raise Killed

    with pytest.raises(Killed):
        parity.start(tmp_path, REWARDED, Dies())
    recorded = groups_of(tmp_path / "runs" / "small", 2)

    def not_again(self: Any, attempt: Attempt, group: Group) -> float:
        assert attempt not in [a for g in recorded.values() for a in g.attempts], "the journal has its parts"
        return original(self, attempt, group)

    original = LengthPenalty.reward
    monkeypatch.setattr(LengthPenalty, "reward", not_again)
    resumed = parity.start(tmp_path, REWARDED)
    for step in (1, 2, 3):
        assert (resumed / "journal" / f"step-{step:06d}.journal").read_bytes() == (
            whole / "journal" / f"step-{step:06d}.journal"
        ).read_bytes()
    assert all(torch.equal(weights_at(resumed, 3)[n], t) for n, t in weights_at(whole, 3).items())
    assert [e["hashes"] for e in steps_of(resumed)] == [e["hashes"] for e in steps_of(whole)]


def test_the_events_of_a_run_have_the_means_of_its_parts(whole: Path) -> None:
    for event in steps_of(whole):
        attempts = [a for g in groups_of(whole, event["global_step"]).values() for a in g.attempts]
        for name in ("verdict", "overlong_penalty", "brevity"):
            parts = [a.parts[name] for a in attempts if a.reward is not None]
            assert event["metrics"][f"reward_{name}"] == pytest.approx(np.mean(parts), abs=1e-12)
    assert any(f.header.get("parts") for f in frames_of(whole, 1))


def test_a_replay_of_the_credit_alone_sees_the_same_batch(whole: Path) -> None:
    graph = compile_spec(whole.parents[1] / "spec.toml").graph
    assert replay_credit(graph, whole, 2).equal == {"credit": True}
    seen: list[Step] = []

    class Looking(OnePartObjective):
        def needs(self) -> frozenset[Need]:
            return frozenset({Need(Conditional())})

        def credit(self, step: Step, known: Any) -> Credit:
            seen.append(step)
            return Credit.nothing(step.tokens.num_tokens, "nothing")

    looking = replace(graph, phases=(replace(graph.phases[0], objective=Named("looking", Looking())),))
    replay_credit(looking, whole, 2)
    (step,) = seen
    assert list(step.parts_S) == ["verdict", "overlong_penalty", "brevity"]
    assert {g.max_new_tokens for g in step.groups} == {step.max_new_tokens} == {16}


def test_samples_and_its_export_show_the_parts(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import pyarrow.parquet

    assert main(["samples", str(whole), "--step", "1", "--limit", "16"]) == 0
    text = capsys.readouterr().out
    attempts = [a for g in groups_of(whole, 1).values() for a in g.attempts]
    assert text.count("sum of:    verdict ") == sum(a.reward is not None for a in attempts)
    assert ", overlong_penalty " in text
    assert ", brevity " in text
    file = tmp_path / "attempts.parquet"
    assert main(["samples", str(whole), "--step", "1", "--export", str(file)]) == 0
    rows = pyarrow.parquet.read_table(file).to_pylist()
    assert [{p["name"]: p["value"] for p in row["parts"] or ()} for row in rows] == [dict(a.parts) for a in attempts]

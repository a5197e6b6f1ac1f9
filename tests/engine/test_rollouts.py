"""How a batch is drawn and judged, seen from both neighbours: a sampler that notes what it is asked, a judge by the book."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.graph import Named, Phase
from prerl_spec.engine.batches.cursor import Cursor
from prerl_spec.engine.batches.datasets import OpenDataSet
from prerl_spec.engine.batches.journal import Journal
from prerl_spec.engine.batches.judging import attempt_of, text_of
from prerl_spec.engine.batches.source import Rollouts, verifier_faults
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.streams import Streams
from prerl_spec.engine.training.metrics import sampled_metrics
from prerl_spec.engine.verification.verdict_batch import Item
from prerl_spec.errors import AuthorFault, RunFailed
from prerl_spec.sdk import Component, EndedSample, SamplerSettings
from prerl_spec.storage.frames import read_frames
from prerl_spec.storage.journal_frames import step_file
from prerl_spec.testing.steps import made_step
from prerl_spec.testing.tiny import byte_tokenizer
from prerl_spec.text import Codec
from prerl_spec.types import Attempt, Decoding, Generation, Group, Outcome, Prompt, Request, Step, Verdict
from tests.engine.runs import SPEC
from tests.run_files import write_frames

CODEC = Codec.of_tokenizer(byte_tokenizer())
RIGHT, WRONG = Verdict(Outcome.RIGHT, 1.0), Verdict(Outcome.WRONG, 0.0)
PROMPT = Prompt("train", 0, "2+2?", "4", (1,))
TIMEOUT, ERROR = Verdict(Outcome.TIMEOUT, None), Verdict(Outcome.ERROR, None)
Judge = Callable[[Any, Sequence[tuple[str, str, bool]]], list[Verdict]]


@dataclass
class Book:
    """Keeps what it is asked, and has it judged when the verdicts are waited for."""

    judge: Judge
    begins_early: bool
    asked: dict[int, tuple[Any, Item]] = field(default_factory=dict)

    def ask(self, verifier: Any, place: int, item: Item) -> None:
        self.asked[place] = verifier, item

    def verdicts(self) -> dict[int, Verdict]:
        verifiers, items = zip(*self.asked.values(), strict=True)
        return dict(zip(self.asked, self.judge(verifiers[0], items), strict=True))


@dataclass
class Noting:
    """A sampler that answers with the same two letters and EOS, and keeps what it was asked."""

    asked: list[Request] = field(default_factory=list)
    decodings: list[Decoding] = field(default_factory=list)
    said: str = "ok"

    def generate(
        self, requests: Sequence[Request], decoding: Decoding, progress: Callable[[int, int], None] | None = None
    ) -> list[list[Generation]]:
        self.asked += requests
        self.decodings.append(decoding)
        one = Generation((*CODEC.encode(self.said), CODEC.eos_id), (-0.1, -0.2, -0.3), "eos", (1.0, 2.0, 3.0))
        return [[one] * len(r.seeds) for r in requests]

    def sync(self, version: int) -> None: ...


class FirstKept(Component):
    """Keeps the first group of each round, and all of the last: every step takes three rounds."""

    kind: ClassVar = "filter"
    refill_rounds: int = 2

    def keep(self, group: Group) -> bool:
        return group.refill == 2 or group.slot % 4 == 0


@pytest.fixture(scope="module")
def phase(tmp_path_factory: pytest.TempPathFactory) -> Phase:
    file = tmp_path_factory.mktemp("spec") / "spec.toml"
    file.write_text(SPEC.replace("max_new_tokens = 12", "max_new_tokens = 12\ntemperature = 0.7"))
    return compile_spec(file).graph.phases[1]


@dataclass
class Desk:
    """A source of batches over real rows and a real journal."""

    folder: Path
    phase: Phase
    judge: Judge = lambda verifier, items: [WRONG] * len(items)
    sampler: Noting = field(default_factory=Noting)
    begins_early: bool = True
    books: list[Book] = field(default_factory=list)
    streams: Streams = field(default_factory=lambda: Streams(3))

    def collect(
        self, global_step: int = 1, cursor: Cursor | None = None, *, step: int | None = None
    ) -> tuple[Step, Cursor]:
        (name,) = self.phase.data
        data = chains().open(name)
        dataset = OpenDataSet(name, data, None, range(len(data)), CODEC)
        journal = Journal(self.folder / "journal", writes=True)
        source = Rollouts(
            self.phase,
            {name: dataset},
            CODEC,
            self.streams,
            journal,
            Ranks.start(),
            self.sampler,
            self._asked,
            lambda *_: None,
            nullcontext,
        )
        return source.collect(step or global_step, global_step, cursor or Cursor.start(), lambda stage: nullcontext())

    def _asked(self) -> AbstractContextManager[Book]:
        self.books.append(Book(self.judge, self.begins_early))
        return nullcontext(self.books[-1])


def chains() -> Any:
    from prerl_components.data.arithmetic_chains import ArithmeticChains

    return ArithmeticChains(steps=(1, 1), part="easy")


def test_a_sampled_end_of_text_is_trained_and_not_said() -> None:
    tokens = (*CODEC.encode("ok"), CODEC.eos_id)
    generation = Generation(tokens, (-1.0, -2.0, -3.0), "eos", (0.1, 0.2, 0.3))
    attempt = attempt_of(generation, text_of(generation, CODEC))
    (segment,) = attempt.segments
    assert (segment.tokens, segment.logps, segment.entropies) == (tokens, (-1.0, -2.0, -3.0), (0.1, 0.2, 0.3))
    assert (attempt.text, attempt.stop, attempt.num_trained) == ("ok", "eos", 3)


@pytest.mark.parametrize("stop", ["length", "stop"])
def test_a_response_without_an_end_of_text_is_said_to_its_last_token(stop: Any) -> None:
    generation = Generation(CODEC.encode("okay"), (-1.0,) * 4, stop)
    attempt = attempt_of(generation, text_of(generation, CODEC))
    assert (attempt.text, attempt.num_trained) == ("okay", 4)


def test_the_journal_keeps_the_end_of_text(tmp_path: Path, phase: Phase) -> None:
    Desk(tmp_path, phase).collect()
    noted = Journal(tmp_path / "journal", writes=False).open_step(phase.id, 1, 1).groups.values()
    assert len(noted) == 4
    assert {a.tokens[-1] for g in noted for a in g.attempts} == {CODEC.eos_id}


def test_every_response_of_a_run_has_a_seed_of_its_own(tmp_path: Path, phase: Phase) -> None:
    """Over steps, refill rounds, prompts and attempts; another phase at the same step has others too."""
    refilled = replace(phase, filters=(Named("first_kept", FirstKept()),))
    desk = Desk(tmp_path, refilled)
    cursor = Cursor.start()
    for global_step in (1, 2):
        _, cursor = desk.collect(global_step, cursor)
    other = Desk(tmp_path / "other", replace(phase, id="other"))
    (tmp_path / "other").mkdir()
    other.collect(1)
    seeds = [s for r in (*desk.sampler.asked, *other.sampler.asked) for s in r.seeds]
    assert len(seeds) == 4 * (2 * (4 + 3 + 2) + 4)
    assert len(set(seeds)) == len(seeds)


def test_the_same_step_asks_for_the_same_seeds_again(tmp_path: Path, phase: Phase) -> None:
    asked = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        desk = Desk(tmp_path / name, phase)
        desk.collect(5)
        asked.append(desk.sampler.asked)
    assert asked[0] == asked[1]


def test_the_same_step_of_a_phase_asks_for_the_same_prompts_and_seeds_in_every_round(
    tmp_path: Path, phase: Phase
) -> None:
    """Whatever came before the phase: with refills, for which others are drawn."""
    refilled = replace(phase, filters=(Named("first_kept", FirstKept()),))
    asked = []
    for before in (0, 5):
        (tmp_path / str(before)).mkdir()
        desk, cursor = Desk(tmp_path / str(before), refilled, streams=Streams(3, "phase")), Cursor.start()
        for step in (1, 2):
            _, cursor = desk.collect(before + step, cursor, step=step)
        asked.append(desk.sampler.asked)
    assert asked[0] == asked[1]
    seeds = [seed for request in asked[0] for seed in request.seeds]
    assert len(seeds) == len(set(seeds)) == 4 * 2 * (4 + 3 + 2)


def test_a_step_is_scored_at_the_temperature_that_drew_it(tmp_path: Path, phase: Phase) -> None:
    desk = Desk(tmp_path, phase)
    step, _ = desk.collect()
    assert [d.temperature for d in desk.sampler.decodings] == [0.7]
    assert step.temperature == 0.7
    assert step.max_new_tokens == 12


def test_refused_groups_are_replaced_in_rounds_by_other_rows(tmp_path: Path, phase: Phase) -> None:
    step, _ = Desk(tmp_path, replace(phase, filters=(Named("first_kept", FirstKept()),))).collect()
    assert [(g.refill, g.slot) for g in step.groups] == [(0, 0), (1, 4), (2, 8), (2, 9)]
    assert [(g.refill, g.slot) for g in step.discarded] == [(0, 1), (0, 2), (0, 3), (1, 5), (1, 6)]
    rows = [g.prompt.row for g in (*step.groups, *step.discarded)]
    assert len(set(rows)) == len(rows)


def test_a_timeout_or_an_error_has_no_reward_and_a_wrong_answer_has_zero(tmp_path: Path, phase: Phase) -> None:
    def judge(verifier: Any, items: Sequence[tuple[str, str, bool]]) -> list[Verdict]:
        return [RIGHT, TIMEOUT, WRONG, ERROR, *[WRONG] * (len(items) - 4)]

    step, _ = Desk(tmp_path, phase, judge).collect()
    assert [a.reward for a in step.samples[:5]] == [1.0, None, 0.0, None, 0.0]
    noted = Journal(tmp_path / "journal", writes=False).open_step(phase.id, 1, 1).groups
    assert [a.reward for a in noted[0, 0].attempts] == [1.0, None, 0.0, None]


def test_a_judge_hears_which_responses_were_cut_off(tmp_path: Path, phase: Phase) -> None:
    class Halting(Noting):
        def generate(self, *asked: Any) -> list[list[Generation]]:
            whole = super().generate(*asked)
            return [[replace(g, stop="length") if i % 2 else g for i, g in enumerate(group)] for group in whole]

    heard: list[tuple[str, str, bool]] = []

    def judge(verifier: Any, items: Sequence[tuple[str, str, bool]]) -> list[Verdict]:
        heard.extend(items)
        return [WRONG] * len(items)

    step, _ = Desk(tmp_path, phase, judge, Halting()).collect()
    assert [was_cut for _, _, was_cut in heard] == [False, True] * 8
    assert [gold for _, gold, _ in heard] == [g.prompt.gold for g in step.groups for _ in g.attempts]


def test_a_reward_term_adds_to_a_score_and_never_to_a_timeout(tmp_path: Path, phase: Phase) -> None:
    class Bonus(Component):
        kind: ClassVar = "reward"

        def reward(self, attempt: Attempt, group: Group) -> float:
            return 0.25

    def judge(verifier: Any, items: Sequence[tuple[str, str, bool]]) -> list[Verdict]:
        return [RIGHT, TIMEOUT, *[WRONG] * (len(items) - 2)]

    step, _ = Desk(tmp_path, replace(phase, rewards=(Named("bonus", Bonus()),)), judge).collect()
    assert [a.reward for a in step.samples[:3]] == [1.25, None, 0.25]


def test_a_step_of_faults_is_refused_and_stays_in_the_journal(tmp_path: Path, phase: Phase) -> None:
    desk = Desk(tmp_path, phase, lambda verifier, items: [*[ERROR] * 3, *[WRONG] * (len(items) - 3)])
    with pytest.raises(RunFailed, match="3 of 16 verifications ended in a timeout or an error"):
        desk.collect()
    group = Journal(tmp_path / "journal", writes=False).open_step(phase.id, 1, 1).groups[0, 0]
    assert [a.verdict for a in group.attempts] == [None] * 4
    assert {a.tokens[-1] for a in group.attempts} == {CODEC.eos_id}


def test_a_step_goes_on_after_answers_that_hang_and_trains_what_their_verdicts_say(
    tmp_path: Path, phase: Phase
) -> None:
    masked, scored = (Verdict(Outcome.TIMEOUT, score, by_answer=True) for score in (None, 0.0))

    def judge(verifier: Any, items: Sequence[tuple[str, str, bool]]) -> list[Verdict]:
        return [RIGHT, masked, scored, *[masked] * 6, *[WRONG] * (len(items) - 9)]

    step, _ = Desk(tmp_path, phase, judge).collect()
    assert [a.reward for a in step.samples[:5]] == [1.0, None, 0.0, None, None]
    metrics = sampled_metrics(step)
    assert (metrics["verdict_timeout"], metrics["verdict_timeout_by_answer"]) == (8 / 16, 8 / 16)
    assert sampled_metrics(made_step([[1.0, Outcome.TIMEOUT]]))["verdict_timeout_by_answer"] == 0


def test_a_broken_verifier_is_three_faults_and_more_than_one_in_twenty() -> None:
    def faults(num_faults: int, num_verdicts: int) -> bool:
        verdicts = [TIMEOUT] * num_faults + [WRONG] * (num_verdicts - num_faults)
        attempts = tuple(Attempt((), "", "eos", v, v.score) for v in verdicts)
        return verifier_faults([Group(0, PROMPT, attempts)]) is not None

    by_answers = tuple(Attempt((), "", "eos", Verdict(Outcome.TIMEOUT, None, by_answer=True)) for _ in range(9))
    assert verifier_faults([Group(0, PROMPT, by_answers)]) is None
    assert not faults(2, 3)
    assert faults(3, 59)
    assert not faults(3, 60)
    assert faults(4, 60)


class Telling(Noting):
    """Tells every sample before it returns any."""

    def __init__(self, told: str = "ok", returned: str = "ok") -> None:
        super().__init__(said=returned)
        self.told = told
        self.heard: Callable[[], None] = lambda: None

    def stream(
        self,
        requests: Sequence[Request],
        decoding: Decoding,
        ended: Callable[[Sequence[EndedSample]], None],
        *rest: Any,
    ) -> list[list[Generation]]:
        tokens = (*CODEC.encode(self.told), CODEC.eos_id)
        for i, request in enumerate(requests):
            ended([EndedSample(i, k, tokens, "eos") for k in range(len(request.seeds))])
        self.heard()
        return self.generate(requests, decoding)


def test_samples_that_are_told_are_asked_about_once_and_before_the_sampler_returns(
    tmp_path: Path, phase: Phase
) -> None:
    sampler = Telling()
    desk = Desk(tmp_path, phase, sampler=sampler)
    numbers: list[int] = []
    sampler.heard = lambda: numbers.append(len(desk.books[-1].asked))
    step, _ = desk.collect()
    assert numbers == [len(desk.books[-1].asked)] == [16]
    assert [item for _, item in desk.books[-1].asked.values()] == [
        ("ok", g.prompt.gold, False) for g in step.groups for _ in g.attempts
    ]
    sampler.heard = lambda: pytest.fail("nobody begins early: it need not tell")
    (tmp_path / "other").mkdir()
    again, _ = Desk(tmp_path / "other", phase, sampler=sampler, begins_early=False).collect()
    assert again == step


def collected(folder: Path, phase: Phase, **more: Any) -> Desk:
    folder.mkdir()
    desk = Desk(folder, phase, **more)
    desk.collect()
    return desk


def test_a_sampler_that_tells_another_text_than_it_returns_ends_the_run_and_no_token_is_lost(
    tmp_path: Path, phase: Phase
) -> None:
    with pytest.raises(RunFailed, match="the sampler told another sample 0 of slot 0 than it returned"):
        Desk(tmp_path, phase, sampler=Telling("no")).collect()
    groups = Journal(tmp_path / "journal", writes=False).open_step(phase.id, 1, 1).groups
    assert {(a.text, a.verdict) for g in groups.values() for a in g.attempts} == {("ok", None)}


OK = (*CODEC.encode("ok"), CODEC.eos_id)
Ended = Callable[[Sequence[EndedSample]], None]


def twice(ended: Ended) -> None:
    ended([EndedSample(0, 0, OK, "eos"), EndedSample(0, 0, OK, "eos"), EndedSample(0, 1, OK, "eos")])


def request_before_the_first(ended: Ended) -> None:
    ended([EndedSample(-1, 0, OK, "eos")])


def request_after_the_last(ended: Ended) -> None:
    ended([EndedSample(4, 0, OK, "eos")])


def sample_of_no_seed(ended: Ended) -> None:
    ended([EndedSample(1, 4, OK, "eos")])


def from_a_thread(ended: Ended) -> None:
    with ThreadPoolExecutor(1) as threads:
        threads.submit(ended, [EndedSample(0, 0, OK, "eos")]).result()


def from_a_thread_that_says_nothing(ended: Ended) -> None:
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(ended, [EndedSample(0, 0, OK, "eos")]).exception() is not None


@pytest.mark.parametrize(
    ("tells", "words"),
    [
        (twice, "the sampler told sample 0 of slot 0 twice"),
        (request_before_the_first, "the sampler told a sample of request -1, of 4"),
        (request_after_the_last, "the sampler told a sample of request 4, of 4"),
        (sample_of_no_seed, "the sampler told a sample 4 of slot 1 and returned none"),
        (from_a_thread, "the sampler told a sample in a thread of its own"),
        (from_a_thread_that_says_nothing, "the sampler told a sample in a thread of its own"),
    ],
)
def test_a_sampler_that_tells_what_it_must_not_ends_the_run(
    tmp_path: Path, phase: Phase, tells: Callable[[Ended], None], words: str
) -> None:
    class Careless(Noting):
        def stream(
            self, requests: Sequence[Request], decoding: Decoding, ended: Ended, *rest: Any
        ) -> list[list[Generation]]:
            tells(ended)
            return self.generate(requests, decoding)

    with pytest.raises(RunFailed, match=words):
        Desk(tmp_path, phase, sampler=Careless()).collect()


def test_a_sample_that_is_told_when_the_sampler_has_returned_ends_the_run(tmp_path: Path, phase: Phase) -> None:
    kept: list[Ended] = []

    class Late(Noting):
        def stream(
            self, requests: Sequence[Request], decoding: Decoding, ended: Ended, *rest: Any
        ) -> list[list[Generation]]:
            kept.append(ended)
            return self.generate(requests, decoding)

    def judge(verifier: Any, items: Sequence[Item]) -> list[Verdict]:
        kept[0]([EndedSample(0, 0, OK, "eos")])
        return [WRONG] * len(items)

    with pytest.raises(RunFailed, match="the sampler told a sample after its `stream` had returned"):
        Desk(tmp_path, phase, judge, Late()).collect()


class Crooked(SamplerSettings):
    """A sampler's declaration by somebody else."""


@pytest.mark.parametrize("begins_early", [True, False])
def test_an_exception_in_a_strangers_sampler_is_told_as_theirs(
    tmp_path: Path, phase: Phase, begins_early: bool
) -> None:
    class Beyond(Telling):
        def generate(self, requests: Sequence[Request], *rest: Any) -> list[list[Generation]]:
            return [[] for _ in range(len(requests) + 1) if requests[_]]

    theirs = replace(phase, sampler=Named("acme.crooked", Crooked(group_size=4, max_new_tokens=12)))
    with pytest.raises(
        AuthorFault, match=r"the sampler `acme\.crooked` failed in `.*generate.*: IndexError: "
    ) as caught:
        Desk(tmp_path, theirs, sampler=Beyond(), begins_early=begins_early).collect()
    assert caught.value.exit_code == 5


def test_a_round_of_which_the_journal_has_a_part_is_sampled_whole_and_judged_as_it_was_recorded(
    tmp_path: Path, phase: Phase
) -> None:
    """What a kill leaves in the middle of an append, and an engine that draws otherwise the second time."""
    desk = collected(tmp_path / "whole", phase)
    whole = read_frames(step_file(tmp_path / "whole" / "journal", 1)).frames
    (tmp_path / "part").mkdir()
    write_frames(step_file(tmp_path / "part" / "journal", 1), whole[:3])
    again = Desk(tmp_path / "part", phase, sampler=Telling("no", returned="no"))
    step, _ = again.collect()
    assert again.sampler.asked == desk.sampler.asked
    assert [a.text for a in step.samples] == ["ok"] * 8 + ["no"] * 8
    assert sorted(text for _, (text, _, _) in again.books[-1].asked.values()) == ["no"] * 8 + ["ok"] * 8

"""What was drawn and judged comes back exactly, and is never decided twice."""

import resource
from dataclasses import replace
from pathlib import Path

import pytest

from prerl_spec.engine.batches.journal import Journal
from prerl_spec.errors import Damaged
from prerl_spec.storage.frames import encoded, read_frames
from prerl_spec.storage.journal_frames import documents_frame, documents_of, step_frame, with_verdicts
from prerl_spec.types import Attempt, Group, Outcome, Prompt, Segment, Verdict
from tests.engine.disk_order import DiskOrder
from tests.engine.steps import random_step
from tests.run_files import ends_of_frames, frames_of

VERDICTS = [Verdict(Outcome.RIGHT, 1.0, "4"), Verdict(Outcome.TIMEOUT, None, None, "10 s")]


def _drawn(slot: int = 0) -> Group:
    third = 1 / 3
    segments = (Segment((5, 6), logps=(-third, -0.1), entropies=(0.2, third)),)
    attempts = (Attempt(segments, "a\u2028b", "eos"), Attempt(segments, "c", "length"))
    return Group(slot, Prompt("train", 17, "2+2?", "4", (1, 2)), attempts)


def test_groups_and_verdicts_come_back_exactly(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", writes=True)
    notes = journal.open_step("prune", 1, 1)
    judged = with_verdicts(_drawn(), VERDICTS, [1.0, None])
    notes.record_generations([_drawn()])
    notes.record_verdicts([judged])
    assert journal.open_step("prune", 1, 1).groups == {(0, 0): judged}


def test_whose_doing_a_timeout_is_comes_back_and_is_the_verifiers_in_an_earlier_journal(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", writes=True)
    notes = journal.open_step("prune", 1, 1)
    masked, trained = (Verdict(Outcome.TIMEOUT, score, None, "10 s", by_answer=True) for score in (None, 0.0))
    notes.record_generations([_drawn(0), _drawn(1)])
    judged = [with_verdicts(_drawn(0), [masked, trained], [None, 0.0]), with_verdicts(_drawn(1), VERDICTS, [1.0, None])]
    notes.record_verdicts(judged)
    assert list(journal.open_step("prune", 1, 1).groups.values()) == judged
    fields = [len(v) for frame in frames_of(tmp_path, 1) for v in frame.header.get("verdicts", [])]
    assert fields == [5, 5, 4, 4], "four, as earlier versions wrote them, are no answer's timeout"


def test_what_was_drawn_and_judged_is_on_the_disk_before_anybody_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Journal(tmp_path / "journal", writes=True).open_step("prune", 1, 1)
    file = tmp_path / "journal" / "step-000001.journal"
    disk = DiskOrder(monkeypatch)
    for write in (
        lambda: notes.record_generations([_drawn()]),
        lambda: notes.record_verdicts([with_verdicts(_drawn(), VERDICTS, [1.0, None])]),
        lambda: notes.record_rejection("too many faults"),
    ):
        write()
        assert disk.synced.pop() == (file, file.stat().st_size), "synced with its last byte"
    assert disk.synced == []


def test_a_frame_torn_by_a_kill_is_left_out_and_what_came_before_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", writes=True)
    journal.open_step("prune", 1, 1).record_generations([_drawn(0), _drawn(1)])
    file = tmp_path / "journal" / "step-000001.journal"
    whole, ends = file.read_bytes(), ends_of_frames(file)
    for cut in range(ends[0], len(whole)):
        file.write_bytes(whole[:cut])
        kept = journal.open_step("prune", 1, 1).groups
        complete = [end for end in ends if end <= cut]
        assert list(kept) == [(0, i) for i in range(len(complete) - 1)]
        assert file.read_bytes() == whole[: complete[-1]]


def test_a_full_disk_while_a_torn_frame_is_cut_off_loses_no_verdict(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", writes=True)
    journal.open_step("prune", 1, 1).record_generations([_drawn()])
    file = tmp_path / "journal" / "step-000001.journal"
    whole = file.read_bytes()
    file.write_bytes(whole + encoded(step_frame({}), 2)[:30])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        notes = journal.open_step("prune", 1, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(notes.groups) == [(0, 0)]
    assert file.read_bytes() == whole


def test_drawn_without_verdicts_comes_back_unjudged(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", writes=True)
    journal.open_step("prune", 1, 1).record_generations([_drawn()])
    group = journal.open_step("prune", 1, 1).groups[(0, 0)]
    assert [a.verdict for a in group.attempts] == [None, None]


def test_responses_count_for_the_prompt_that_they_answer_and_no_other(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", writes=True)
    journal.open_step("prune", 1, 1).record_generations([_drawn(0), _drawn(1)])
    notes, drawn = journal.open_step("prune", 1, 1), _drawn()
    other = replace(drawn.prompt, row=18)
    assert notes.same_prompts(0, [(0, drawn.prompt), (1, other), (2, drawn.prompt)]) == {0: drawn}
    assert notes.same_prompts(1, [(0, drawn.prompt)]) == {}, "another round has drawn nothing yet"


def test_only_the_main_rank_writes(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    Journal(tmp_path / "journal", writes=False).open_step("prune", 1, 1).record_generations(list(random_step().groups))
    assert list((tmp_path / "journal").iterdir()) == []


def test_the_journal_of_another_step_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal", writes=True)
    journal.open_step("prune", 1, 1).record_generations([_drawn()])
    (tmp_path / "journal" / "step-000001.journal").rename(tmp_path / "journal" / "step-000002.journal")
    with pytest.raises(Damaged, match=r"step-000002\.journal is the journal of step 1"):
        journal.open_step("prune", 2, 2)


def test_documents_are_recorded_once_and_behind_a_torn_frame(tmp_path: Path) -> None:
    rows = [("corpus", 3), ("other", 2**40)]
    file = tmp_path / "journal" / "documents-warm.journal"
    for _ in range(2):
        journal = Journal(tmp_path / "journal", writes=True)
        journal.documents("warm", 1, rows)
        journal.documents("warm", 2, rows[:1])
        whole = file.read_bytes()
        file.write_bytes(whole + encoded(documents_frame(3, rows), 2)[:30])
    assert [documents_of(frame) for frame in read_frames(file).frames] == [(1, rows), (2, rows[:1])]

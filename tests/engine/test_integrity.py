"""Damage in a run folder: every reader names it before it uses the file, `fsck` sees it, and says or does what can be done."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.cli.main import main
from prerl_spec.compiler.compile import compile_spec
from prerl_spec.engine.inspect.fsck import check_run
from prerl_spec.engine.torture.outcome import outcome
from prerl_spec.errors import Damaged
from prerl_spec.evaluation.targets import find_target
from prerl_spec.report.tables.run_tables import read_run
from prerl_spec.storage.sealed import read_object
from tests.engine.runs import Heard, start, steps_of
from tests.forks import forked
from tests.run_files import frames_of, write_frames, write_object, write_scores

SPEC = (Path(__file__).parents[1] / "torture.toml").read_text(encoding="utf-8")
UNREAD = ("spec.toml", "run.lock", "report.html", "tokenizers/", "trackers/", "evaluation/samples/")
"""What a run writes and never reads again; run.lock is empty."""


class Killed(BaseException):
    pass


class DiesInStep4(Heard):
    def tick(self, stage: str, done: int, total: int) -> None:
        if stage == "train" and any(e["event"] == "step" and e["global_step"] == 3 for e in self.events):
            raise Killed


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return start(tmp_path_factory.mktemp("whole"), SPEC)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(Killed):
        start(folder, SPEC, DiesInStep4())
    return folder / "runs" / "tortured"


@pytest.fixture
def finished(whole: Path, tmp_path: Path) -> Path:
    """A copy of a finished run."""
    return Path(shutil.copytree(whole, tmp_path / "runs" / "tortured"))


@pytest.fixture
def unfinished(stopped: Path, tmp_path: Path) -> Path:
    """A copy of a run that was killed in the training of step 4: sampled, judged, not applied."""
    return Path(shutil.copytree(stopped, tmp_path / "runs" / "tortured"))


def flip(file: Path, at: int, mask: int = 1) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= mask
    file.write_bytes(content)


def replace_digit(file: Path, before: bytes, after: bytes) -> None:
    content = file.read_bytes()
    assert before in content
    file.write_bytes(content.replace(before, after, 1))


def damaged(run: Path) -> list[str]:
    return [finding.path for finding in check_run(run) if finding.state == "damaged"]


def test_fsck_reads_every_file_that_is_not_for_people_alone(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    findings = {finding.path: finding.state for finding in check_run(finished)}
    assert set(findings.values()) == {"ok"}
    files = {f.relative_to(finished).as_posix() for f in finished.rglob("*") if f.is_file()}
    unread = {f for f in files if f.startswith(UNREAD)}
    inside = {f for f in files if f.startswith("checkpoints/")}
    assert files - unread - inside <= set(findings)
    assert {"/".join(f.split("/")[:2]) for f in inside} <= set(findings)
    assert main(["fsck", str(finished)]) == 0
    assert f"{len(findings)} checked: {len(findings)} ok" in capsys.readouterr().out


COMMANDS = (
    (
        "plan.json",
        b'"seed": 0',
        b'"seed": 2',
        (
            ["resume"],
            ["report"],
            ["eval", "--tasks", "arithmetic_chains_easy"],
            ["diff", "RUN"],
            ["replay", "--step", "2"],
        ),
    ),
    ("events.jsonl", b'"applied": 1', b'"applied": 0', (["resume"], ["report"], ["replay", "--step", "2"])),
    ("scores.json", b'"value": 0.0', b'"value": 0.9', (["report"],)),
    ("manifest.json", b'"seed": 0', b'"seed": 2', (["report"],)),
    (
        "journal/step-000003.journal",
        b"prune",
        b"prunf",
        (["report"], ["samples", "--step", "3"], ["replay", "--step", "3"]),
    ),
)


@pytest.mark.parametrize(
    ("name", "before", "after", "commands"), COMMANDS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_changed_digit_is_named_by_every_reader_and_costs_nothing(
    finished: Path,
    name: str,
    before: bytes,
    after: bytes,
    commands: tuple[list[str], ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    replace_digit(finished / name, before, after)
    content = (finished / name).read_bytes()
    assert name in damaged(finished)
    for command, *rest in commands:
        words = [str(finished) if word == "RUN" else word for word in rest]
        assert main([command, str(finished), *words]) == 5, command
        said = capsys.readouterr().err
        assert name.split("/")[-1] in said
        assert "fsck" in said or "help:" in said
        assert "internal error" not in said
    assert (finished / name).read_bytes() == content


def resumed(run: Path) -> int:
    return main(["run", str(run.parents[1] / "spec.toml")])


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "spec.toml").write_text(SPEC)
    return tmp_path / "spec.toml"


def test_an_unchanged_run_goes_on_to_the_same_outcome(
    unfinished: Path, spec: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(spec.parent)
    # Killed between the event of an evaluation and the file that is derived from it.
    (unfinished / "scores.json").unlink()
    assert resumed(unfinished) == 0
    assert outcome(unfinished.parent, "tortured") == outcome(whole.parent, "tortured")


@pytest.mark.parametrize(
    ("name", "at", "said"),
    [
        ("journal/step-000004.journal", -9, "step-000004.journal: frame 4 at byte"),
        ("journal/documents-pretrain.journal", 40, ""),
        ("events.jsonl", 200, "events.jsonl:"),
        ("events.jsonl", -1, "its line end was changed"),
        ("plan.json", 2000, "plan.json: "),
        ("manifest.json", 2000, "manifest.json: "),
    ],
)
def test_a_flip_in_what_a_resume_reads_stops_it_before_anything_is_trained(
    unfinished: Path, spec: Path, name: str, at: int, said: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(spec.parent)
    flip(unfinished / name, at, 4)
    assert name in damaged(unfinished)
    if not said:
        return  # the documents of a finished phase are read by `fsck` alone
    before = (unfinished / "events.jsonl").read_bytes()
    assert resumed(unfinished) == 5
    assert said in capsys.readouterr().err
    after = (unfinished / "events.jsonl").read_bytes()
    assert after.startswith(before)
    assert b'"event": "step"' not in after[len(before) :]
    assert [f.name for f in unfinished.parent.iterdir()] == ["tortured"], "no other run was started instead"


def test_a_damaged_checkpoint_is_passed_over_in_words_and_the_outcome_is_the_same(
    unfinished: Path, spec: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(spec.parent)
    flip(unfinished / "checkpoints" / "step-000003" / "model.safetensors", 2000)
    assert resumed(unfinished) == 0
    assert "checkpoint step-000003 is damaged (model.safetensors is missing or differs)" in capsys.readouterr().err
    assert outcome(unfinished.parent, "tortured") == outcome(whole.parent, "tortured")
    assert [e["global_step"] for e in steps_of(unfinished)] == [1, 2, 3, 4], "every step stands in the log once"


@pytest.mark.parametrize("how", ["damaged", "removed"])
def test_a_run_without_its_checkpoints_never_starts_again_silently(
    unfinished: Path, spec: Path, how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(spec.parent)
    for folder in (unfinished / "checkpoints").iterdir():
        if how == "removed":
            shutil.rmtree(folder)
        else:
            (folder / "trainer" / "state.json").unlink()
    assert resumed(unfinished) == 5
    said = capsys.readouterr().err
    assert (
        "no checkpoint is valid" if how == "damaged" else "holds no checkpoint, and the run had committed step 3"
    ) in said


@pytest.mark.parametrize("kept", [0, 3])
def test_lost_events_are_missed_by_the_checkpoint(
    unfinished: Path, spec: Path, kept: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(spec.parent)
    file = unfinished / "events.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:kept]))
    if not kept:
        file.unlink()
    assert "events.jsonl" in damaged(unfinished)
    assert resumed(unfinished) == 5
    assert "that step-000003 was written after are missing" in capsys.readouterr().err


def test_repair_does_what_can_be_done_and_leaves_the_rest(
    unfinished: Path, spec: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(spec.parent)
    scores = (unfinished / "scores.json").read_bytes()
    replace_digit(unfinished / "scores.json", b'"value": 0.0', b'"value": 0.9')
    flip(unfinished / "journal" / "step-000004.journal", -9)
    flip(unfinished / "checkpoints" / "step-000003" / "config.json", 20)
    with (unfinished / "events.jsonl").open("ab") as file:
        file.write(b'{"event": "st')
    assert main(["fsck", str(unfinished)]) == 5
    assert "--repair` does what can be done" in capsys.readouterr().out
    assert main(["fsck", str(unfinished), "--repair"]) == 0
    assert (unfinished / "scores.json").read_bytes() == scores
    assert damaged(unfinished) == ["checkpoints/step-000003"], "missing now, until the run repeats it"
    assert resumed(unfinished) == 0
    assert damaged(unfinished) == []
    assert outcome(unfinished.parent, "tortured") == outcome(whole.parent, "tortured")


@pytest.mark.parametrize("how", ["flip", "delete", "swap"])
def test_what_each_question_added_is_missed_and_comes_back_from_the_cache(
    finished: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, last = sorted((finished / "evaluation" / "questions").iterdir())
    content = last.read_bytes()
    if how == "flip":
        flip(last, len(content) // 2)
    elif how == "delete":
        last.unlink()
    else:
        last.write_bytes(first.read_bytes())
    name = f"evaluation/questions/{last.name}"
    assert damaged(finished) == [name]
    assert main(["fsck", str(finished), "--repair"]) == 0
    said = {"flip": "the line is damaged", "delete": "missing", "swap": "differs from its hash in manifest.json"}[how]
    assert said in capsys.readouterr().out
    assert last.read_bytes() == content
    flip(last, len(content) // 2)
    shutil.rmtree(finished / "evaluation" / "cache")
    assert main(["fsck", str(finished), "--repair"]) == 5
    assert f"{name}: damaged" in capsys.readouterr().out


def test_fsck_reads_what_eval_has_written_in_the_run_folder(finished: Path) -> None:
    folder = finished / "eval"
    shutil.copytree(finished / "evaluation" / "questions", folder / "questions")
    shutil.copytree(finished / "evaluation" / "cache", folder / "cache")
    shutil.copy(finished / "scores.json", folder)
    files = [folder / "scores.json", *(folder / "questions").iterdir(), *(folder / "cache").iterdir()]
    assert {f.relative_to(finished).as_posix() for f in files} <= {finding.path for finding in check_run(finished)}
    assert damaged(finished) == []
    for file in files:
        flip(file, -9)
    assert sorted(damaged(finished)) == sorted(f.relative_to(finished).as_posix() for f in files)
    assert main(["fsck", str(finished), "--repair"]) == 0
    assert not any(file.exists() for file in files)
    assert damaged(finished) == []


def test_what_was_set_aside_before_is_not_replaced(finished: Path) -> None:
    saved = finished / "checkpoints" / "step-000003"
    shutil.copytree(saved, saved.with_name("step-000003.bad"))
    flip(saved / "config.json", 20)
    assert main(["fsck", str(finished), "--repair"]) == 0
    assert saved.with_name("step-000003.2.bad").is_dir()


def test_a_missing_manifest_is_damage_that_fsck_leaves(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replace_digit(finished / "manifest.json", b'"seed": 0', b'"seed": 2')
    assert main(["fsck", str(finished), "--repair"]) == 0
    assert "1 damaged; 1 of these repaired" in capsys.readouterr().out
    assert main(["fsck", str(finished), "--repair"]) == 5
    assert "manifest.json: damaged: missing\n  help: " in capsys.readouterr().out


def test_torture_keeps_its_runs_in_an_empty_folder_alone(
    finished: Path, spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["torture", str(spec), "--flips", "1", "--keep", str(finished)]) == 2
    assert "is not an empty folder" in capsys.readouterr().err


def test_replay_takes_every_step_again_and_finds_it_equal(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {f: f.read_bytes() for f in finished.rglob("*") if f.is_file()}
    assert main(["replay", str(finished), "--step", "4"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(
        "from checkpoint step-000003\nstep 4 (refine): tokens equal, credit equal, loss equal, weights equal"
    )
    shutil.rmtree(finished / "checkpoints" / "step-000001")
    assert main(["replay", str(finished), "--step", "2"]) == 0
    assert "from the initial model\nstep 1 (pretrain): " in capsys.readouterr().out
    after = {f: f.read_bytes() for f in finished.rglob("*") if f.is_file()}
    assert after.items() <= before.items(), "nothing is written"
    assert main(["replay", str(finished), "--step", "9"]) == 2


def test_replay_finds_another_credit_and_refuses_another_journal(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = finished / "journal" / "step-000004.journal"
    *frames, last = frames_of(finished, 4)
    write_frames(file, [*frames, replace(last, header={**last.header, "rewards": [0.25, 0.75]})])
    assert main(["replay", str(finished), "--step", "4"]) == 5
    assert "is not the journal that the step was trained on" in capsys.readouterr().err
    assert "journal/step-000004.journal" in damaged(finished), "though every frame has its checksum"


def test_a_folder_that_looks_like_a_checkpoint_does_not_keep_a_run_from_resuming(
    unfinished: Path, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(spec.parent)
    shutil.copytree(unfinished / "checkpoints" / "step-000003", unfinished / "checkpoints" / "step-000010 (copy)")
    (unfinished / "checkpoints" / "step-foo").mkdir()
    assert resumed(unfinished) == 0


def test_runs_of_the_earlier_form_are_refused_in_words(
    unfinished: Path, spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(spec.parent)
    (unfinished / "journal" / "step-000004.jsonl").write_text('{"kind": "step"}\n')
    assert resumed(unfinished) == 5
    said = capsys.readouterr().err
    assert "written by an earlier version of prerl-spec" in said
    assert "finish the run with the version that started it" in said


def test_a_plan_file_whose_content_was_changed_is_refused(tmp_path: Path, spec: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text(compile_spec(spec).plan.text())
    content: Mapping[str, Any] = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "seed": 2}, indent=1) + "\n")
    with pytest.raises(Damaged, match=r"plan\.json: the content differs from its seal"):
        compile_spec(file)


def test_a_plan_whose_digest_is_not_that_of_its_content_is_refused(tmp_path: Path, spec: Path) -> None:
    file = tmp_path / "plan.json"
    plan = compile_spec(spec).plan
    file.write_text(replace(plan, seed=2).text())
    with pytest.raises(Damaged, match="its digest is not that of its content"):
        compile_spec(file)


def test_eval_tells_which_checkpoint_it_passes_over_and_refuses_a_changed_one(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newest = finished / "checkpoints" / "step-000004"
    flip(newest / "model.safetensors", 2000)
    assert find_target(str(finished)).passed_over == (
        "checkpoint step-000004 is damaged (model.safetensors is missing or differs)",
    )
    assert main(["eval", str(newest), "--tasks", "arithmetic_chains_easy", "--limit", "1"]) == 5
    assert "step-000004 is a checkpoint, and model.safetensors is missing or differs" in capsys.readouterr().err
    shutil.rmtree(finished / "checkpoints" / "step-000003" / "trainer")
    assert find_target(str(finished / "checkpoints" / "step-000003")).name == "step-000003"


def test_a_run_in_another_format_is_refused_with_the_version_that_wrote_it(
    unfinished: Path, spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(spec.parent)
    manifest = read_object(unfinished / "manifest.json")
    write_object(unfinished / "manifest.json", {**manifest, "formats": {**manifest["formats"], "journal": 7}})
    assert resumed(unfinished) == 3
    said = capsys.readouterr().err
    assert "was written in other formats: journal 7 (here 1)" in said
    assert "pip install prerl-spec==" in said


@pytest.mark.parametrize("how", ["damaged", "repaired"])
def test_a_finished_run_repeats_the_steps_of_a_final_checkpoint_that_is_damaged_or_gone(
    finished: Path, whole: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flip(finished / "checkpoints" / "step-000004" / "model.safetensors", 2000)
    if how == "repaired":
        assert main(["fsck", str(finished), "--repair"]) == 0
        assert damaged(finished) == ["checkpoints/step-000004"], "missing, and nothing but a resume brings it back"
    assert main(["resume", str(finished)]) == 0
    assert "its final checkpoint is damaged or gone: repeating the steps after step-000003" in capsys.readouterr().err
    assert outcome(finished.parent, "tortured") == outcome(whole.parent, "tortured")
    assert damaged(finished) == []
    assert main(["resume", str(finished)]) == 0
    assert "nothing to resume" in capsys.readouterr().err


def test_the_plan_of_another_run_is_refused(
    unfinished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(SPEC.replace('name = "tortured"', 'name = "tortured", seed = 7'))
    (unfinished / "plan.json").write_text(compile_spec(other).plan.text())
    assert main(["resume", str(unfinished)]) == 4
    assert "and the run was started with" in capsys.readouterr().err


def test_a_resume_does_not_read_the_copy_of_the_spec(unfinished: Path) -> None:
    (unfinished / "spec.toml").write_bytes(b"\xff")
    assert main(["resume", str(unfinished)]) == 0


@pytest.mark.parametrize("how", ["seal", "cut", "empty", "deleted"])
def test_a_plan_that_cannot_be_read_starts_no_other_run(
    unfinished: Path, spec: Path, how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(spec.parent)
    file = unfinished / "plan.json"
    content = file.read_bytes()
    changed = {"seal": content.replace(b'"seal"', b'"sdal"'), "cut": content[: len(content) // 2], "empty": b""}
    if how == "deleted":
        file.unlink()
    else:
        file.write_bytes(changed[how])
    for command in (["run", str(spec)], ["resume", str(unfinished)], ["diff", str(unfinished), str(unfinished)]):
        assert main(command) == 5, command
        assert "plan.json" in capsys.readouterr().err
    assert [f.name for f in unfinished.parent.iterdir()] == ["tortured"]


def test_a_report_does_not_approve_of_damage(finished: Path) -> None:
    for name in ("spec.toml", "tokenizers/corpus/tokenizer.json"):
        flip(finished / name, 5)
    assert main(["report", str(finished)]) == 0
    assert damaged(finished) == ["spec.toml", "tokenizers/corpus/tokenizer.json"]


def test_a_report_has_the_scores_of_the_events_and_refuses_any_other(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = read_run(finished).scores
    (finished / "scores.json").unlink()
    assert read_run(finished).scores == rows, "the events hold them"
    write_scores(finished / "scores.json", [{**asdict(rows[0]), "value": 0.9}])
    assert main(["report", str(finished)]) == 5
    assert "scores.json: entry 0 is not a score of events.jsonl" in capsys.readouterr().err


def test_a_checkpoint_under_the_name_of_another_step_is_damaged(
    unfinished: Path, spec: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(spec.parent)
    shutil.copytree(unfinished / "checkpoints" / "step-000001", unfinished / "checkpoints" / "step-000009")
    (unfinished / "checkpoints" / "step-000003" / "adapter_config.json").write_text("{}")
    assert damaged(unfinished) == ["checkpoints/step-000003", "checkpoints/step-000009"]
    assert resumed(unfinished) == 0
    said = capsys.readouterr().err
    assert "checkpoint step-000009 is damaged (it is the checkpoint of step 1)" in said
    assert "checkpoint step-000003 is damaged (adapter_config.json was added)" in said
    assert outcome(unfinished.parent, "tortured") == outcome(whole.parent, "tortured")


def test_a_step_is_not_taken_again_with_other_verdicts(
    unfinished: Path, spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(spec.parent)
    shutil.rmtree(unfinished / "checkpoints" / "step-000003")
    (unfinished / "checkpoints" / "step-000003.bad").mkdir()
    *frames, last = frames_of(unfinished, 3)
    file = unfinished / "journal" / "step-000003.journal"
    write_frames(file, [*frames, replace(last, header={**last.header, "rewards": [0.25, 0.75]})])
    assert resumed(unfinished) == 5
    assert "step-000003.journal: not what its step was trained on" in capsys.readouterr().err
    file.unlink()
    assert resumed(unfinished) == 5
    assert "step-000003.journal is missing, and its step was trained on it" in capsys.readouterr().err


@pytest.mark.parametrize("cut", [1, 3])
def test_a_finished_run_misses_its_last_events(finished: Path, cut: int, capsys: pytest.CaptureFixture[str]) -> None:
    scores = (finished / "scores.json").read_bytes()
    file = finished / "events.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-cut]))
    assert main(["report", str(finished)]) == 5
    assert "events that manifest.json was written after" in capsys.readouterr().err
    assert main(["fsck", str(finished), "--repair"]) == 5
    assert (finished / "scores.json").read_bytes() == scores, "not written from events that are incomplete"


def test_fsck_misses_deleted_checkpoints_and_sets_none_aside_where_none_is_valid(
    unfinished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in (1, 2):
        shutil.rmtree(unfinished / "checkpoints" / f"step-{step:06d}", ignore_errors=True)
    assert damaged(unfinished) == ["checkpoints/step-000001"], "the end of a phase is always kept"
    (unfinished / "checkpoints" / "step-000003" / "MANIFEST.json").unlink()
    assert main(["fsck", str(unfinished), "--repair"]) == 5
    assert (unfinished / "checkpoints" / "step-000003").is_dir()
    assert "restore a checkpoint from a copy: none is valid" in capsys.readouterr().out


def test_a_manifest_that_is_gone_is_missed(
    unfinished: Path, spec: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(spec.parent)
    (unfinished / "manifest.json").unlink()
    assert resumed(unfinished) == 5
    assert "manifest.json is missing, and the run has begun" in capsys.readouterr().err
    assert main(["fsck", str(unfinished), "--repair"]) == 0
    assert resumed(unfinished) == 0
    assert outcome(unfinished.parent, "tortured") == outcome(whole.parent, "tortured")


def test_two_starts_at_the_same_moment_are_one_run(spec: Path) -> None:
    def begin() -> None:
        os.chdir(spec.parent)
        sys.exit(main(["run", "spec.toml"]))

    said = [spec.parent / f"{name}.log" for name in ("one", "other")]
    starts = [forked(begin, log) for log in said]
    codes = [os.waitstatus_to_exitcode(os.waitpid(start, 0)[1]) for start in starts]
    assert sorted(codes) == [0, 2], [log.read_text() for log in said]
    assert [f.name for f in (spec.parent / "runs").iterdir()] == ["tortured"]


def test_far_from_a_checkpoint_the_credit_alone_is_recomputed(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("prerl_spec.engine.inspect.replay_credit.NEAR", 0)
    assert main(["replay", str(finished), "--step", "4"]) == 0
    said = capsys.readouterr().out
    assert said == (
        "the nearest checkpoint is 1 steps away: the credit alone; --far recomputes all 1 steps\n"
        "step 4 (refine): credit equal\n"
    )
    assert main(["replay", str(finished), "--step", "4", "--far"]) == 0
    assert "weights equal" in capsys.readouterr().out
    assert main(["replay", str(finished), "--step", "1"]) == 2, "documents have no journal of responses"

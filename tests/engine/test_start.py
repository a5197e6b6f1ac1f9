"""`[start] from`: a run that begins at the end of another run's phase goes on as that run would have, to the last bit."""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.cli.main import main
from prerl_spec.compiler.compare.seeds import source_of
from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.planning.digest import meaning
from prerl_spec.engine.record import checkpoint
from prerl_spec.evaluation.targets import find_target
from prerl_spec.testing.tiny import save_tiny
from tests.engine.continued import CARRIED, FIRST, HEAD, SECOND, result, started, whole
from tests.engine.runs import Heard, start, steps_of

MUON = SECOND + 'optimizer = { use = "muon", lr = 1e-3 }\n'
SCORED = '[[evaluate]]\nuse = "holdout"\ndata = "train"\nlimit = 2\n'


class Killed(BaseException):
    """Nothing of ours catches it."""


def die(event: Mapping[str, Any]) -> None:
    if event["event"] == "step":
        raise Killed


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose first phase leaves its reference model and its falling learning rate to the second."""
    return start(tmp_path_factory.mktemp("source"), whole())


@pytest.fixture
def copied(source: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may change."""
    return Path(shutil.copytree(source, tmp_path / "source"))


def written(folder: Path, text: str) -> str:
    (folder / "spec.toml").write_text(text.replace('output_dir = "runs"', f'output_dir = "{folder / "runs"}"'))
    return str(folder / "spec.toml")


def changed(folder: Path) -> None:
    """Makes another valid checkpoint of it: of one trained token more."""
    state = folder / "trainer" / "state.json"
    value = json.loads(state.read_text())
    state.write_text(json.dumps({**value, "trained_tokens": value["trained_tokens"] + 1}))
    checkpoint._seal(folder)


def test_a_start_goes_on_to_the_bits_of_the_whole_run(source: Path, tmp_path: Path) -> None:
    """Weights, moments, kept reference, falling learning rate, position and events; scored once where it begins."""
    run = start(tmp_path, started(whole(), f"{source}@pretrain") + SCORED)
    assert result(run) == result(source)
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    assert [(e["phase"], e["global_step"]) for e in events if e["event"] == "evaluate"] == [("base", 3), ("refine", 5)]
    manifest = json.loads((run / "manifest.json").read_text())
    assert (manifest["start"]["run"], manifest["start"]["phase"], manifest["start"]["global_step"]) == (
        str(source),
        "pretrain",
        3,
    )


def test_the_first_schedule_sees_what_had_been_scored_at_the_start(tmp_path: Path) -> None:
    """A plateau of scores is counted from that of the phase's end on, so that both runs end with the same step."""
    scored = HEAD + '[[evaluate]]\nuse = "holdout"\ndata = "train"\nlimit = 2\nat = []\nevery = 1\n'
    plateau = '{ use = "until_plateau", metric = "train/avg@1", patience = 2, steps = 6 }'
    text = whole("", steps=1, head=scored, second=SECOND.replace('{ use = "fixed_steps", steps = 2 }', plateau))
    undisturbed = start(tmp_path / "whole", text)
    run = start(tmp_path / "started", started(text, f"{undisturbed}@pretrain"))
    assert len(result(undisturbed, since=1)["steps"]) < 6
    assert result(run, since=1) == result(undisturbed, since=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        whole(', optimizer = "reset", data = "restart"'),
        whole("", second=MUON),
        whole("").replace("every = 2", "every = 1"),
    ],
    ids=["reset", "another_optimizer", "resynced"],
)
def test_what_a_phase_leaves_behind_is_what_its_schedule_says(text: str, tmp_path: Path) -> None:
    undisturbed = start(tmp_path / "whole", text)
    run = start(tmp_path / "started", started(text, f"{undisturbed}@pretrain"))
    assert result(run) == result(undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("more", ["", CARRIED])
def test_an_adapter_goes_on_too(more: str, tmp_path: Path) -> None:
    base = save_tiny(tmp_path / "base")
    model = f'[model]\nuse = "hf_causal"\nname = "{base}"\nadapter = {{ use = "lora", rank = 4 }}\n\n'
    text = whole(more, head=HEAD[: HEAD.index("[model]")] + model + HEAD[HEAD.index("[data]") :])
    undisturbed = start(tmp_path / "whole", text)
    run = start(tmp_path / "started", started(text, f"{undisturbed}@pretrain"))
    assert result(run) == result(undisturbed)


@pytest.mark.slow
def test_a_checkpoint_within_a_phase_is_a_phase_that_ended_there(source: Path, tmp_path: Path) -> None:
    text = whole("").replace('lr_schedule = "linear"', 'lr_schedule = "constant"')
    longer = start(tmp_path / "longer", text.replace("keep = 2", "keep = 9"))
    ended = start(tmp_path / "ended", text.replace("steps = 3", "steps = 2"))
    run = start(tmp_path / "started", started(text, longer / "checkpoints" / "step-000002"))
    assert result(run, since=2) == result(ended, since=2)


@pytest.mark.slow
def test_a_start_of_a_start_keeps_the_first_reference(tmp_path: Path) -> None:
    """Neither of the first two runs has a reference model; the third compares with the initial model of the first."""
    second = SECOND.replace(
        '{ use = "weighted_sum", terms = [{ use = "marginal_nsr", advantage = "minus_one" }, "kl"] }', '"grpo"'
    )
    kept = second.replace("steps = 2", 'steps = 2, reference = "keep"')
    third = SECOND.replace('"refine"', '"last"')
    text = whole(', reference = "keep"', second=kept) + third
    undisturbed = start(tmp_path / "whole", text)
    first = start(tmp_path / "first", text[: text.index("[[phases]]", text.index("[[phases]]") + 1)])
    then = start(tmp_path / "then", started(whole("", second=kept), f"{first}@pretrain"))
    run = start(tmp_path / "last", started(whole("", second=third), f"{then}@refine"))
    assert result(run, since=5) == result(undisturbed, since=5)


@pytest.mark.slow
def test_an_extension_with_a_reference_finds_that_of_the_start(tmp_path: Path) -> None:
    second = SECOND.replace(
        '{ use = "weighted_sum", terms = [{ use = "marginal_nsr", advantage = "minus_one" }, "kl"] }', '"grpo"'
    )
    kept = second.replace("steps = 2", 'steps = 2, reference = "keep"')
    third = SECOND.replace('"refine"', '"last"')
    for more in ("", ', reference = "keep"'):
        folder = tmp_path / (more and "kept")
        folder.mkdir(exist_ok=True)
        text = whole(more, second=kept) + third
        undisturbed = start(folder / "whole", text)
        short = started(whole(more, second=kept), f"{undisturbed}@pretrain")
        run = start(folder / "started", short)
        assert main(["resume", str(run), written(folder, short + third)]) == 0
        assert result(run) == result(undisturbed)


def test_a_start_is_loaded_again_until_the_run_has_a_checkpoint(
    source: Path, copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = started(whole(), f"{copied}@pretrain").replace("every = 2", "every = 9")
    with pytest.raises(Killed):
        start(tmp_path, text, Heard(die))
    run, held = tmp_path / "runs" / "small", copied / "checkpoints" / "step-000003"
    shutil.copytree(held, tmp_path / "kept")
    changed(held)
    assert main(["resume", str(run)]) == 4
    assert f"{held} has changed" in capsys.readouterr().err
    shutil.rmtree(held)
    assert main(["resume", str(run)]) == 3
    assert "is gone" in capsys.readouterr().err
    (tmp_path / "kept").rename(held)
    assert main(["resume", str(run)]) == 0
    assert result(run) == result(source)
    shutil.rmtree(copied)
    assert main(["resume", str(run)]) == 0, "a run with checkpoints of its own goes on without its start"


def test_a_phase_that_came_before_a_run_began_is_sought_in_the_run_that_it_started_from(
    source: Path, tmp_path: Path
) -> None:
    run = start(tmp_path, started(whole(), f"{source}@pretrain"))
    again = compile_spec(Path(written(tmp_path, started(whole(), f"{run}@pretrain")))).plan
    need = next(need for need in again.unmet if need.what == "start")
    assert need.hint == (
        f"these phases have ended: {run}@refine; the run itself started from {source}@pretrain: its own spec, run with --set, "
        "goes on from there in another way"
    )


@pytest.mark.slow
def test_the_first_step_after_a_start_is_replayed(source: Path, tmp_path: Path) -> None:
    run = start(tmp_path, started(whole(), f"{source}@pretrain"))
    assert main(["replay", str(run), "--step", "4"]) == 0


def test_a_damaged_start_is_named_before_it_is_used(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = written(tmp_path, started(whole(), f"{copied}@pretrain"))
    folder = copied / "checkpoints" / "step-000003"
    for file, command in (("model.safetensors", "run"), ("trainer/state.json", "plan"), ("MANIFEST.json", "plan")):
        before = (folder / file).read_bytes()
        (folder / file).write_bytes(before[:-9] + bytes([before[-9] ^ 1]) + before[-8:])
        assert main([command, spec]) == 5
        said = capsys.readouterr().err
        assert str(folder) in said
        assert file in said
        (folder / file).write_bytes(before)


def test_a_start_that_is_not_there_is_an_unmet_need(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = written(tmp_path, started(whole(), "elsewhere@pretrain"))
    assert main(["validate", spec]) == 0
    assert main(["plan", spec]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert (
        f"start elsewhere@pretrain, unknown: there is no folder {tmp_path / 'elsewhere'} or {tmp_path / 'runs' / 'elsewhere'}"
        in shown
    )
    assert "NOT MET start elsewhere@pretrain, for start.from" in shown
    assert main(["run", spec]) == 3
    assert not (tmp_path / "runs").exists()


def test_a_plan_says_where_it_starts(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", written(tmp_path, started(whole(), f"{source}@pretrain"))]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    trained = sum(step["tokens"]["trained"] for step in steps_of(source) if step["phase"] == "pretrain")
    tokens = f"0 tokens generated, {trained} trained so far"
    assert f"the end of phase pretrain of {source}: global step 3, {tokens}" in shown
    assert "moments carried, learning rate carried on, reference kept, data continued" in shown


@pytest.mark.parametrize(
    ("origin", "said", "hint"),
    [
        ("{source}@prune", "has no phase `prune`", "{source}@pretrain, {source}@refine"),
        ("{source}", "no phase of it is named", "{source}@pretrain, {source}@refine"),
        ("{source}/checkpoints", "neither a run nor a checkpoint", "RUN@PHASE"),
        ("{source}/journal@pretrain", "is not a run folder", "name"),
    ],
)
def test_what_names_no_start_is_told_with_what_would(
    source: Path, tmp_path: Path, origin: str, said: str, hint: str
) -> None:
    plan = compile_spec(Path(written(tmp_path, started(whole(), origin.format(source=source))))).plan
    need = next(need for need in plan.unmet if need.what == "start")
    assert said in need.found
    assert hint.format(source=source) in need.hint


def test_a_phase_that_goes_on_has_not_ended(copied: Path, tmp_path: Path) -> None:
    """The second phase has taken a step and no other event came: what a kill leaves."""
    events, manifest = copied / "events.jsonl", copied / "manifest.json"
    lines = events.read_text().splitlines(keepends=True)
    last = next(i for i, line in enumerate(lines) if '"event": "step"' in line and '"phase": "refine"' in line)
    events.write_text("".join(lines[: last + 1]))
    manifest.unlink()
    plan = compile_spec(Path(written(tmp_path, started(whole(), f"{copied}@refine")))).plan
    need = next(need for need in plan.unmet if need.what == "start")
    assert "phase `refine`" in need.found
    assert "has not ended" in need.found
    assert need.hint == f"these phases have ended: {copied}@pretrain"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("hidden_size = 32", "hidden_size = 64", ("`config.hidden_size` of this run's model is 64", "32")),
        ('tokenizer = "data:corpus"', 'tokenizer = "{tiny}"', ("has another tokenizer than this run: its token",)),
    ],
)
def test_a_start_of_another_model_is_refused_at_its_place(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, said: tuple[str, ...]
) -> None:
    text = started(whole(), f"{source}@pretrain")
    assert old in text
    new = new.format(tiny=save_tiny(tmp_path / "tiny")) if "{tiny}" in new else new
    spec = written(tmp_path, text.replace(old, new))
    assert main(["validate", spec]) == 0
    assert main(["plan", spec]) == 1
    err = capsys.readouterr().err
    assert "error[E0701]" in err
    assert f'from = "{source}@pretrain"' in err
    assert all(words in err for words in said)


def test_an_adapter_does_not_go_on_from_a_whole_model(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = started(whole(), f"{source}@pretrain")
    adapted = f'[model]\nuse = "hf_causal"\nname = "{save_tiny(tmp_path / "tiny")}"\nadapter = "lora"\n\n'
    text = text[: text.index("[model]")] + adapted + text[text.index("[data]") :]
    assert main(["plan", written(tmp_path, text)]) == 1
    err = capsys.readouterr().err
    assert f'`adapter` of this run\'s model is "lora", of the run in {source} "off"' in err
    assert "name the checkpoint folder as `model.name`" in err


def test_a_plan_made_elsewhere_is_held_against_the_start_that_it_finds(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The other run was not on the planning machine: its tokenizer is compared before anything is trained."""
    text = started(whole(), tmp_path / "later@pretrain")
    text = text.replace('tokenizer = "data:corpus"', f'tokenizer = "{save_tiny(tmp_path / "tiny")}"')
    plan = str(tmp_path / "plan.json")
    assert main(["plan", written(tmp_path, text), "--out", plan]) == 0
    shutil.copytree(source, tmp_path / "later")
    assert main(["run", plan]) == 3
    assert "has another tokenizer than this run" in capsys.readouterr().err


def test_the_digest_holds_the_content_of_a_start_not_its_place(source: Path, copied: Path, tmp_path: Path) -> None:
    here, there = (
        compile_spec(Path(written(tmp_path, started(whole(), f"{run}@pretrain")))).plan for run in (source, copied)
    )
    assert here.digest == there.digest
    changed(copied / "checkpoints" / "step-000003")
    other = compile_spec(tmp_path / "spec.toml").plan
    assert other.digest != here.digest
    plain = compile_spec(Path(written(tmp_path, whole()))).plan
    assert "start" not in plain.as_json()
    assert "start" not in meaning(plain)


def test_a_run_of_another_content_is_not_what_was_started_from(source: Path, copied: Path, tmp_path: Path) -> None:
    """`compare` counts what the run behind a start has spent: not that of another run which lies there by now."""
    plan = compile_spec(Path(written(tmp_path, started(whole(), f"{copied}@pretrain")))).plan
    cell = tmp_path / "study" / "cells" / "grpo"
    assert source_of(cell, plan) == copied
    held = copied / "checkpoints" / "step-000003"
    changed(held)
    assert source_of(cell, plan) is None
    # As a study's folder that was moved holds it.
    shared = Path(shutil.copytree(source, tmp_path / "study" / "shared" / copied.name))
    assert source_of(cell, plan) == shared
    # Without its checkpoint it is not to be told.
    shutil.rmtree(held)
    assert source_of(cell, plan) == copied


def test_a_start_that_has_changed_is_drift(copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Against a plan that was made before, and against a lock."""
    spec, plan = written(tmp_path, started(whole(), f"{copied}@pretrain")), str(tmp_path / "plan.json")
    assert main(["plan", spec, "--out", plan]) == 0
    assert main(["lock", spec]) == 0
    assert main(["lock", spec, "--check"]) == 0
    changed(copied / "checkpoints" / "step-000003")
    capsys.readouterr()
    assert main(["run", plan]) == 4
    assert "error[E0501]: start.from: " in capsys.readouterr().err
    assert main(["lock", spec, "--check"]) == 4
    assert "`start.from` is content " in capsys.readouterr().err


def test_a_reference_model_that_was_kept_is_loaded_at_a_start(tmp_path: Path) -> None:
    """Of three phases the first resyncs it, the second keeps it, the third compares with it."""
    resynced = FIRST.format(steps=1, more="").replace('"pretrain"', '"first"')
    text = HEAD + resynced + FIRST.format(steps=1, more=', reference = "keep"') + SECOND
    undisturbed = start(tmp_path / "whole", text)
    origin = f'[start]\nfrom = "{undisturbed}@pretrain"\n'
    run = start(tmp_path / "started", HEAD + origin + SECOND)
    assert result(run, since=2) == result(undisturbed, since=2)


def test_debug_and_profile_begin_with_the_weights_of_the_start(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Their first step meets the prompts, samples and weights that the run's own has met."""
    spec = written(tmp_path, started(whole(), f"{source}@pretrain"))
    expected = next(step for step in steps_of(source) if step["global_step"] == 4)
    seen: list[Any] = []
    monkeypatch.setattr(sys, "breakpointhook", lambda: seen.append(sys._getframe(1).f_locals["record"]))
    assert main(["run", spec, "--debug"]) == 0
    assert f"of the model of {source}@pretrain" in capsys.readouterr().out
    assert main(["run", spec, "--profile"]) == 0
    (profile,) = tmp_path.rglob("events.jsonl")
    timed = steps_of(profile.parent)[0]
    assert (seen[0].global_step, timed["global_step"]) == (4, 4)
    assert seen[0].metrics["entropy"] == timed["metrics"]["entropy"] == expected["metrics"]["entropy"]
    assert seen[0].metrics["reward_mean"] == timed["metrics"]["reward_mean"] == expected["metrics"]["reward_mean"]


def test_eval_of_a_spec_scores_the_model_that_it_begins_with(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, held = written(tmp_path, started(whole(), f"{copied}@pretrain")), copied / "checkpoints" / "step-000003"
    target = find_target(spec)
    assert (target.model.name, target.phase, target.global_step) == (str(held), "base", 3)
    weights = (held / "model.safetensors").read_bytes()
    (held / "model.safetensors").write_bytes(weights[:-9] + bytes([weights[-9] ^ 1]) + weights[-8:])
    assert main(["eval", spec, "--tasks", "arithmetic_chains_easy"]) == 5
    shutil.rmtree(copied)
    assert main(["eval", spec, "--tasks", "arithmetic_chains_easy"]) == 3
    assert "there is no folder" in capsys.readouterr().err

"""Whole runs: what they leave behind, and that an interrupt changes nothing."""

import hashlib
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from prerl_spec.compiler.compile import check_spec
from prerl_spec.compiler.rules.metric_rules import known_metrics
from prerl_spec.compiler.rules.phase_roles import phase_roles
from prerl_spec.engine.verification.isolation import isolation_level
from prerl_spec.errors import Interrupted, UsageError
from tests.engine.runs import SPEC, Heard, start, steps_of, weights_at
from tests.run_files import frames_of, groups_of, write_frames


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return start(tmp_path_factory.mktemp("whole"))


def test_phases_end_after_exactly_their_steps(whole: Path) -> None:
    steps = [(e["phase"], e["step"], e["global_step"]) for e in steps_of(whole)]
    assert steps == [
        *(("pretrain", n, n) for n in (1, 2, 3)),
        *(("prune", n, n + 3) for n in (1, 2, 3)),
        *(("refine", n, n + 6) for n in (1, 2)),
    ]


def test_every_sampled_step_states_the_metrics_of_the_run_folder(whole: Path) -> None:
    expected = {
        "reward_mean", "verdict_right", "verdict_wrong", "verdict_unparsable", "verdict_timeout", "verdict_error",
        "groups_with_signal", "response_length", "truncated", "entropy", "logp_conditional", "grad_norm", "sampler_gap",
        "parameters_moved", "lr", "logp_marginal",
    }  # fmt: skip
    for event in steps_of(whole)[3:]:
        metrics = event["metrics"]
        assert expected <= set(metrics)
        assert sum(v for k, v in metrics.items() if k.startswith("verdict_")) == pytest.approx(1.0)
        # The embedded sampler draws from the trainer's own weights: only the order of fp32 sums differs.
        assert metrics["sampler_gap"] < 1e-5
        assert set(event["seconds"]) == {"sample", "verify", "train", "total"}
        assert event["tokens"]["generated"] >= event["tokens"]["trained"] > 0


def test_a_plan_knows_every_metric_that_a_step_states(whole: Path) -> None:
    """A schedule that watches another one is refused."""
    resolved, _ = check_spec(whole / "spec.toml")
    of_phase = {roles.spec.id: known_metrics(resolved, roles) for roles in phase_roles(resolved)}
    for event in steps_of(whole):
        known = of_phase[event["phase"]]
        assert known is not None
        assert [name for name in event["metrics"] if not any(fnmatchcase(name, pattern) for pattern in known)] == []


def test_a_step_on_documents_spends_no_seconds_on_sampling(whole: Path) -> None:
    sampled = [e["seconds"]["sample"] > 0 for e in steps_of(whole)]
    assert sampled == [False] * 3 + [True] * 5


def test_updates_per_batch_takes_that_many_optimizer_steps(whole: Path) -> None:
    assert [(e["updates"], e["applied"]) for e in steps_of(whole)[-2:]] == [(2, 2), (2, 2)]


def test_a_phase_ends_with_a_checkpoint_that_transformers_loads_unchanged(whole: Path) -> None:
    kept = sorted(f.name for f in (whole / "checkpoints").iterdir())
    assert kept == ["step-000003", "step-000006", "step-000008"]
    folder = whole / "checkpoints" / "step-000006"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    saved = weights_at(whole, 6)
    assert all(torch.equal(saved[n], p) for n, p in model.state_dict().items() if n in saved)
    assert tokenizer.decode(tokenizer("Q: 1 a:+2 ?")["input_ids"], skip_special_tokens=True) == "Q: 1 a:+2 ?"


def test_stock_lm_eval_loads_a_checkpoint_unchanged(whole: Path) -> None:
    """What `lm_eval --model hf --model_args pretrained=FOLDER` does first."""
    from lm_eval.models.huggingface import HFLM

    lm: Any = HFLM(pretrained=str(whole / "checkpoints" / "step-000006"), device="cpu", dtype="float32")
    saved = weights_at(whole, 6)
    assert all(torch.equal(saved[n], p) for n, p in lm.model.state_dict().items() if n in saved)
    assert lm.eot_token_id == 1


def test_the_journal_holds_tokens_then_verdicts_of_every_step(whole: Path) -> None:
    for step in (4, 5, 6, 7, 8):
        kinds = [frame.kind.name for frame in frames_of(whole, step)]
        assert kinds == ["STEP", *["GROUP"] * 4, *["VERDICTS"] * 4]
        tokens = sum(len(a.tokens) for group in groups_of(whole, step).values() for a in group.attempts)
        assert tokens == steps_of(whole)[step - 1]["tokens"]["generated"]


def test_the_folder_says_what_ran(whole: Path) -> None:
    manifest = json.loads((whole / "manifest.json").read_text())
    assert manifest["forward"] == {"rows": "flat", "head": "tiled", "norms": "fused: 9 of 9", "dropout": "off"}
    assert manifest["samplers"] == {"transformers": "each token by a step of its own"}
    assert manifest["prefixes"] == {"auto": {"ids": [0], "text": "<bos>"}}
    assert (whole / "spec.toml").read_text() == SPEC
    plan = json.loads((whole / "plan.json").read_text())
    assert plan["digest"] == manifest["digest"]
    assert manifest["values"] == plan["values"] != []
    assert manifest["seeds"] == {"run": 3, "data.corpus": 0, "data.train": 0}
    assert manifest["lineage"][0]["hardware"]["cores"] >= 1
    assert manifest["lineage"][0]["isolation"] == isolation_level()
    assert manifest["verifiers"] == {}, "none of this run's verifiers asks for variables or the network"


def test_what_a_run_made_is_noted_by_content(whole: Path) -> None:
    noted = json.loads((whole / "manifest.json").read_text())["artefacts"]
    kept = [f"checkpoints/{f.name}/MANIFEST.json" for f in (whole / "checkpoints").iterdir()]
    tokenizer = [f"tokenizers/corpus/{f.name}" for f in (whole / "tokenizers" / "corpus").iterdir()]
    assert set(noted) == {"plan.json", "spec.toml", *kept, *tokenizer}
    for name, digest in noted.items():
        assert hashlib.sha256((whole / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("at_step", [2, 3, 5, 7])
def test_an_interrupted_run_goes_on_to_the_same_bits(whole: Path, tmp_path: Path, at_step: int) -> None:
    def interrupt(event: Mapping[str, Any]) -> None:
        if event["event"] == "step" and event["global_step"] == at_step:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        start(tmp_path, listener=Heard(interrupt))
    heard = Heard()
    folder = start(tmp_path, listener=heard)
    done = [e["global_step"] for e in heard.events if e["event"] == "step"]
    assert done == list(range(at_step + 1, 9)), "no committed step is repeated"
    for name, tensor in weights_at(whole, 8).items():
        assert torch.equal(weights_at(folder, 8)[name], tensor), name


def test_an_interrupt_while_sampling_loses_no_finished_step(whole: Path, tmp_path: Path) -> None:
    class Impatient(Heard):
        def tick(self, stage: str, done: int, total: int) -> None:
            super().tick(stage, done, total)
            if stage == "sample" and self.events[-1].get("global_step") == 5:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        start(tmp_path, listener=Impatient())
    assert (tmp_path / "runs" / "small" / "checkpoints" / "step-000005").is_dir()
    folder = start(tmp_path)
    assert all(torch.equal(weights_at(folder, 8)[n], t) for n, t in weights_at(whole, 8).items())


def test_journalled_verdicts_are_trained_on_and_never_asked_for_again(whole: Path, tmp_path: Path) -> None:
    """A run killed between verdict and update: its journal says "right" where the verifier would not."""

    class Killed(BaseException):
        pass

    class Dies(Heard):
        def tick(self, stage: str, done: int, total: int) -> None:
            if stage == "train" and self.events and self.events[-1].get("global_step") == 4:
                raise Killed

    with pytest.raises(Killed):
        start(tmp_path, listener=Dies())
    *before, last = frames_of(tmp_path / "runs" / "small", 5)
    verdicts = [["right", 1.0, None, ""]] * 4
    changed = replace(last, header={**last.header, "verdicts": verdicts, "rewards": [1.0] * 4})
    write_frames(tmp_path / "runs" / "small" / "journal" / "step-000005.journal", [*before, changed])
    heard = Heard()
    start(tmp_path, listener=heard)
    replayed = next(e for e in heard.events if e["event"] == "step" and e["global_step"] == 5)
    assert replayed["metrics"]["reward_mean"] >= 0.25
    assert steps_of(whole)[4]["metrics"]["reward_mean"] < 0.25
    assert replayed["seconds"]["sample"] == 0.0


def test_the_same_spec_starts_anew_when_its_run_is_finished(whole: Path) -> None:
    again = start(whole.parent.parent)
    assert again.name == "small-2"
    assert all(torch.equal(weights_at(again, 8)[n], t) for n, t in weights_at(whole, 8).items())


def test_a_second_process_is_kept_out_of_a_live_run(tmp_path: Path) -> None:
    refused: list[BaseException] = []

    def intrude(event: Mapping[str, Any]) -> None:
        if event["event"] == "step" and event["global_step"] == 1:
            with pytest.raises(UsageError, match="live") as caught:
                start(tmp_path)
            refused.append(caught.value)

    start(tmp_path, listener=Heard(intrude))
    assert len(refused) == 1

"""`prerl-spec eval` on a folder, a spec and a run; and what it says to those who ask for what is not there."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from prerl_spec.cli.main import main
from prerl_spec.compiler.compile import compile_spec
from prerl_spec.engine.record import checkpoint
from prerl_spec.errors import Drift, EnvironmentUnmet, SpecInvalid
from prerl_spec.evaluation.scores.question_results import results_of, values_by_question
from prerl_spec.evaluation.targets import find_target
from prerl_spec.testing.tiny import save_tiny
from prerl_spec.types import Rendering
from tests.engine.forked_ranks import forked_ranks
from tests.evaluation.sites import write_rows

SPEC = """
spec = 1
run.name = "tiny-run"
run.seed = 5
model = {{ use = "hf_causal", name = "{model}" }}
data.train = {{ use = "jsonl", path = "{rows}", question = "problem", system = "Be brief.", chat = "off" }}
sampler = {{ use = "transformers", group_size = 2, max_new_tokens = 9, temperature = 0.8 }}
verifier = {{ use = "exact_match", extract = "whole" }}
optimizer = {{ use = "adamw", lr = 1e-4 }}
[[phases]]
id = "prune"
prompts_per_step = 2
objective = "marginal_nsr"
schedule = {{ use = "fixed_steps", steps = 1 }}
[[phases]]
id = "refine"
prompts_per_step = 2
objective = "grpo"
schedule = {{ use = "fixed_steps", steps = 1 }}
"""

OWN_VERIFIER = """
from prerl_components.verifiers.exact_match import ExactMatch


class Mine(ExactMatch):
    pass
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return save_tiny(tmp_path / "model")


@pytest.fixture
def spec(tmp_path: Path, model: Path) -> Path:
    file = tmp_path / "spec.toml"
    file.write_text(SPEC.format(model=model, rows=write_rows(tmp_path / "rows.jsonl")), encoding="utf-8")
    return file


def run_folder(tmp_path: Path, spec: Path, model: Path, *, phase: int, step: int, local_code: bool = False) -> Path:
    """A run as it stands in front of a phase's step: its plan and one checkpoint."""
    folder = tmp_path / "runs" / "tiny-run"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(compile_spec(spec, local_code=local_code).plan.text(), encoding="utf-8")
    state = {"global_step": 1, "phase": phase, "step": step, "generated_tokens": 77, "trained_tokens": 33}

    def save(target: Path) -> None:
        shutil.copytree(model, target, dirs_exist_ok=True)

    checkpoint.commit(folder / "checkpoints", 1, save_model=save, state=state, tensors={})
    return folder


def scores_in(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return found


def test_a_model_folder_is_scored_without_a_spec(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["eval", str(model), "--tasks", "arithmetic_chains_easy", "--samples", "2", "--limit", "2"]
    assert main([*command, "--max-new-tokens", "8", "--seed", "3"]) == 0
    table, _, places = capsys.readouterr().out.partition("\n\n")
    assert [line.split()[:2] for line in table.splitlines()[1:]] == [
        ["arithmetic_chains_easy", "avg@2"],
        ["arithmetic_chains_easy", "pass@2"],
    ]
    assert "eval-model/scores.json" in places
    first, second, _ = scores_in(Path("eval-model/scores.json"))
    assert (first["phase"], first["seed"], first["decoding"]["max_new_tokens"]) == ("base", 3, 8)
    assert (first["questions"], second["samples_per_question"]) == (2, 2)

    assert main([*command, "--max-new-tokens", "8", "--seed", "3"]) == 0
    assert len(scores_in(Path("eval-model/scores.json"))) == 3
    assert main([*command, "--max-new-tokens", "8", "--seed", "4"]) == 0
    scores = scores_in(Path("eval-model/scores.json"))
    assert len(scores) == 6
    for score in scores:
        found = results_of(Path("eval-model"), score)
        assert found is not None
        assert found[0]["seed"] == score["seed"]
        assert fmean(values_by_question(*found, score["metric"]).values()) == score["value"]


def test_a_run_is_scored_as_it_scores_itself(tmp_path: Path, spec: Path, model: Path) -> None:
    folder = run_folder(tmp_path, spec, model, phase=0, step=1)
    rows = str(tmp_path / "rows.jsonl")
    assert (
        main(["eval", str(folder), "--tasks", "math500_boxed", "--data", f"math500_boxed={rows}", "--limit", "2"]) == 0
    )
    score, _ = scores_in(folder / "eval" / "scores.json")
    assert (score["phase"], score["global_step"], score["generated_tokens"], score["trained_tokens"]) == (
        ("prune", 1, 77, 33)
    )
    assert score["seed"] == 5
    assert score["decoding"] == {"temperature": 0.8, "top_p": 1.0, "top_k": 0, "max_new_tokens": 9, "stop": []}
    (line, *_) = (folder / "eval" / "samples" / "prune-000001-math500_boxed.jsonl").read_text().splitlines()
    assert json.loads(line)["input"] == "Be brief.\n\nWhat is 0 + 0?"


def test_between_two_phases_a_run_stands_at_the_end_of_the_first(tmp_path: Path, spec: Path, model: Path) -> None:
    assert find_target(str(run_folder(tmp_path, spec, model, phase=1, step=0))).phase == "prune"


def test_a_checkpoints_folder_is_scored_at_the_position_that_it_was_saved_at(
    tmp_path: Path, spec: Path, model: Path
) -> None:
    saved = run_folder(tmp_path, spec, model, phase=1, step=0) / "checkpoints" / "step-000001"

    def position(folder: Path) -> tuple[str, int, int, int]:
        target = find_target(str(folder))
        return target.phase, target.global_step, target.generated_tokens, target.trained_tokens

    assert position(saved) == ("prune", 1, 77, 33)
    copy = shutil.copytree(saved, tmp_path / "copy")
    assert position(copy) == ("unknown", 1, 77, 33), "what its phase is called stands in the run's plan"
    shutil.rmtree(copy / "trainer")
    assert position(copy)[0] == "unknown", "it was trained"
    assert position(model) == ("base", 0, 0, 0)


def test_responses_that_leave_no_room_for_a_question_are_refused_before_a_model_is_loaded(
    tmp_path: Path, spec: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_folder(tmp_path, spec, model, phase=1, step=0)
    saved = run / "checkpoints" / "step-000001"
    (saved / "model.safetensors").unlink()
    assert main(["eval", str(saved), "--tasks", "arithmetic_chains_easy", "--limit", "1"]) == 3
    said = capsys.readouterr().err
    assert "arithmetic_chains_easy may sample 1,024 new tokens; the model's context holds 512" in said
    assert "--max-new-tokens below 512 by the length of the longest question, or score as the run" in said
    assert f"--like {run}" in said
    assert main(["eval", str(model), "--tasks", "arithmetic_chains_easy", "--max-new-tokens", "512"]) == 3
    assert "--like" not in capsys.readouterr().err


def test_a_mistyped_path_is_no_hub_model(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("runs/quickstart").mkdir(parents=True)
    assert main(["eval", "runs/quikstart", "--tasks", "math500_boxed"]) == 2
    said = capsys.readouterr().err
    assert ("runs/quikstart does not exist" in said, "did you mean `runs/quickstart`?" in said) == (True, True)
    assert main(["eval", "runs/else", "--tasks", "math500_boxed"]) == 2
    assert "runs/else does not exist" in capsys.readouterr().err


def test_a_spec_gives_the_model_that_it_starts_from(spec: Path) -> None:
    target = find_target(str(spec))
    assert (target.name, target.phase, target.global_step, target.seed) == ("tiny-run", "base", 0, 5)
    assert target.rendering.system == "Be brief."
    assert target.rendering.chat == "off"
    assert target.verifier is not None
    assert target.verifier.settings()["extract"] == "whole"


def test_a_data_set_without_a_chat_setting_is_asked_how_it_renders(spec: Path) -> None:
    """`arithmetic_chains` applies no chat template, whatever the model's tokenizer has; nor does its evaluation."""
    text = spec.read_text(encoding="utf-8")
    lines = [
        'data.train = { use = "arithmetic_chains" }' if "data.train =" in line else line for line in text.splitlines()
    ]
    spec.write_text("\n".join(lines), encoding="utf-8")
    assert find_target(str(spec)).rendering == Rendering(chat="off")


def test_a_verifier_of_the_specs_own_file_judges_once_local_code_is_allowed(
    tmp_path: Path, spec: Path, model: Path
) -> None:
    (tmp_path / "mine.py").write_text(OWN_VERIFIER, encoding="utf-8")
    text = spec.read_text(encoding="utf-8").replace('use = "exact_match"', 'use = "local.mine"')
    spec.write_text(text.replace("run.seed", 'plugins.files = ["mine.py"]\nrun.seed'), encoding="utf-8")
    with pytest.raises(SpecInvalid) as refused:
        find_target(str(spec))
    assert [d.code for d in refused.value.diagnostics] == ["E0304"]
    folder = run_folder(tmp_path, spec, model, phase=1, step=0, local_code=True)
    with pytest.raises(EnvironmentUnmet, match="runs Python code"):
        find_target(str(folder))
    for target in (find_target(str(spec), local_code=True), find_target(str(folder), local_code=True)):
        assert type(target.verifier).__name__ == "Mine"


OWN_OBJECTIVE = """
from prerl_components.objectives.presets.group_relative import Grpo


class Mine(Grpo):
    pass
"""


def test_a_changed_objective_does_not_lock_the_scores_of_a_finished_run(
    tmp_path: Path, spec: Path, model: Path
) -> None:
    (tmp_path / "loss.py").write_text(OWN_OBJECTIVE, encoding="utf-8")
    (tmp_path / "judge.py").write_text(OWN_VERIFIER.replace("Mine", "Judge"), encoding="utf-8")
    text = spec.read_text(encoding="utf-8").replace('use = "exact_match"', 'use = "local.judge"')
    text = text.replace('objective = "grpo"', 'objective = "local.mine"')
    spec.write_text(text.replace("run.seed", 'plugins.files = ["loss.py", "judge.py"]\nrun.seed'), encoding="utf-8")
    folder = run_folder(tmp_path, spec, model, phase=1, step=1, local_code=True)
    (tmp_path / "loss.py").write_text("raise ValueError('half edited')\n", encoding="utf-8")
    target = find_target(str(folder), local_code=True)
    assert (target.phase, type(target.verifier).__name__) == ("refine", "Judge")
    (tmp_path / "judge.py").write_text(OWN_VERIFIER.replace("Mine", "Judge") + "# edited\n", encoding="utf-8")
    with pytest.raises(Drift, match=r"judge\.py has changed") as refused:
        find_target(str(folder), local_code=True)
    assert "restore the file as the run had it; a checkpoint's own folder" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["model", "--tasks", "mathh500_boxed"], 2, "unknown task `mathh500_boxed`: did you mean `math500_boxed`"),
        (
            ["model", "--tasks", "math500_boxed", "--data", "math50_boxed=x"],
            2,
            "`math50_boxed`, which is not in --tasks",
        ),
        (
            ["model", "--tasks", "math500_boxed", "--data", "math500_boxed=x"],
            3,
            "the rows of math500_boxed cannot be read: x",
        ),
        (["model", "--tasks", "math500_boxed", "--temperature", "-1"], 2, "--temperature"),
        (["model", "--tasks", ","], 2, "--tasks"),
        (["model", "--tasks", "aime24"], 2, "E0205: the task `aime24` is now `aime24_boxed`"),
        (["model", "--tasks", "aime24"], 2, "`lm_eval/aime24` is lm-eval's"),
        (["./nowhere", "--tasks", "math500_boxed"], 2, "./nowhere does not exist"),
        (["empty", "--tasks", "math500_boxed"], 2, "neither a run folder nor a model folder"),
        (["nobody/nothing", "--tasks", "math500_boxed"], 3, "nobody/nothing"),
    ],
)
def test_what_cannot_be_scored_is_said(
    model: Path,
    words: list[str],
    code: int,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    Path("empty").mkdir()
    assert main(["eval", *words]) == code
    assert said in capsys.readouterr().err
    assert not list(Path().glob("*/scores.json"))


MISTYPED = [
    ["model", "--tasks", "nothing_at_all"],
    ["model"],
    ["model", "--tasks", "math500_boxed", "--protocol", "openr1"],
    ["model", "--tasks", "math500_boxed", "--samples", "2", "--k", "4"],
    ["model", "--tasks", "math500_boxed", "--data", "math500_boxed=nowhere.jsonl"],
    ["model", "--tasks", "math500_boxed", "--like", "nowhere"],
]
WITHOUT_TORCH = """
import json, sys
sys.modules |= dict.fromkeys(("torch", "transformers", "datasets"))
from prerl_spec.cli.main import main
print([main(["eval", *words]) for words in json.loads(sys.argv[1])])
"""


def test_what_is_mistyped_is_refused_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    words = [sys.executable, "-c", WITHOUT_TORCH, json.dumps(MISTYPED)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.stdout.strip() == "[2, 2, 2, 2, 3, 2]", done.stderr
    assert '"openr1" is not a choice of --protocol\n  = help: did you mean `open-r1`?' in done.stderr


def test_a_run_without_a_checkpoint_has_nothing_to_score(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("run/checkpoints").mkdir(parents=True)
    assert main(["eval", "run", "--tasks", "math500_boxed"]) == 2
    assert "no valid checkpoint yet" in capsys.readouterr().err


def test_one_checkpoint_has_the_same_scores_on_one_and_on_two_processes(model: Path) -> None:
    """Guarantee G14, of scores: each question is sampled apart, whoever samples it."""
    command = ["eval", str(model), "--tasks", "arithmetic_chains_easy", "--samples", "3", "--limit", "5", "--invariant"]
    command += ["--max-new-tokens", "40"]
    assert main([*command, "--out", "one"]) == 0
    forked_ranks("prerl_spec", *command, "--out", "two", cwd=Path.cwd())
    assert scores_in(Path("two/scores.json")) == scores_in(Path("one/scores.json"))
    responses = [{f.name: f.read_text() for f in Path(out, "samples").iterdir()} for out in ("one", "two")]
    assert responses[0]
    assert responses[0] == responses[1]
    by_question = [{f.name: f.read_bytes() for f in Path(out, "questions").iterdir()} for out in ("one", "two")]
    assert len(by_question[0]) == 1
    assert by_question[0] == by_question[1]

"""What a run refuses before any training, with the place, the value seen, what would be right, and an exit code."""

import json
from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from prerl_spec.testing.tiny import save_tiny

SPEC = """
spec = 1
run.name = "refused"
model = {{ use = "hf_causal", name = "{model}" }}
sampler = {{ use = "transformers", group_size = 4, max_new_tokens = {max_new_tokens} }}
verifier = "math_verify"
optimizer = {{ use = "adamw", lr = 1e-5 }}
data.train = {{ use = "jsonl", path = "rows.jsonl", chat = "off"{data} }}

[[phases]]
id = "prune"
prompts_per_step = {prompts}
objective = "marginal_nsr"
schedule = "reincarnate_after"
"""
GOOD_ROWS = [{"question": f"{n}+1?", "answer": str(n + 1)} for n in range(8)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model") / "tiny")


def refusal(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    model: object,
    rows: list[object] | str = "",
    prompts: int = 4,
    max_new_tokens: int = 16,
    data: str = "",
) -> tuple[int, str]:
    """Runs the spec in the folder; gives exit code and what it said."""
    text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text(text)
    spec = folder / "spec.toml"
    spec.write_text(SPEC.format(model=model, prompts=prompts, max_new_tokens=max_new_tokens, data=data))
    code = main(["run", str(spec), "--run-dir", str(folder / "run")])
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert "internal error" not in said
    assert "= help:" in said
    assert not (folder / "run").exists()
    return code, said


def test_an_unreadable_row_is_named_by_file_and_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    rows = "".join(json.dumps(r) + "\n" for r in GOOD_ROWS[:2]) + '{"question": "3+1?"\n{"question": "x"}\n'
    code, said = refusal(tmp_path, capsys, model=model, rows=rows)
    assert code == 3
    assert "rows.jsonl:3" in said
    assert "rows.jsonl:4" in said
    assert "answer" in said


def test_a_gold_answer_that_does_not_parse_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    rows = [*GOOD_ROWS, {"question": "why?", "answer": "because \\frac{"}]
    code, said = refusal(tmp_path, capsys, model=model, rows=list(rows))
    assert code == 3
    assert "rows.jsonl:9" in said
    assert "gold" in said


def test_a_question_longer_than_the_context_is_never_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    rows = [*GOOD_ROWS, {"question": "1" * 600, "answer": "1"}]
    code, said = refusal(tmp_path, capsys, model=model, rows=list(rows))
    assert code == 3
    assert "rows.jsonl:9: 600 tokens" in said
    assert "longer than 496 tokens" in said  # 512 less the response's 16


def test_a_batch_larger_than_the_data_set_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    code, said = refusal(tmp_path, capsys, model=model, rows=list(GOOD_ROWS), prompts=9)
    assert code == 1
    assert "needs 9 rows per step, and data set `train` has 8" in said
    assert "spec.toml:12:20" in said


def test_a_tokenizer_without_a_prefix_candidate_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    folder = save_tiny(tmp_path / "plain", chat=False)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    nameless = {k: v for k, v in config.items() if not k.endswith("_token") and k != "additional_special_tokens"}
    (folder / "tokenizer_config.json").write_text(json.dumps(nameless))
    code, said = refusal(tmp_path, capsys, model=folder, rows=list(GOOD_ROWS))
    assert code == 3
    assert 'prefix "auto"' in said


def test_a_hub_that_cannot_be_reached_is_said_with_the_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    code, said = refusal(tmp_path, capsys, model="nobody/nothing-at-all", rows=list(GOOD_ROWS))
    assert code == 3
    assert "nobody/nothing-at-all" in said


def test_a_prompt_column_that_is_not_there_says_which_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    code, said = refusal(tmp_path, capsys, model=model, rows=list(GOOD_ROWS), data=', question = "problem"')
    assert code == 3
    assert "problem" in said
    assert "rows.jsonl:1" in said


def test_a_benchmark_that_nobody_defines_is_refused_before_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path
) -> None:
    (tmp_path / "more.toml").write_text('evaluate = [{ use = "lm_eval", tasks = ["gsm9k"], at = ["end"] }]')
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in GOOD_ROWS))
    spec = tmp_path / "spec.toml"
    spec.write_text(SPEC.format(model=model, prompts=4, max_new_tokens=16, data=""))
    arguments = ["run", str(spec), "--overlay", str(tmp_path / "more.toml"), "--run-dir", str(tmp_path / "run")]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert "gsm9k" in said
    assert "gsm8k" in said
    assert not (tmp_path / "run").exists()

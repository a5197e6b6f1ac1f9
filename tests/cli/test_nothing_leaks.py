"""What is no part of a spec stays out of its errors: other files that it names, passwords in URLs. And where `~` leads."""

import re
from pathlib import Path

import pytest
from prerl_components.data.hf_dataset import HfDataset
from prerl_components.models.from_scratch import FromScratch
from prerl_components.models.hf_causal import HfCausal
from prerl_components.samplers.vllm_server import VllmServer

from prerl_spec.cli import main as cli
from prerl_spec.compiler.compile import check_spec, compile_spec
from prerl_spec.language.secrets import masked, masked_json, masked_line, without_tokens

SMOKE = Path(__file__).parents[2] / "specs" / "smoke.toml"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".env", "TOKEN=hunter2 and more\n"),
        (".env", 'PASSWORD = "hunter2"\n'),
        ("passwd", "root:hunter2:0:0:root:/root:/bin/bash\n"),
        ("id_rsa", "-----BEGIN hunter2-----\nhunter2\n"),
        ("shadow", 'run.name = "hunter2"\nx = hunter2\n'),
        ("credentials.toml", '[registry]\ntoken = "hunter2"\n'),
        ("mixed.conf", '[run]\nname = "a"\n[registry]\ntoken = "hunter2"\n'),
    ],
)
@pytest.mark.parametrize("way", ["extends", "arms"])
def test_a_file_that_is_no_spec_is_refused_and_never_quoted(
    way: str, name: str, content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    text = SMOKE.read_text(encoding="utf-8")
    arm = f'\n[study]\nseeds = [0, 1, 2]\n[study.arms]\nb = "{name}"\n'
    spec = tmp_path / "spec.toml"
    spec.write_text(f'extends = ["{name}"]\n{text}' if way == "extends" else text + arm, encoding="utf-8")
    for form in ("text", "json", "github") if way == "extends" else ("text",):
        assert cli.main(["validate", str(spec), "--format", form]) == 1
        told = "".join(capsys.readouterr())
        assert "E0401" in told
        assert f'"{name}\\" is not a spec file' in told or f'"{name}" is not a spec file' in told
        assert "hunter2" not in told


def test_a_parent_with_mistakes_of_a_spec_is_still_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "base.toml").write_text('[run]\nname = "a"\nsede = 3\nkey = [1\n\n[secrets]\npassword = "hunter2"\n')
    (tmp_path / "spec.toml").write_text('spec = 1\nextends = ["base.toml"]\n')
    assert cli.main(["validate", str(tmp_path / "spec.toml")]) == 1
    told = capsys.readouterr().err
    assert "3 | sede = 3" in told
    assert "hunter2" not in told


URL = "http://bob:hunter2@host:8000/v1?user=me&api_key=hunter3"


@pytest.mark.parametrize("mask", [masked, masked_line, without_tokens, lambda text: masked_json({"a": [text]})["a"][0]])
def test_passwords_and_tokens_in_urls_are_masked_everywhere(mask: object) -> None:
    told = mask(f'urls = ["{URL}", "https://tok3n@host", "http://host:80/a@b"]')  # type: ignore[operator]
    assert told == (
        'urls = ["http://***********@host:8000/v1?user=me&api_key=*******", "https://*****@host", "http://host:80/a@b"]'
    )


def test_values_named_like_secrets_are_masked_in_source_lines_but_references_are_not() -> None:
    line = 'api_key = \'hunter2\', eos_token = "<|im_end|>", key = "${secret:K}", my-token = "${secret:T}"'
    assert masked_line(line) == line.replace("hunter2", "*******")


@pytest.mark.parametrize(
    "line",
    [
        'prompt_key = "prompt"',
        'answer_key = "reward_model.ground_truth"',
        'data = { prompt_key = "prompt", image_key = "images" }',
        'stop_token = "</s>"',
        'think_tokens = "<think>"',
        'tokenizer = "hunter2"',
    ],
)
def test_the_name_of_a_column_or_of_a_token_stays_readable(line: str) -> None:
    assert masked_line(line) == line


@pytest.mark.parametrize(
    "line",
    [
        *('key = "swordfish"', 'api_key = "swordfish"', 'wandb-key = "swordfish"', 'HF_TOKEN = "swordfish"'),
        *(
            'prompt_key = "sw0rdfish"',
            'my_secret = "swordfish"',
            'access_key_password = "swordfish"',
            'token = "swordfish"',
        ),
        *(
            'server_key = "swordfish"',
            'vllm_token = "swordfish"',
            "deploy-key = 'swordfish'",
            'bot_token = "swordfish"',
        ),
    ],
)
def test_a_key_of_a_service_is_masked_whatever_it_looks_like(line: str) -> None:
    assert masked_line(line) == re.sub("sw[o0]rdfish", "*********", line)


def test_a_server_is_an_address_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sampler = f'sampler={{ use = "vllm_server", urls = ["{URL}"] }}'
    for command in ("validate", "plan"):
        assert cli.main([command, str(SMOKE), "--set", sampler]) == 1
        told = "".join(capsys.readouterr())
        assert "takes no user, password, query or fragment" in told
        assert "hunter" not in told
    assert VllmServer(urls=("http://[::1]:8000/v1",)).urls


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    home = f"{tmp_path}/x"
    (tmp_path / "base.toml").write_text(SMOKE.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "spec.toml").write_text('spec = 1\nextends = ["~/base.toml"]\nrun.output_dir = "~/x"\n')
    assert compile_spec(tmp_path / "spec.toml").plan.output_dir == home
    assert cli.main(["plan", str(SMOKE), "--out=~/plan.json"]) == 0
    assert (tmp_path / "plan.json").is_file()
    assert (HfCausal(name="~/x").name, HfCausal(name="~/x").tokenizer) == (home, home)
    assert FromScratch(config={"model_type": "qwen3"}, tokenizer="~/x").tokenizer == home
    assert HfDataset(path="~/x").path == home
    assert VllmServer(urls=("http://a",), push_dir="~/x").push_dir == home
    assert not (tmp_path / "~").exists()


def test_an_unknown_home_is_a_name_like_any_other(tmp_path: Path) -> None:
    text = SMOKE.read_text(encoding="utf-8") + '\n[data.more]\nuse = "jsonl"\npath = "~nobody-here/x"\n'
    (tmp_path / "spec.toml").write_text(text, encoding="utf-8")
    resolved, _ = check_spec(tmp_path / "spec.toml")
    assert resolved.built["data.more"].component.settings()["path"] == f"{tmp_path}/~nobody-here/x"

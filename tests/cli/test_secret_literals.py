"""A literal in a secret setting: a warning at the value, asterisks everywhere else, and no run that takes it."""

import json
import re
from pathlib import Path

import pytest

from prerl_spec.cli import main as cli
from prerl_spec.compiler.compile import check_spec, compile_spec
from prerl_spec.errors import EnvironmentUnmet

CANARY = "sw0rdfish-canary"
SMOKE = (Path(__file__).parents[2] / "specs" / "smoke.toml").read_text(encoding="utf-8")
SERVED = '[sampler]\nuse = "vllm_server"\nurls = ["http://127.0.0.1:9"]\nkey = {key}\n'


def spec_with(folder: Path, key: str, more: str = "", before: str = "") -> Path:
    text = SMOKE.replace('[sampler]\nuse = "transformers"\n', SERVED.format(key=key))
    assert text != SMOKE
    file = folder / "spec.toml"
    file.write_text(before + text.replace("spec = 1", f"spec = 1\n{more}"), encoding="utf-8")
    return file


WAYS = {
    "a string": (f'"{CANARY}"', ""),
    "a literal string": (f"'{CANARY}'", ""),
    "several lines": (f'"""\\\n  {CANARY}"""', ""),
    "an escape": ('"sw0rd\\u0066ish-canary"', ""),
    "a variable": ('"${vars.k}"', f'vars.k = "{CANARY}"'),
    "a variable of a variable": ('"${vars.k}"', f'vars.k = "${{vars.l}}"\nvars.l = "{CANARY}"'),
    "the environment": ('"${env:PRERL_CANARY}"', ""),
    "a default": (f'"${{env:PRERL_CANARY_UNSET:-{CANARY}}}"', ""),
    "a comment beside it": (f'"{CANARY}"  # it is {CANARY}', ""),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_literal_is_warned_of_at_its_value_and_kept_nowhere(
    way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRERL_CANARY", CANARY)
    spec, plan = spec_with(tmp_path, *WAYS[way]), tmp_path / "plan.json"
    _, warnings = check_spec(spec)
    (warning,) = [d for d in warnings if d.code == "W0406"]
    assert warning.path == "sampler.key"
    assert warning.span is not None
    assert (warning.span.line, warning.span.column) == (spec.read_text().split("\n").index(line_of(spec)) + 1, 7)
    told = ""
    for command, *options in (["plan", "--out", str(plan)], ["show", "--origins"]):
        assert cli.main([command, str(spec), *options]) == 0
        told += "".join(capsys.readouterr())
    assert "W0406" in told
    assert "sampler.key" in told
    assert "(secret)" in plan.read_text()
    assert CANARY not in told + plan.read_text()
    assert f"sw0rd{chr(92)}u0066ish" not in told + plan.read_text()


def test_no_command_shows_or_keeps_a_literal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, other, out = spec_with(tmp_path, f'"{CANARY}"'), tmp_path / "other.toml", tmp_path / "out"
    other.write_text(f'extends = ["{spec}"]\nrun.name = "other"\n')
    commands = {
        "validate": 0,
        "validate --format json": 0,
        "validate --format github": 0,
        "validate --set sampler.max_new_tokens=5.5": 1,
        f"plan --out {out / 'plan.json'}": 0,
        "show --resolved": 0,
        "show --graph": 0,
        "lock": 0,
        f"diff {other}": 1,
        f"run --run-dir {out / 'run'}": 3,
    }
    out.mkdir()
    told = ""
    for line, code in commands.items():
        command, *options = line.split()
        assert cli.main([command, str(spec), *options]) == code, line
        told += "".join(capsys.readouterr())
    kept = [spec.with_name("spec.toml.lock"), *out.rglob("*")]
    assert CANARY not in told + "".join(file.read_text() for file in kept if file.is_file())


def line_of(spec: Path) -> str:
    (line,) = [line for line in spec.read_text().split("\n") if line.startswith("key = ")]
    return line


@pytest.mark.parametrize("place", ["overlay", "--set", "parent", "an overridden file", "an arm"])
def test_a_literal_in_any_layer_is_masked(place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec, options, arms = spec_with(tmp_path, '"${secret:K}"'), list[str](), ""
    layer = tmp_path / "layer.toml"
    layer.write_text(f'sampler.key = "{CANARY}"\n')
    if place == "overlay":
        options = ["--overlay", str(layer)]
    elif place == "--set":
        options = ["--set", f"sampler.key={CANARY}"]
    elif place == "parent":
        sampler = SERVED.format(key='"${secret:K}"') + "group_size = 8\nmax_new_tokens = 40\n"
        layer.write_text(sampler.replace("${secret:K}", CANARY))
        spec.write_text(f'extends = ["{layer}"]\n' + spec.read_text().replace(sampler, ""))
    elif place == "an overridden file":
        spec.write_text(spec.read_text().replace("${secret:K}", CANARY))
        options = ["--set", "sampler.key=${secret:K}"]
    else:
        arms = f'\n[study]\nseeds = [0]\n[study.arms.b]\nsampler = {{ key = "{CANARY}" }}\n'
        spec.write_text(spec.read_text() + arms)
    plan = tmp_path / "plan.json"
    for command in (["validate"], ["plan", "--out", str(plan)], ["show", "--origins"], ["show", "--resolved"]):
        assert cli.main([command[0], str(spec), *command[1:], *options]) == 0
        told = "".join(capsys.readouterr())
        assert ("W0406" in told) == (place != "an overridden file")
        assert CANARY not in told
    assert CANARY not in plan.read_text()


def test_a_short_literal_is_masked_where_it_is_written_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = spec_with(tmp_path, '"abc"', before="# abc\n")
    assert cli.main(["validate", str(spec)]) == 0
    assert 'key = "***"' in capsys.readouterr().err
    plan = compile_spec(spec).plan
    assert 'key = "***"' in plan.spec_text
    assert plan.spec_text.startswith("# abc\n")
    assert re.sub(r'key = ".*"', "", plan.spec_text) == re.sub(r'key = ".*"', "", spec.read_text())


def test_a_literal_that_is_a_word_is_masked_as_a_word_and_not_as_a_part_of_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = spec_with(tmp_path, '"tide"', before="# tide, runs/tide_1, or a tidewater\n")
    assert compile_spec(spec).plan.spec_text.startswith("# ****, runs/****_1, or a tidewater\n")
    assert cli.main(["validate", str(spec), "--set", "optimizer.use=tidewater"]) == 1
    assert "`tidewater`" in capsys.readouterr().err


def test_no_run_takes_a_literal_from_a_spec_or_a_plan(tmp_path: Path) -> None:
    spec, file = spec_with(tmp_path, f'"{CANARY}"'), tmp_path / "plan.json"
    compiled = compile_spec(spec)
    file.write_text(compiled.plan.text())
    for one in (compiled, compile_spec(file)):
        with pytest.raises(EnvironmentUnmet) as refused:
            one.require_prerequisites(tmp_path / "run")
        assert "secret sampler.key (for sampler.key): written as it is" in refused.value.message
        assert 'write `key = "${secret:NAME}"`, and set NAME in the environment' in refused.value.message


def test_a_quoted_line_of_a_component_that_is_misspelt_shows_no_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        cli.main(
            [
                "validate",
                str(Path(__file__).parents[2] / "specs" / "smoke.toml"),
                "--set",
                f'sampler={{ use = "vllm_sever", key = "{CANARY}" }}',
            ]
        )
        == 1
    )
    told = capsys.readouterr().err
    assert "E0301" in told
    assert CANARY not in told


def test_a_reference_is_no_literal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K", CANARY)
    spec = spec_with(tmp_path, '"${secret:K}"')
    _, warnings = check_spec(spec)
    assert "W0406" not in {d.code for d in warnings}
    text = json.dumps(compile_spec(spec).plan.as_json())
    assert '"key": "${secret:K}"' in text
    assert CANARY not in text

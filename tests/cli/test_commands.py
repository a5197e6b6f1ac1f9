"""plan, show, components and doctor as they are called: exit codes, streams, and what they must not import."""

import json
import re
from pathlib import Path

import pytest

from prerl_spec.cli.authors.component_list import listing
from prerl_spec.cli.authors.component_page import component_page
from prerl_spec.cli.main import main
from prerl_spec.registry.entry_points import KINDS, Entry, installed, load
from tests.compiler.specs import TINY, bent, written


@pytest.mark.parametrize(
    ("command", "text", "code"),
    [
        (("plan",), TINY, 0),
        (("plan", "--here"), TINY, 0),
        (("plan",), bent(('use = "transformers"', 'use = "vllm"')), 0),
        (("plan", "--here"), bent(('use = "transformers"', 'use = "vllm"')), 3),
        (("plan",), bent(("group_size = 4", "group_size = 0")), 1),
        (("plan",), "spec = ", 1),
        (("show", "--graph=json"), TINY, 0),
        (("show", "--graph"), bent(('data = "easy"', 'data = "hard"')), 1),
        (("show", "--origins"), TINY, 0),
    ],
)
def test_exit_codes_of_commands_on_a_spec(
    command: tuple[str, ...], text: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *options = command
    assert main([name, str(written(tmp_path, text)), *options]) == code
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    assert bool(said.err) is (code != 0)


@pytest.mark.parametrize(
    ("options", "code"), [(["--graph"], 0), (["--graph=dot"], 2), (["--graph", "json"], 0), ([], 2)]
)
def test_show_takes_the_form_of_the_graph_before_or_after_the_spec(
    options: list[str], code: int, tmp_path: Path
) -> None:
    try:
        ended = main(["show", *options, str(written(tmp_path, TINY))])
    except SystemExit as exited:
        ended = exited.code
    assert ended == code


@pytest.mark.parametrize("form", ["--resolved", "--origins"])
def test_show_masks_what_looks_like_a_secret_but_no_commit(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token, commit = "hf_" + "a1" * 12, "0123456789" * 4
    model = f'[model]\nuse = "hf_causal"\nname = "{token}"\nrevision = "{commit}"\n'
    spec = f'spec = 1\nrun.name = "shown"\n{model}[[evaluate]]\nuse = "lm_eval"\ntasks = ["{commit}"]\n'
    assert main(["show", str(written(tmp_path, spec)), form]) == 0
    said = capsys.readouterr()
    assert token not in said.out + said.err
    assert said.out.count(commit) == 1


@pytest.mark.parametrize("name", ["plan", "show"])
def test_a_spec_that_is_not_there_or_a_folder_is_a_usage_error(name: str, tmp_path: Path) -> None:
    options = ["--graph"] if name == "show" else []
    assert main([name, str(tmp_path / "absent.toml"), *options]) == 2
    assert main([name, str(tmp_path), *options]) == 2


def test_plan_writes_what_the_digest_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "plan.json"
    assert main(["plan", str(written(tmp_path, TINY)), "--out", str(out)]) == 0
    digest = json.loads(out.read_text())["digest"]
    assert digest[:12] in capsys.readouterr().out
    assert main(["plan", str(tmp_path / "spec.toml"), "--out", str(tmp_path / "no" / "folder.json")]) == 2


def test_plan_tells_what_changed_against_the_plan_that_it_replaces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, out = str(written(tmp_path, TINY)), tmp_path / "plan.json"
    main(["plan", spec, "--out", str(out)])
    capsys.readouterr()
    main(["plan", spec, "--out", str(out)])
    assert f"same meaning as {out}" in capsys.readouterr().out
    main(["plan", spec, "--out", str(out), "--set", "phases.refine.schedule.steps=99"])
    assert "phases.refine.schedule.steps  7  ->  99" in capsys.readouterr().out
    out.write_text("my diary")
    assert main(["plan", spec, "--out", str(out)]) == 2
    assert out.read_text() == "my diary"


def test_an_override_is_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(written(tmp_path, TINY)), "--set", "phases.refine.schedule.steps=99"]) == 0
    assert "phase 3 of 3: refine, 99 steps" in capsys.readouterr().out


def test_warnings_go_to_stderr_and_results_to_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = bent(("coefficient = 0.01", "clip_low = 0.1"))
    assert main(["show", str(written(tmp_path, text)), "--graph=json"]) == 0
    said = capsys.readouterr()
    assert "W0702" in said.err
    assert {"nodes", "edges"} == json.loads(said.out).keys()


def test_a_mistake_on_the_command_line_is_quoted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(written(tmp_path, TINY)), "--set", "run.sed=1"]) == 1
    assert "1 | run.sed=1\n  |     ^^^" in capsys.readouterr().err


def test_components_are_listed_for_programs_with_tier_and_family(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["components", "list", "--json"]) == 0
    rows = {(row["kind"], row["name"]): row for row in json.loads(capsys.readouterr().out)}
    assert rows["objective", "dr_grpo"]["family"] == "group relative"
    assert rows["objective", "dr_grpo"]["tier"] == "core"
    assert rows["objective", "policy_gradient"]["family"] is None
    assert main(["components", "list", "--kind", "optimizer", "--json"]) == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} >= {"adamw", "muon"}


def test_presets_are_listed_by_family_within_a_hundred_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["components", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert [line.split()[0] for line in lines if line[0] != " "] == [k for k in KINDS if lines_of(k, lines)]
    (relative,) = [line for line in lines if "group relative:" in line]
    assert "dapo, dr_grpo, grpo" in relative


def lines_of(kind: str, lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith(kind)]


def entry(name: str, value: str, distribution: str, version: str = "1.0") -> Entry:
    return Entry("objective", name, value, distribution, version)


def test_the_zoo_and_other_plugins_stand_apart_from_what_is_built_in() -> None:
    entries = [
        entry("acme.hill", "acme.objective:Hill", "prerl-acme"),
        entry("grpo", "prerl_components.objectives.presets.group_relative:Grpo", "prerl-spec"),
        entry("zoo.gmpo", "prerl_zoo.presets.clipped:Gmpo", "prerl-zoo"),
    ]
    assert list(listing(entries)) == [
        "objective  group relative: grpo",
        "",
        "zoo: prerl-zoo 1.0",
        "objective  clipped: zoo.gmpo",
        "",
        "plugin: prerl-acme 1.0",
        "objective  acme.hill",
    ]


def test_a_component_shows_its_settings_ports_and_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["components", "show", "vllm"]) == 0
    shown = capsys.readouterr().out
    assert "group_size         integer >= 1" in shown
    assert "provides  attempts, logprobs[sampling]" in shown
    assert "needs     package vllm" in shown


def shown(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What `components show` prints, each paragraph on one line."""
    assert main(["components", "show", *words]) == 0
    return re.sub(r"\n {11,}", " ", capsys.readouterr().out)


def test_a_preset_shows_formula_point_source_and_cost(capsys: pytest.CaptureFixture[str]) -> None:
    page = shown(capsys, "grpo")
    assert "formula   mean_i mean_t" in page
    assert "point     conditional x group_std x clip (clip_low = 0.2, clip_high = 0.2, dual_clip = " in page
    assert " x sequence_mean\n" in page
    assert "source    DeepSeekMath, arXiv:2402.03300, eq. 3" in page
    assert (
        "cost      1 forward with gradient (conditional); with several updates a batch 1 more without gradient (old)\n"
    ) in page


def test_a_setting_that_costs_a_forward_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    page = shown(capsys, "marginal_nsr")
    assert "cost      1 forward with gradient (marginal); with several updates a batch 1 more without gradient" in page
    assert 'importance = "truncate" | "mask": 1 forward with gradient (marginal), 1 without (old)' in page
    assert "differs   coefficient is 1.0, the paper's warm-up has 0.01" in page


@pytest.mark.parametrize(
    ("name", "kind", "cost"),
    [
        ("group_std", "advantage", "adds no forward"),
        ("plain", "surrogate", "adds no forward"),
        ("clip", "surrogate", "adds no forward; with several updates a batch 1 more without gradient (old)"),
        (
            *("truncate", "correction"),
            "adds no forward; with several updates a batch 1 more without gradient (old); behind another view 1 more "
            "without gradient (old); the sampler's log-probabilities come with the responses",
        ),
        ("kl", "objective", "1 forward with gradient (conditional), 1 without (reference)"),
        ("weighted_sum", "objective", "each distinct forward of its terms once"),
    ],
)
def test_a_part_shows_what_it_adds(name: str, kind: str, cost: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"cost      {cost}\n" in shown(capsys, name, "--kind", kind)


def test_slots_show_what_they_hold_and_the_name_of_their_default(capsys: pytest.CaptureFixture[str]) -> None:
    page = shown(capsys, "policy_gradient")
    assert "point     conditional x <advantage> x clip (" in page
    for setting, type_, default in (
        ("view", "a view", "= conditional"),
        ("advantage", "an advantage", "required"),
        ("selection", "list of selections", "= []"),
        ("surrogate", "a surrogate", "= clip"),
        ("correction", '"off" | a correction', '= "off"'),
        ("coefficient", "number > 0 | a ramp", "= 1.0"),
    ):
        assert f"  {setting:<18} {type_:<28} {default}\n" in page


def test_a_name_of_several_kinds_is_shown_once_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    several = next(e.name for e in installed().entries if len(installed().kinds_of(e.name)) > 1)
    kinds = list(installed().kinds_of(several))
    heads = re.findall(rf"^{several}: (\w+) of prerl-spec", shown(capsys, several), re.MULTILINE)
    assert heads == kinds
    assert shown(capsys, several, "--kind", kinds[1]).startswith(f"{several}: {kinds[1]} of prerl-spec")


def test_every_built_in_component_has_a_page() -> None:
    for one in installed().entries:
        if one.is_own:
            assert "\nsettings" in list(component_page(load(one))), one.name


@pytest.mark.parametrize("name", ["mine.py", "local.mine"])
def test_a_component_of_a_file_is_shown_by_try(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["components", "show", name]) == 2
    assert "`prerl-spec try FILE.py --laws`" in capsys.readouterr().err


def test_an_unknown_component_is_a_usage_error_with_the_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["components", "show", "gpro"]) == 2
    assert "did you mean `grpo`?" in capsys.readouterr().err


def test_doctor_names_what_closes_each_gap(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "pydantic" in shown
    for row, after in zip(shown.split("\n"), [*shown.split("\n")[1:], ""], strict=True):
        assert not row.startswith("-- ") or "= help: " in after

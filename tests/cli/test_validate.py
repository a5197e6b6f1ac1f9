"""`validate`: what it prints where, in which format, and how it ends."""

import json
from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from prerl_spec.cli.shared.diagnostics import as_text
from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.registry.entry_points import Entry, Registry, installed
from tests.language.cases import BASE, edit, top

BAD = edit('objective = "grpo"', 'objective = "marginal_nrs"')
SHOWN = """\
error[E0301]: unknown objective `marginal_nrs`
  --> dsrl.toml:28:13
   |
28 | objective = "marginal_nrs"
   |             ^^^^^^^^^^^^^^ did you mean `marginal_nsr`?
   = help: `prerl-spec components list --kind objective` shows all 31
"""


def text_of(spec: str, name: str = "dsrl.toml") -> str:
    resolved = resolve_text(spec, name)
    return as_text(diagnose(resolved), resolved.sources)


def written(folder: Path, text: str, name: str = "spec.toml") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def test_a_diagnostic_looks_as_the_language_page_shows_it() -> None:
    assert text_of(BAD) == SHOWN


def test_a_second_place_is_shown_with_dashes_in_line_order() -> None:
    shown = text_of(edit('objective = "grpo"', 'objective = "grpo"\nid = "again"'))
    assert shown.splitlines()[2:] == [
        "   |",
        '26 | id = "refine"',
        "   | -- first written here",
        "...",
        '29 | id = "again"',
        "   | ^^",
    ]


def test_places_in_another_file_are_quoted_from_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path, 'extends = ["spec.toml"]', "base.toml")
    assert main(["validate", written(tmp_path, 'extends = ["base.toml"]\n' + BASE)]) == 1
    assert f"::: {tmp_path / 'base.toml'}:1:12" in capsys.readouterr().err


def test_tabs_keep_carets_under_their_words() -> None:
    shown = text_of(edit("lr = 1e-6", "\tlr =\t-1.0")).splitlines()
    assert shown[3:5] == ["23 | \tlr =\t-1.0", "   | \t    \t^^^^"]


def test_at_most_fifty_are_shown_and_json_shows_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = written(tmp_path, edit("lr = 1e-6", "lr = 1e-6\n" + "\n".join(f"zz{i}q = 1" for i in range(70))))
    assert main(["validate", spec]) == 1
    shown = capsys.readouterr().err
    assert shown.count("error[") == 50
    assert shown.endswith("... and 20 more\n")
    assert main(["validate", spec, "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["error_count"] == 70


def test_json_is_one_object_for_all_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = written(tmp_path, BASE), written(tmp_path, BAD, "bad.toml")
    assert main(["validate", good, bad, bad, "--format", "json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["format"], answer["valid"], answer["error_count"], answer["warning_count"]) == (1, False, 2, 0)
    first = answer["diagnostics"][0]
    assert first == {
        "severity": "error",
        "code": "E0301",
        "message": "unknown objective `marginal_nrs`",
        "path": "phases[0].objective",
        "file": bad,
        "line": 28,
        "column": 13,
        "end_line": 28,
        "end_column": 27,
        "labels": [],
        "help": "`prerl-spec components list --kind objective` shows all 31",
        "notes": [],
        "suggestions": [{"message": "did you mean `marginal_nsr`?", "replacement": "marginal_nsr"}],
    }


def test_github_annotations_go_to_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = written(tmp_path, BAD)
    assert main(["validate", spec, "--format", "github"]) == 1
    answer = capsys.readouterr()
    assert answer.out.startswith(
        f"::error file={spec},line=28,col=13,endLine=28,endColumn=27,title=E0301::unknown objective"
    )
    assert answer.err == ""


def test_a_good_spec_ends_with_0_and_a_warning_is_none_the_less_valid(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["validate", written(tmp_path, top("vars.x = 1"))]) == 0
    answer = capsys.readouterr()
    assert "valid, 1 warning" in answer.out
    assert "warning[W0701]" in answer.err


def test_a_spec_that_is_not_there_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(tmp_path / "nowhere.toml")]) == 2
    assert main(["validate", str(tmp_path)]) == 2


def test_a_setting_among_the_files_belongs_after_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", written(tmp_path, BASE), "optimizer.lr=3e-6"]) == 2
    assert "help: write --set optimizer.lr=3e-6" in capsys.readouterr().err


def test_files_that_cannot_be_read_do_not_hide_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = written(tmp_path, BASE), written(tmp_path, BAD, "bad.toml")
    gone = str(tmp_path / "gone.toml")
    assert main(["validate", good, gone, bad, str(tmp_path)]) == 2
    answer = capsys.readouterr()
    assert f"{good}: valid\n" in answer.out
    assert f"{bad}: 1 error" in answer.out
    assert "error[E0301]" in answer.err
    assert answer.err.count("error: ") == 1
    assert f"{gone} cannot be read" in answer.err
    assert f"{tmp_path} is a folder" in answer.err
    assert main(["validate", good, gone, "--format", "json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["valid"], told["error_count"], len(told["unread"])) == (False, 0, 1)
    assert main(["validate", good, "--format", "json"]) == 0
    assert "unread" not in json.loads(capsys.readouterr().out)


def test_an_unmet_requirement_ends_with_3(tmp_path: Path) -> None:
    assert main(["validate", written(tmp_path, top('requires.no-such-thing = ">1"'))]) == 3


def test_a_secret_is_starred_out_wherever_its_line_is_quoted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = "hf_" + "a1B2" * 6
    spec = written(tmp_path, edit('name = "some/model"', f'name = "{token}"\nrevision = 5 # {token}'))
    for form in ("text", "json", "github"):
        assert main(["validate", spec, "--format", form]) == 1
        answer = capsys.readouterr()
        assert token not in answer.out + answer.err
        assert "W0406" in answer.out + answer.err


def test_the_commit_of_a_revision_is_no_secret() -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    assert text_of(edit('name = "some/model"', f'name = "some/model"\nrevision = "{commit}"')) == ""
    shown = text_of(edit('name = "some/model"', f'name = "some/model"\nattention = "{commit}"'))
    assert "W0406" in shown
    assert commit not in shown


def test_explain_prints_a_page_and_knows_its_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "e0301"]) == 0
    assert capsys.readouterr().out.startswith("# E0301: unknown component")
    assert main(["explain", "E9999"]) == 2
    assert "help: the codes are E0101, " in capsys.readouterr().err
    for written, meant in (("E203", "`E0203`"), ("0301", "`E0301`"), ("302", "`E0302` or `W0302`")):
        assert main(["explain", written]) == 2
        assert f"help: did you mean {meant}?" in capsys.readouterr().err


def test_overrides_are_checked_like_the_spec(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = written(tmp_path, BASE)
    overlay = written(tmp_path, "sampler.group_size = 4", "overlay.toml")
    assert main(["validate", spec, "--set", "optimizer.lr=1e-5", "--overlay", overlay]) == 0
    assert main(["validate", spec, "--set", "optimizer.lrr=1"]) == 1
    assert "--> <--set #1>:1:11" in capsys.readouterr().err
    assert main(["validate", spec, "--unset", "optimizer.betas"]) == 1
    assert "--> <--unset #1>:1:1" in capsys.readouterr().err


WORDS = [
    ('objective = "grpo"', 'objective = "vllm"', "`vllm` is a sampler; an objective is needed here", "`[sampler]`"),
    (
        'objective = "grpo"',
        'objective = "VLLM"',
        "`vllm` is a sampler; an objective is needed here",
        "unknown objective",
    ),
    ('use = "math_verify"', 'use = "jsonl"', "`jsonl` is a data set; a verifier is needed here", "`[data.NAME]`"),
    ("[[phases]]", "[phases]", "`phases` is a list of tables, not one table", "`[[phases]]`"),
    ("[run]", "[[run]]", "`run` is one table, not a list of tables", "`[run]`"),
    ("[model]", "[[model]]", "one model belongs here, not a list of tables", "`[model]`"),
    ("[data.train]", "[[data.train]]", "one data set belongs here, not a list of tables", "`[data.train]`"),
    ('objective = "grpo"', '[[phases.objective]]\nuse = "grpo"', "one objective belongs here", "`[phases.objective]`"),
    ("spec = 1", 'spec = 1\nevaluate = "lm_eval"', "`evaluate` is a list of components", '`evaluate = ["lm_eval"]`'),
    ("spec = 1", 'spec = 1\nextends = "a.toml"', "`extends` must be a list of texts", '`extends = ["..."]`'),
    ("steps = 20", 'steps = "20"', '`steps` must be a whole number, not the text "20"', "`20`"),
    ("lr = 1e-6", 'lr = "1e-6"', '`lr` must be a number, not the text "1e-6"', "`1e-6`"),
    ("group_size = 8", 'stop = "x"', '`stop` must be a list, not the text "x"', '`["x"]`'),
    ("spec = 1", "spec = 2", "language version 2 is not understood, only version 1 is", "`spec = 1`"),
    ("lr = 1e-6", "lr = .5", "`.5` is not a number", "`0.5`"),
    ("lr = 1e-6", "lr = -5.e3", "`-5.e3` is not a number", "`-5.0e3`"),
    ("steps = 20", "steps = 017", "`017` is not a number", "`17`"),
    ("lr = 1e-6", "learning rate = 1e-6", "unexpected `r`", "`learning_rate`"),
]


@pytest.mark.parametrize(("old", "new", "what", "right"), WORDS)
def test_a_mistake_is_told_with_what_would_be_right_in_text_and_json(
    old: str, new: str, what: str, right: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = written(tmp_path, edit(old, new))
    for form in ("text", "json"):
        assert main(["validate", spec, "--format", form]) == 1
        answer = capsys.readouterr()
        said = answer.err if form == "text" else json.dumps(json.loads(answer.out)["diagnostics"], ensure_ascii=False)
        assert what in said.replace('\\"', '"'), form
        assert right in said.replace('\\"', '"'), form


def test_a_name_of_several_kinds_is_told_with_all_of_them() -> None:
    registry = Registry([*installed().entries, Entry("view", "grpo", "a:B", "prerl-spec", "1")])
    (found,) = resolve_text(edit('use = "math_verify"', 'use = "grpo"'), registry=registry).diagnostics
    assert found.message == "`grpo` is a view and an objective; a verifier is needed here"


def test_a_set_without_a_value_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = written(tmp_path, BASE)
    assert main(["validate", spec, "--set", "run.seed"]) == 2
    assert "--set run.seed=VALUE" in capsys.readouterr().err
    assert main(["validate", spec, "--set", "run.seed="]) == 1

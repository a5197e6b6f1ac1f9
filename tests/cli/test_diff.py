"""`diff A B` tells where two specs, plans or runs differ in meaning, and says nothing of all else."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from tests.compiler.specs import TINY, bent, written

Says = Callable[..., tuple[int, str]]


@pytest.fixture
def says(capsys: pytest.CaptureFixture[str]) -> Says:
    """The exit code and the lines of differences."""

    def run(*arguments: object) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["diff", *map(str, arguments)])
        return code, capsys.readouterr().out

    return run


def row(out: str, path: str) -> list[str]:
    """The cells of a path's line."""
    (line,) = [line for line in out.splitlines() if line.startswith(f"{path} ")]
    return re.split(r" {2,}", line)


def test_a_spec_means_what_it_means(tmp_path: Path, says: Says) -> None:
    first = written(tmp_path, TINY, "a.toml")
    second = written(tmp_path, bent(("spec = 1", "spec = 1  # other words"), ("every = 10", "every = 5")), "b.toml")
    assert says(first, second) == (0, f"{first} and {second} mean the same\n")


def test_each_difference_is_told_with_both_values_and_both_places(tmp_path: Path, says: Says) -> None:
    first = written(tmp_path, TINY, "a.toml")
    second = written(tmp_path, bent(("lr = 1e-4", "lr = 2e-4\neps = 1e-6"), ("seed = 3\n", "")), "b.toml")
    code, out = says(first, second)
    assert code == 1
    line = TINY[: TINY.index("seed = 3")].count("\n") + 1
    assert row(out, "run.seed") == ["run.seed", "3", "0", f"{first}:{line}", "default"]
    assert row(out, "phases.prune.optimizer.eps")[1:3] == ["1e-08", "1e-06"]
    assert row(out, "phases.refine.optimizer.lr")[1:3] == ["0.0001", "0.0002"]
    assert len(out.splitlines()) == 1 + 5  # the header; seed; lr and eps of two phases


def test_a_component_that_only_one_side_has_is_told_with_its_written_settings(tmp_path: Path, says: Says) -> None:
    """Of a replaced or added component only the name is compared; what was set in it would else stay unseen."""
    one, two, three = (
        written(tmp_path, bent(('[phases.objective]\nuse = "grpo"', f"[phases.objective]\n{objective}")), name)
        for name, objective in (
            ("a.toml", 'use = "grpo"'),
            ("b.toml", 'use = "weighted_sum"\nterms = ["grpo", { use = "kl", coefficient = 0.1 }]'),
            ("c.toml", 'use = "weighted_sum"\nterms = ["grpo"]'),
        )
    )
    path = "phases.refine.objective"
    assert row(says(three, two)[1], f"{path}.terms[1].use")[1:3] == ["-", '{ use = "kl", coefficient = 0.1 }']
    replaced = '{ use = "weighted_sum", terms[0].use = "grpo", terms[1].use = "kl", terms[1].coefficient = 0.1 }'
    assert row(says(one, two)[1], f"{path}.use")[1:3] == ['"grpo"', replaced]
    sgd = written(tmp_path, bent(('use = "adamw"', 'use = "muon"\nmomentum = 0.9')), "d.toml")
    assert '{ use = "muon", lr = 0.0001, momentum = 0.9 }' in says(one, sgd)[1]


def test_a_phase_that_only_one_side_has_is_told_once(tmp_path: Path, says: Says) -> None:
    whole = written(tmp_path, TINY, "a.toml")
    last = TINY.rindex("[[phases]]")
    rest = TINY[:last] + TINY[TINY.index("[[evaluate]]") :]
    code, out = says(whole, written(tmp_path, rest, "b.toml"))
    assert code == 1
    assert row(out, "phases")[1:3] == ['["pretrain", "prune", "refine"]', '["pretrain", "prune"]']
    assert "phases.refine" not in out


def test_a_spec_is_compared_with_its_plan_and_with_a_run(tmp_path: Path, says: Says) -> None:
    spec, plan = written(tmp_path, TINY), tmp_path / "plan.json"
    assert main(["plan", str(spec), "--out", str(plan)]) == 0
    assert says(spec, plan)[0] == 0
    assert says(plan, tmp_path)[0] == 0, "a folder with a plan.json is a run"
    code, out = says("--set", "phases.prune.objective.coefficient=0.5", plan, spec)
    assert code == 1
    assert row(out, "phases.prune.objective.coefficient")[1:3] == ["0.01", "0.5"]
    assert row(out, "phases.prune.objective.coefficient")[4] == "<--set #1>:1"


@pytest.mark.parametrize(("other", "code"), [("none.toml", 2), ("empty", 2), ("bad.toml", 1), ("bad.json", 2)])
def test_what_cannot_be_compared_is_an_error(other: str, code: int, tmp_path: Path, says: Says) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.toml").write_text("spec = ")
    (tmp_path / "bad.json").write_text("{}")
    assert says(written(tmp_path, TINY), tmp_path / other)[0] == code


def test_what_a_phase_takes_from_the_top_level_is_told_with_its_place_there(tmp_path: Path, says: Says) -> None:
    first = written(tmp_path, TINY, "a.toml")
    second = written(tmp_path, bent(("lr = 1e-4", "lr = 2e-4\neps = 1e-6")), "b.toml")
    line = TINY[: TINY.index("lr = 1e-4")].count("\n") + 1
    _, out = says(first, second)
    assert row(out, "phases.refine.optimizer.lr")[3:] == [f"{first}:{line}", f"{second}:{line}"]
    assert row(out, "phases.refine.optimizer.eps")[3:] == ["default", f"{second}:{line + 1}"]


def test_a_value_that_is_written_is_no_default_of_a_plan(tmp_path: Path, says: Says) -> None:
    """Also where it is what the default is, and where the setting has none."""
    plan = tmp_path / "plan.json"
    spec = written(tmp_path, bent(("lr = 1e-4", "lr = 1e-4\neps = 1e-8")), "a.toml")
    assert main(["plan", str(spec), "--out", str(plan)]) == 0
    _, out = says("--set", "optimizer.eps=1e-6", "--set", "optimizer.lr=1.0", plan, spec)
    line = TINY[: TINY.index("lr = 1e-4")].count("\n") + 1
    assert row(out, "phases.refine.optimizer.eps")[3:] == [f"{spec}:{line + 1}", "<--set #1>:1"]
    assert row(out, "phases.refine.optimizer.lr")[3:] == [f"{spec}:{line}", "<--set #2>:1"]


def test_a_phase_with_a_component_of_its_own_takes_no_place_from_the_top_level(tmp_path: Path, says: Says) -> None:
    texts = []
    for lr in ("1e-3", "2e-3"):
        own = f'[phases.optimizer]\nuse = "adamw"\nlr = {lr}\n[phases.objective]\nuse = "grpo"'
        texts.append(bent(('[phases.objective]\nuse = "grpo"', own), ("lr = 1e-4", "lr = 1e-4\neps = 1e-6")))
    first, second = (written(tmp_path, text, name) for text, name in zip(texts, ("a.toml", "b.toml"), strict=True))
    _, out = says(first, second)
    line = texts[0][: texts[0].index("lr = 1e-3")].count("\n") + 1
    assert row(out, "phases.refine.optimizer.lr")[3:] == [f"{first}:{line}", f"{second}:{line}"]


def test_a_default_of_a_component_of_a_phases_own_is_none_of_the_top_level(tmp_path: Path, says: Says) -> None:
    """The last phase leaves the optimizer's eps at its default, beside one of the top level that is written."""
    own = '[phases.optimizer]\nuse = "adamw"\nlr = 1e-3\n[phases.objective]\nuse = "grpo"'
    text = bent(('[phases.objective]\nuse = "grpo"', own), ("lr = 1e-4", "lr = 1e-4\neps = 1e-6"))
    first = written(tmp_path, text, "a.toml")
    second = written(tmp_path, text.replace("lr = 1e-3", "lr = 1e-3\neps = 1e-5"), "b.toml")
    _, out = says(first, second)
    line = text[: text.index("lr = 1e-3")].count("\n") + 2
    assert row(out, "phases.refine.optimizer.eps")[1:] == ["1e-08", "1e-05", "default", f"{second}:{line}"]

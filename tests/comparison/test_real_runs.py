"""Real tiny runs of two arms and two seeds, compared: what runs write is what a comparison reads."""

import json
from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from prerl_spec.storage.sealed import read_array
from tests.test_papers import COIN, MODEL, TINY

SPEC = f"""spec = 1
{TINY.replace("MODEL", MODEL)}
data.easy = {{ use = "arithmetic_chains", part = "easy", steps = [1, 1] }}
evaluate = [{{ use = "holdout", data = "easy", samples = 4, limit = 12, every = 1, seed = 5 }}]
[[phases]]
id = "refine"
prompts_per_step = 2
objective = "grpo"
schedule = {{ use = "fixed_steps", steps = 3 }}
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("real")
    (root / "spec.toml").write_text(SPEC, encoding="utf-8")
    (root / "coin.py").write_text(COIN, encoding="utf-8")
    found = []
    for name, rate in (("slow", "1e-3"), ("quick", "3e-2")):
        for seed in (0, 1):
            folder = root / f"{name}-{seed}"
            settings = (f"run.seed={seed}", f"run.name={name}", f"optimizer.lr={rate}")
            command = ["run", str(root / "spec.toml"), "--run-dir", str(folder), "--local-code"]
            assert main([*command, *(word for setting in settings for word in ("--set", setting))]) == 0
            found.append(str(folder))
    return found


def test_scores_and_questions_of_real_runs_say_the_same(runs: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["compare", *runs, "--format", "json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert [(arm["arm"], arm["seeds"]) for arm in read["arms"]] == [
        (n, ["seed 0", "seed 1"]) for n in ("slow", "quick")
    ]
    assert read["paired_on"] == "crosses bases and seeds: 2 bases, one for each seed"
    for table in read["tables"]:
        arm = table["arms"][0]
        assert arm["over_questions"]["difference"] == pytest.approx(arm["over_seeds"]["difference"], abs=1e-12)
        assert arm["over_questions"]["count"] == 12
        assert arm["over_seeds"]["count"] == 2
        assert {at["how"] for at in arm["at_equal"].values()} <= {"ends", "curve", "unknown"}
        assert arm["at_equal"]["updates"]["amount"] == 3
        assert [len(curve["steps"]) for curve in table["curves"]] == [4, 4]
        rows = [row for row in read_array(Path(runs[0]) / "scores.json") if row["metric"] == table["metric"]]
        assert table["baseline"]["by_seed"]["seed 0"] == max(rows, key=lambda row: int(row["global_step"]))["value"]


def test_real_runs_have_a_page_and_another_pass_at_k(runs: list[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main(["compare", *runs, "--task", "easy/pass@3", "--out", str(page)]) == 0
    assert "pass@3" in page.read_text(encoding="utf-8")

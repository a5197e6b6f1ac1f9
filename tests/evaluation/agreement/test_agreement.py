"""Tasks of every kind score the same through `lm_eval --model hf`: greedy, to the last question."""

import json
import runpy
from importlib.metadata import version
from pathlib import Path

import pytest

from prerl_spec.testing.tiny import save_tiny
from tests.evaluation.agreement.both import Agreement, agreements
from tests.evaluation.agreement.kinds import ALL

IN_A_HURRY = ("mutual_information", "pages", "filters_few_shot", "drawn_examples")
"""Every kind of request, the empty context, windows, few-shot examples, first ones and drawn ones, and filters."""
NATS = 1e-4
ROOT = Path(__file__).parents[3]
MEASURED = Path(__file__).parent / "measured.json"


def test_some_kinds_score_as_the_stock_harness_scores_them(tmp_path: Path) -> None:
    for found in agreements(save_tiny(tmp_path / "model"), tmp_path, IN_A_HURRY):
        assert found.holds(NATS), found


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["qwen3", "llama", "gpt2"])
def test_every_kind_scores_as_the_stock_harness_scores_it(tmp_path: Path, shape: str) -> None:
    for found in agreements(save_tiny(tmp_path / "model", shape), tmp_path, ALL):  # type: ignore[arg-type]
        assert found.holds(NATS), found


def test_the_page_is_what_was_measured() -> None:
    script = runpy.run_path(str(ROOT / "docs" / "write_harness_agreement.py"))
    assert script["PAGE"].read_text(encoding="utf-8") == script["page"](), "run docs/write_harness_agreement.py"


def test_what_was_measured_agrees() -> None:
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    assert measured["versions"]["lm-eval"] == version("lm-eval"), "run benchmarks/harness_agreement.py"
    for model, found in measured["models"].items():
        assert [one["task"] for one in found["tasks"]] == list(ALL)
        for one in found["tasks"]:
            assert Agreement(**one).holds(NATS), f"{model}: {one}"

"""Tasks of every kind score the same through `lm_eval --model hf`: greedy, to the last question."""

from pathlib import Path

import pytest

from prerl_spec.testing.tiny import save_tiny
from tests.evaluation.agreement.both import agreements
from tests.evaluation.agreement.kinds import KINDS

IN_A_HURRY = ("mutual_information", "pages", "filters_few_shot")
"""Every kind of request, the empty context, windows, few-shot examples and filters."""
NATS = 1e-4


def test_three_kinds_score_as_the_stock_harness_scores_them(tmp_path: Path) -> None:
    for found in agreements(save_tiny(tmp_path / "model"), tmp_path, IN_A_HURRY):
        assert found.holds(NATS), found


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["qwen3", "llama", "gpt2"])
def test_every_kind_scores_as_the_stock_harness_scores_it(tmp_path: Path, shape: str) -> None:
    for found in agreements(save_tiny(tmp_path / "model", shape), tmp_path, list(KINDS)):  # type: ignore[arg-type]
        assert found.holds(NATS), found

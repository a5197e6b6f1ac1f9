"""When a sampler hears of new weights: before it draws from them, and no sooner than anybody asks it to draw."""

from pathlib import Path

import pytest
from prerl_components.samplers.embedded.sampler import EmbeddedSampler

from tests.engine.runs import SPEC, Heard, start

SCORED = '[[evaluate]]\nuse = "holdout"\ndata = "train"\nlimit = 2\nsamples = 1\nat = ["base", "end"]\n\n'


def test_a_sampler_is_told_before_it_draws_and_not_while_documents_are_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    heard = Heard()

    def sync(sampler: EmbeddedSampler, version: int) -> None:
        told.append((sum(e["event"] == "step" for e in heard.events), version))

    monkeypatch.setattr(EmbeddedSampler, "sync", sync)
    # Opened by the evaluation before the first step; documents for three steps, then three and two of its own.
    start(tmp_path, SPEC.replace("[[phases]]", SCORED + "[[phases]]", 1), heard)
    steps = [e for e in heard.events if e["event"] == "step"]
    assert [e["applied"] for e in steps] == [1, 1, 1, 1, 1, 1, 2, 2]
    # (steps finished when it was told, updates): within a step, before that step is written down.
    assert told == [(3, 3), (3, 4), (4, 5), (5, 6), (6, 8), (7, 10)]

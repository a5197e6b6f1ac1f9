"""The holdout evaluator: training's own prompts, the nearest verifier, and what cannot be scored."""

import dataclasses
from pathlib import Path
from typing import Literal

import pytest
from prerl_components.evaluators.holdout import Holdout
from prerl_components.verifiers.exact_match import ExactMatch

from prerl_spec import __version__
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.prompts import render
from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.types import Rendering, Row
from tests.evaluation.sites import EvenLength, Scene, samples_of, tiny_scene


class Sums:
    """A data set of sums with a template of its own."""

    rendering = Rendering(chat={}, system="Add.", template="{{ question }} Answer:")
    max_prompt_tokens: int | None = None
    over_long: Literal["error", "drop"] = "error"
    on_bad_row: Literal["error", "drop"] = "error"
    dropped = 0
    fingerprint = "sums"

    def __init__(self, num_rows: int = 5, gold: str | None = "0") -> None:
        self.num_rows = num_rows
        self.gold = gold

    def __len__(self) -> int:
        return self.num_rows

    def row(self, index: int) -> Row:
        question = f"{index} + {index}"
        return Row(f"sums, row {index}", question, self.gold, fields={"question": question})


def scored(scene: Scene, evaluator: Holdout, **changes: object) -> dict[str, float]:
    site: EvaluationSite = dataclasses.replace(scene.site, **changes)  # type: ignore[arg-type]
    return {score.metric: score.value for score in evaluator.score(site)}


def test_a_holdout_asks_what_training_asks(tmp_path: Path) -> None:
    with tiny_scene(tmp_path, chat=True, data={"sums": Sums()}) as scene:
        scores = Holdout(data="sums", samples=3, limit=4).score(scene.site)
        expected = [render(Sums().row(i), i, "sums", Sums.rendering, scene.site.codec).context for i in range(4)]
        assert [request.context for request in scene.heard.requests] == expected
        lines = samples_of(scene.site, "sums")
    assert {(s.task, s.questions, s.samples_per_question, s.harness) for s in scores} == {
        ("sums", 4, 3, f"prerl-spec {__version__}")
    }
    assert scores[0].metric == "avg@3"
    assert scores[0].value == pytest.approx(sum(len(line["response"]) % 2 == 0 for line in lines) / 12)


def test_nothing_is_held_out_twice(tmp_path: Path) -> None:
    with tiny_scene(tmp_path, data={"sums": Sums()}) as scene:
        first = scored(scene, Holdout(data="sums"))
        assert scored(scene, Holdout(data="sums"), global_step=7) == first
        assert len(scene.heard.requests) == 5
        scored(scene, Holdout(data="sums"), weights_hash="others")
        scored(scene, Holdout(data="sums", verifier=ExactMatch()))
        assert len(scene.heard.requests) == 15


def test_the_nearest_verifier_judges(tmp_path: Path) -> None:
    """The evaluator's own, else the data set's, else the phase's; a random model never boxes an answer."""
    boxed, even = ExactMatch(), EvenLength()
    with tiny_scene(tmp_path, data={"sums": Sums()}) as scene:
        assert scored(scene, Holdout(data="sums"), verifier=even)["avg@1"] > 0
        assert scored(scene, Holdout(data="sums"), verifier=even, data_verifier={"sums": boxed})["avg@1"] == 0
        own = Holdout(data="sums", verifier=even)
        assert scored(scene, own, verifier=boxed, data_verifier={"sums": boxed})["avg@1"] > 0
        with pytest.raises(EnvironmentUnmet, match=r"no verifier is configured for data\.sums"):
            scored(scene, Holdout(data="sums"), verifier=None)


def test_rows_that_cannot_be_scored_are_named(tmp_path: Path) -> None:
    with tiny_scene(tmp_path, data={"sums": Sums(gold=None)}) as scene:
        with pytest.raises(EnvironmentUnmet, match="sums, row 0 has no question with a gold answer"):
            Holdout(data="sums").score(scene.site)
        too_long = dataclasses.replace(scene.site, data={"sums": Sums()})
        with pytest.raises(
            EnvironmentUnmet,
            match=r"sums, row 0: \d+ tokens and max_new_tokens 510 exceed the model's context length 512",
        ):
            Holdout(data="sums", max_new_tokens=510).score(too_long)

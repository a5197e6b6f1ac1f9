"""What the two declarations accept, refuse and ask for, and that importing them loads nothing heavy."""

import subprocess
import sys
from typing import Any

import pytest
from prerl_components.evaluators.holdout import Holdout
from prerl_components.evaluators.lm_eval import LmEval
from pydantic import ValidationError

from prerl_spec.registry.component import Wiring

WIRING = Wiring(written=frozenset())


def test_defaults_are_those_of_the_language() -> None:
    assert Holdout(data="heldout").settings() == {
        "at": ["base", "phases"],
        "every": "off",
        "samples": 1,
        "temperature": None,
        "top_p": None,
        "max_new_tokens": None,
        "limit": "off",
        "seed": None,
        "data": "heldout",
        "verifier": None,
    }
    own: dict[str, Any] = {
        "tasks": ["math500_boxed"],
        "include": [],
        "data": {},
        "system": None,
        "chat": None,
        "num_fewshot": "task",
    }
    assert LmEval(tasks=("math500_boxed",)).settings().items() >= own.items()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"tasks": []},
        {"tasks": ["a", "a"]},
        {"tasks": "a"},
        {"tasks": ["a"], "samples": 0},
        {"tasks": ["a"], "samples": 2.0},
        {"tasks": ["a"], "every": 0},
        {"tasks": ["a"], "limit": "all"},
        {"tasks": ["a"], "temperature": -0.1},
        {"tasks": ["a"], "top_p": 0.0},
        {"tasks": ["a"], "seed": -1},
        {"tasks": ["a"], "num_fewshot": -1},
        {"tasks": ["a"], "chat": "on"},
        {"tasks": ["a"], "at": ["start"]},
        {"tasks": ["a"], "data": {"a": 1}},
        {"tasks": ["a"], "taks": ["b"]},
    ],
)
def test_what_the_language_does_not_allow_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LmEval.model_validate(settings)


def test_contradictions_are_told_at_their_settings() -> None:
    def told(**settings: Any) -> list[tuple[str, list[str]]]:
        evaluator = LmEval.model_validate({"tasks": ["math500_boxed"], **settings})
        return [(c.code, [place.setting for place in c.places]) for c in evaluator.check(WIRING)]

    assert told() == []
    assert told(at=[], every=5) == []
    assert told(at=[]) == [("E0701", ["at", "every"])]
    assert told(samples=4, temperature=0.0) == [("W0702", ["samples", "temperature"])]
    assert told(data={"aime24_boxed": "rows.jsonl"}) == [("E0701", ["data", "tasks"])]


def test_what_an_evaluation_fetches_is_known_before_the_run() -> None:
    evaluator = LmEval.model_validate(
        {
            "tasks": ["math500_boxed", "aime24_boxed", "arithmetic_chains_easy"],
            "data": {"aime24_boxed": "/rows.jsonl"},
            "include": ["/x"],
        }
    )
    asked = {(r.what, r.name) for r in evaluator.prerequisites()}
    assert asked == {("file", "/rows.jsonl"), ("file", "/x"), ("dataset", "HuggingFaceH4/MATH-500")}


def test_declaring_loads_nothing_heavy() -> None:
    code = (
        "import sys, prerl_components.evaluators.lm_eval, prerl_components.evaluators.holdout;"
        "print(sorted({'torch', 'transformers', 'datasets', 'lm_eval', 'scipy', 'vllm'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"

"""The table of scores in each form: what people read, and what programs read back."""

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from prerl_spec.report.tables.score_tables import ENDINGS, FORMS, ScoredModel, form_of_file
from prerl_spec.types import Score

SCORE = Score(
    phase="base",
    global_step=0,
    task="gsm8k_boxed",
    metric="avg@4",
    value=0.25,
    low=0.125,
    high=0.5,
    questions=10,
    samples_per_question=4,
    seed=3,
    decoding={"temperature": 0.6, "top_p": 0.95, "top_k": 0, "max_new_tokens": 32, "stop": ["Q:", "\n"]},
    harness="lm-eval 0.4.13",
    task_version="1",
    task_hash="9f",
    template_hash="03",
    generated_tokens=0,
    trained_tokens=0,
    protocol="open-r1",
    truncated=0.5,
    unparsable=0.025,
    mean_length=20.5,
)
WITHOUT = replace(
    SCORE,
    task="lm_eval/wmt16",
    metric="bleu,none",
    low=math.nan,
    high=math.nan,
    protocol="off",
    truncated=None,
    unparsable=None,
    mean_length=None,
)
MODELS = [
    ScoredModel("one_model", "runs/one", "out/one", (SCORE, WITHOUT)),
    ScoredModel("50% | other", "org/other", "out/other", (replace(SCORE, value=0.5),)),
]


def test_people_read_a_line_a_score_and_what_became_of_the_responses() -> None:
    heading, first, second, third, empty, taken = FORMS["text"](MODELS).splitlines()
    assert not empty
    assert taken == (
        'max_new_tokens 32, stop ["Q:", "\\n"], temperature 0.6, top_k 0, top_p 0.95; seed 3; lm-eval 0.4.13: '
        "gsm8k_boxed version 1 (hash 9f, template 03); lm_eval/wmt16 version 1 (hash 9f, template 03) of one_model"
    )
    assert heading.split("  ")[0] == "model"
    assert first.split() == [
        *("one_model", "gsm8k_boxed", "avg@4", "0.2500", "[0.1250,", "0.5000]", "10", "×", "4"),
        *("open-r1", "50.0%", "2.5%", "20.5"),
    ]
    assert second.split()[4:] == ["none", "10", "×", "4", "off", "–", "–", "–"]
    assert third.startswith("50% | other")
    greedy = replace(SCORE, decoding={**SCORE.decoding, "temperature": 0.0})
    several = FORMS["text"]([ScoredModel("m", "m", "m", (SCORE, replace(greedy, task="math")))]).split("\n\n")[1]
    assert [sentence.rpartition(": ")[2].split()[0] for sentence in several.splitlines()] == ["gsm8k_boxed", "math"]
    alone = FORMS["text"]([ScoredModel("m", "m", "m", (WITHOUT,))]).splitlines()
    assert alone[0].split() == ["task", "metric", "value", "95", "%", "interval", "questions", "×", "responses"]


def test_papers_take_it_as_it_is() -> None:
    heading, rule, first, _, third, empty, taken = FORMS["markdown"](MODELS).splitlines()
    assert not empty
    assert (
        r"temperature 0.6, top\_k 0, top\_p 0.95; seed 3; lm-eval 0.4.13: gsm8k\_boxed version 1 (hash 9f, template 03)"
        in taken
    )
    assert heading.startswith("| model | task | metric | value |")
    assert rule.count("|") == heading.count("|") == first.count("|")
    assert r"| one\_model | gsm8k\_boxed | avg@4 | 0.2500 | \[0.1250, 0.5000\] |" in first
    assert r"50% \| other" in third
    latex = FORMS["latex"](MODELS).splitlines()
    assert latex[1] == r"\begin{tabular}{@{}lllrlllrrr@{}}"
    assert latex[5].startswith(
        r"one\_model & gsm8k\_boxed & avg@4 & 0.2500 & [0.1250, 0.5000] & 10 $\times$ 4 & open-r1"
    )
    assert r"50\% \textbar{} other & " in latex[7]
    assert r"top\_p 0.95; seed 3; lm-eval 0.4.13: gsm8k\_boxed version 1" in latex[-1]


def test_programs_read_back_everything_that_a_score_states() -> None:
    first, second, _ = csv.DictReader(io.StringIO(FORMS["csv"](MODELS)))
    assert (first["model"], float(first["value"]), first["temperature"], first["stop"]) == (
        "one_model",
        0.25,
        "0.6",
        "Q: \n",
    )
    assert (second["low"], second["truncated"], second["seed"]) == ("", "", "3")
    assert "decoding" not in first
    document = json.loads(FORMS["json"](MODELS))
    assert [(model["name"], len(model["scores"])) for model in document["models"]] == [
        ("one_model", 2),
        ("50% | other", 1),
    ]
    assert Score.of_row(document["models"][0]["scores"][0]) == SCORE
    assert document["models"][0]["scores"][1]["low"] is None


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_files_ending_names_its_form(ending: str) -> None:
    assert form_of_file(Path(f"table{ending}")) is FORMS[ENDINGS[ending]]
    assert form_of_file(Path("table.xlsx")) is None


def test_people_read_no_score_twice() -> None:
    """pass@1 is avg@n in other words, and G-Pass@k comes along wherever k is written."""
    metrics = ["avg@4", "pass@1", "pass@4", "maj@4", "G-Pass@4_0.5", "mG-Pass@4"]
    stock = ["avg@4,exact_match,none", "pass@1,exact_match,none", "G-Pass@4_0.5,exact_match,none"]
    scores = tuple(replace(SCORE, metric=metric) for metric in [*metrics, *stock])
    alone = (replace(SCORE, task="other", metric="pass@1"),)
    model = ScoredModel("m", "m", "m", scores + alone)
    shown = [line.split()[1] for line in FORMS["text"]([model]).split("\n\n")[0].splitlines()[1:]]
    assert shown == ["avg@4", "pass@4", "maj@4", "avg@4,exact_match,none", "pass@1"]
    assert len(list(csv.DictReader(io.StringIO(FORMS["csv"]([model]))))) == len(scores) + 1

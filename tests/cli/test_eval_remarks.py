"""What `eval` remarks: equal responses before they are drawn, and responses that say little of the model."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from prerl_spec.cli.runs.eval_remarks import advice, equal_responses, noted, unlike_seeds
from prerl_spec.compiler.graph import Named
from prerl_spec.evaluation.targets import Asked, Target
from prerl_spec.registry.kinds.evaluator import TaskDraw
from prerl_spec.report.tables.score_tables import ScoredModel
from prerl_spec.testing.tiny import save_tiny
from prerl_spec.types import Decoding
from tests.report.test_score_tables import SCORE


@pytest.mark.parametrize(
    ("truncated", "unparsable", "said"),
    [
        (0.95, 1.0, "95% of the responses were cut off at 32 tokens: raise --max-new-tokens"),
        (
            0.1,
            1.0,
            "no answer was found in 100% of the responses: `prerl-spec samples out/m --task gsm8k_boxed` shows them",
        ),
        (0.89, 0.89, None),
        (None, None, None),
    ],
)
def test_responses_that_were_cut_off_or_had_no_answer_come_with_advice(
    truncated: float | None, unparsable: float | None, said: str | None
) -> None:
    scores = tuple(replace(SCORE, metric=m, truncated=truncated, unparsable=unparsable) for m in ("avg@4", "pass@4"))
    model = ScoredModel("m", "m", "out/m", scores)
    lines = list(advice([model]))
    assert [line.startswith(f"gsm8k_boxed: {said}") for line in lines] == ([] if said is None else [True])
    assert [line.startswith("m: gsm8k_boxed: ") for line in advice([model, model])] == [True] * 2 * len(lines)


@pytest.mark.parametrize(("seeds", "written", "lines"), [((0, 1), None, 1), ((0, 1), 7, 0), ((3, 3), None, 0)])
def test_scores_that_compare_would_not_pair_are_said_beforehand(
    seeds: tuple[int, ...], written: int | None, lines: int
) -> None:
    models = [
        Asked(f"m{seed}", Target(f"m{seed}", None, Path("out"), seed=seed), Named("transformers", None), Path("out"))
        for seed in seeds
    ]
    found = list(unlike_seeds(SimpleNamespace(seed=written), models))
    assert len(found) == lines
    assert [line.startswith("seeds differ (m0 0, m1 1)") for line in found] == [True] * lines


def test_several_greedy_responses_are_warned_of() -> None:
    greedy = Decoding(temperature=0.0)
    draws = [
        TaskDraw("sums", greedy, 3),
        TaskDraw("once", greedy, 1),
        TaskDraw("sampled", Decoding(), 3),
        TaskDraw("choices", None, 1, generates=False),
    ]
    (line,) = equal_responses(draws)
    assert line.startswith("W0702: sums: --samples 3 has no effect at temperature 0")


def test_the_token_limit_comes_first_where_many_responses_were_cut_off_and_none_had_an_answer() -> None:
    score = replace(SCORE, truncated=0.87, unparsable=1.0)
    first, second = advice([ScoredModel("m", "m", "out/m", (score,))])
    assert (
        "87% of the responses were cut off at 32 tokens, before an answer perhaps: raise --max-new-tokens first"
        in first
    )
    assert "no answer was found in 100%" in second


def test_a_stock_task_comes_with_the_options_that_give_the_numbers_of_lm_eval(tmp_path: Path) -> None:
    save_tiny(tmp_path, chat=False)
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0].content }}", encoding="utf-8")
    draw = TaskDraw("lm_eval/gsm8k", Decoding(), 1, note='its own YAML says T 0 (here 1): protocol = "task"')
    model = {"name": str(tmp_path)}
    assert noted(draw, {}, model).note == (
        "its own YAML says T 0 (here 1): --protocol task; asked through the model's chat template; `lm_eval --model hf` asks "
        "without it: --chat off"
    )
    assert noted(draw, "off", model).note == "its own YAML says T 0 (here 1): --protocol task"
    assert noted(TaskDraw("gsm8k_boxed", Decoding(), 1), {}, model).note is None, "a task of ours has no other numbers"
    (tmp_path / "chat_template.jinja").unlink()
    assert noted(draw, {}, model).note == "its own YAML says T 0 (here 1): --protocol task"

"""What `eval` remarks: equal responses before they are drawn, and responses that say little of the model."""

from dataclasses import replace

import pytest

from prerl_spec.cli.runs.eval_remarks import advice, equal_responses
from prerl_spec.registry.kinds.evaluator import TaskDraw
from prerl_spec.report.tables.score_tables import ScoredModel
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

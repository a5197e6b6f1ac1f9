"""What a plan says of evaluation: how each task is sampled, and how many tokens that is."""

from pathlib import Path

import pytest

from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.render.render_plan import render_plan
from tests.compiler.test_plan import bent, planned

HOLDOUT = 'use = "holdout"\ndata = "easy"\nsamples = 4\nlimit = 10'


def evaluating(tmp_path: Path, settings: str) -> Plan:
    return planned(tmp_path, bent((HOLDOUT, f'use = "lm_eval"\nat = ["end"]\n{settings}')))


@pytest.mark.parametrize(
    ("settings", "tokens"),
    [
        ('tasks = ["aime24_boxed", "math500_boxed"]\nprotocol = "open-r1"', (30 * 64 + 500 * 4) * 32768),
        ('tasks = ["aime24_boxed", "math500_boxed"]\nprotocol = "qwen3-thinking"', 30 * 64 * 38912 + 500 * 32768),
        ('tasks = ["aime24_boxed"]\nprotocol = "open-r1"\nlimit = 3\nmax_new_tokens = 10', 3 * 64 * 10),
        ('tasks = ["lm_eval/aime24"]\nprotocol = "open-r1"\nlimit = 3\nmax_new_tokens = 10', 3 * 64 * 10),
        ('tasks = ["aime24_boxed"]\nsamples = 2\nmax_new_tokens = 10', 30 * 2 * 10),
    ],
)
def test_tokens_are_those_of_each_tasks_own_numbers(tmp_path: Path, settings: str, tokens: int) -> None:
    assert evaluating(tmp_path, settings).evaluators[0].tokens_at_most == tokens


def test_the_page_says_how_each_task_is_sampled_and_how_it_usually_is(tmp_path: Path) -> None:
    text = render_plan(evaluating(tmp_path, 'tasks = ["aime24_boxed", "math500_boxed"]\nmax_new_tokens = 99'))
    shown = " ".join(text.split())
    assert "aime24_boxed 30 questions x 1 T 1, at most 99 tokens no protocol" in shown
    assert "note aime24_boxed: its scores are usually stated at T 0.6 (here 1), top_p 0.95 (here 1), 32,768" in shown
    text = render_plan(evaluating(tmp_path, 'tasks = ["aime24_boxed", "math500_boxed"]\nprotocol = "open-r1"'))
    shown = " ".join(text.split())
    assert "aime24_boxed 30 questions x 64 T 0.6, top_p 0.95, at most 32,768 tokens protocol open-r1" in shown
    assert "math500_boxed 500 questions x 4 T 0.6" in shown
    assert "usually stated" not in shown


def test_a_holdout_is_said_too(tmp_path: Path) -> None:
    plan = planned(tmp_path, bent())
    (task,) = plan.evaluators[0].tasks
    assert (task.task, task.questions, task.samples, task.note) == ("easy", 10, 4, None)
    assert Plan.from_json(plan.as_json()).evaluators == plan.evaluators

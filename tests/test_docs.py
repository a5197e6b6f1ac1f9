"""Every code block of docs/objectives.md runs, and its table of costs is what the plan counts."""

import re
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.compiler.estimates.step_counts import forwards
from prerl_spec.compiler.resolve.resolve import resolve
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.sdk import Conditional, Marginal, Need, OnePartObjective, Prefix

PAGE = (Path(__file__).parent.parent / "docs" / "objectives.md").read_text(encoding="utf-8")

SPEC = """
spec = 1
run.name = "docs"
model = { use = "hf_causal", name = "a" }
data.train = "arithmetic_chains"
sampler = "transformers"
verifier = "math_verify"
optimizer = { use = "adamw", lr = 1e-6 }
[[phases]]
id = "only"
prompts_per_step = 8
schedule = { use = "fixed_steps", steps = 1 }
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def costs() -> list[tuple[str, int, int]]:
    """(needs as they are written, forwards with one update a batch, with several)."""
    rows = re.findall(r"^\| `(Need.*?)` \| (\d) \| (\d) \|", PAGE, re.MULTILINE)
    return [(needs, int(one), int(several)) for needs, one, several in rows]


def test_every_block_has_a_language_that_is_run_here() -> None:
    assert PAGE.count("```") == 2 * (len(blocks("python")) + len(blocks("toml")))
    assert blocks("python")
    assert blocks("toml")
    assert len(costs()) == 9


def test_the_python_of_the_page_runs_from_top_to_bottom() -> None:
    exec(compile("\n".join(blocks("python")), "docs/objectives.md", "exec"), {})


def test_the_specs_of_the_page_are_valid(tmp_path: Path) -> None:
    (tmp_path / "ideas.py").write_text("\n".join(blocks("python")), encoding="utf-8")
    file = tmp_path / "spec.toml"
    for block in blocks("toml"):
        file.write_text('plugins.files = ["ideas.py"]\n' + SPEC + block, encoding="utf-8")
        assert diagnose(resolve(file, local_code=True)) == ()


def test_the_examples_are_used_by_a_spec() -> None:
    used = {name for block in blocks("toml") for name in re.findall(r'"local\.(\w+)"', block)}
    assert used == {"pass_at_k", "silence_spurious", "gppo"}


def test_the_sentence_on_one_update_says_what_the_table_measures() -> None:
    (sentence,) = re.findall(r"\*\*With one update a batch.*?token mean\.", PAGE, re.DOTALL)
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\*\*no\*\*|yes: the aggregation) \|", PAGE, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", sentence)) == {name for name, _ in rows} - {"grpo"}
    assert {name for name, differs in rows if differs == "**no**"} == {"grpo", "gspo", "sapo"}


@pytest.mark.parametrize(("needs", "one", "several"), costs())
def test_the_table_of_costs_is_what_the_plan_counts(needs: str, one: int, several: int) -> None:
    asked = eval(
        f"frozenset(({needs},))", {"Need": Need, "Conditional": Conditional, "Marginal": Marginal, "Prefix": Prefix}
    )

    class Asking(OnePartObjective):
        def needs(self) -> Any:
            return asked

    counted = [
        len(forwards(Asking(), samples=8, updates_per_batch=updates, contexts={}, probed=False)) for updates in (1, 4)
    ]
    assert counted == [one, several]

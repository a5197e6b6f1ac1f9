"""On what two runs are paired, and where they have met other prompts."""

from dataclasses import replace
from pathlib import Path

from prerl_spec.comparison.pairs import Pair, other_prompts, paired_on
from prerl_spec.comparison.scored_run import ScoredRun, SeedKey

CELL = ScoredRun(
    folder=Path("cell"),
    name="cell",
    key=SeedKey(0, None),
    base="base@pretrain (9f36c56f7ca9)",
    base_content="9f36c56f7ca9d0",
    asked=("phase",),
    scores=(),
)
FORK = replace(CELL, name="fork", base="/runs/base@pretrain (9f36c56f7ca9)")


def test_one_start_in_two_spellings_is_one_base() -> None:
    assert paired_on([Pair("seed 0", CELL, FORK)]) == "paired on one base: base@pretrain (9f36c56f7ca9)"
    other = replace(FORK, base_content="0")
    assert paired_on([Pair("seed 0", CELL, other)]).startswith("arms on different bases: base@pretrain")


def test_runs_that_have_met_other_prompts_are_not_called_paired_in_silence() -> None:
    assert other_prompts([Pair("seed 0", CELL, FORK)]) == []
    one, two = (
        replace(FORK, name=name, asked=("global", *phases)) for name, phases in (("a", ["refine 9"]), ("b", ()))
    )
    assert other_prompts([Pair("seed 0", CELL, one)]) == [
        'not the same prompts: run.streams is "phase" in cell, "global" in a'
    ]
    (differ,) = other_prompts([Pair("seed 0", one, two)])
    assert differ.endswith("and the phases of a and b differ")
    assert other_prompts([Pair("seed 0", one, replace(one, name="c"))]) == []

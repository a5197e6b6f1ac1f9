"""Every combination of parts compiles, or is refused with words."""

import re
from collections.abc import Iterator, Sequence

import pytest

from prerl_spec.codes import Code
from prerl_spec.compiler.hardware import Hardware
from prerl_spec.compiler.plan import PhasePlan
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.errors import Diagnostic
from tests.compiler.specs import TINY
from tests.product.axes import Combination, axes, every_combination, leaves_a_sample
from tests.product.pairs import pairwise_cover

HEAD = TINY[: TINY.index("[data.easy]")] + TINY[TINY.index("[sampler]") : TINY.index("[[phases]]")]
PHASE = """
[[phases]]
id = "p{number}"
prompts_per_step = 4
schedule = {{ use = "fixed_steps", steps = 2 }}
"""
TOGETHER = 300
"""Combinations in a document, a phase each."""


def document(combinations: Sequence[Combination]) -> str:
    return HEAD + "".join(PHASE.format(number=n) + c.written() for n, c in enumerate(combinations))


def said_of(combinations: Sequence[Combination]) -> dict[Combination, list[Diagnostic]]:
    """What `validate` says of each, in one document; it says nothing of anything else."""
    found: dict[Combination, list[Diagnostic]] = {}
    for diagnostic in diagnose(resolve_text(document(combinations))):
        place = re.match(r"phases\[(\d+)\]\.", diagnostic.path)
        assert place is not None, diagnostic
        found.setdefault(combinations[int(place[1])], []).append(diagnostic)
    return found


def planned(combinations: Sequence[Combination]) -> Sequence[PhasePlan]:
    return make_plan(resolve_text(document(combinations)), Hardware(2, 16 << 30)).phases


def parts_of(every: Sequence[Combination], size: int) -> Iterator[Sequence[Combination]]:
    yield from (every[start : start + size] for start in range(0, len(every), size))


def check_what_is_said(every: Sequence[Combination]) -> None:
    for combinations in parts_of(every, TOGETHER):
        said = said_of(combinations)
        refused = {c: [d for d in found if d.severity == "error"] for c, found in said.items()}
        assert {c for c in combinations if not leaves_a_sample(c)} == {c for c, errors in refused.items() if errors}
        for combination, found in said.items():
            for diagnostic in found:
                # A combination writes every setting: those that act on a sign that is never trained have no effect.
                assert diagnostic.code in (Code.CONTRADICTION, Code.NO_EFFECT), combination
                assert "no sample is left" in diagnostic.message or "has no effect" in diagnostic.message, combination
                assert diagnostic.help
                assert diagnostic.span is not None
            assert len(refused[combination]) <= 1, combination


def check_plans(every: Sequence[Combination]) -> None:
    for combinations in parts_of(every, TOGETHER):
        for combination, phase in zip(combinations, planned(combinations), strict=True):
            trained = [f.view for f in phase.forwards if f.gradient]
            assert trained == [combination.view], combination


def test_every_pair_of_choices_compiles_or_is_refused_with_words() -> None:
    """Pairs that exclude each other among them."""
    rows = [Combination(**row) for row in pairwise_cover(axes(), lambda row: True)]
    check_what_is_said(rows)
    check_plans([row for row in rows if leaves_a_sample(row)])


@pytest.mark.slow
def test_every_combination_compiles_or_is_refused_with_words() -> None:
    every = every_combination()
    assert len(every) > 10_000
    check_what_is_said(every)


@pytest.mark.slow
def test_every_twentieth_combination_has_a_plan_that_trains_its_view() -> None:
    # 12 ms a plan: all of them would take a quarter of an hour. 19 shares no factor with the numbers of choices.
    check_plans([c for c in every_combination()[::19] if leaves_a_sample(c)])

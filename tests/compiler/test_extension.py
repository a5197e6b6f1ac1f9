"""What a run may be extended by: nothing that would have changed a step it has taken, its learning rate included."""

import re
from pathlib import Path

import pytest

from prerl_spec.compiler.compare.extension import Extension, extension
from prerl_spec.compiler.graph import Cut
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.cut import with_cut
from prerl_spec.errors import Drift
from tests.compiler.specs import bent
from tests.compiler.test_plan import planned

LAST = '[phases.schedule]\nuse = "fixed_steps"\nsteps = 7\n'
MORE_STEPS = (LAST, LAST.replace("7", "8"))
CARRIED = (LAST, LAST + 'lr_schedule = "carry"\n')
INTO_THE_LAST = ("steps = 5", 'steps = 5\nlr_schedule = "carry"')
FALLING = ("lr = 1e-4", 'lr = 1e-4\nlr_schedule = "linear"')
ONLY_PRUNE_FALLS = ('id = "prune"', 'id = "prune"\noptimizer = { use = "adamw", lr = 1.0, lr_schedule = "cosine" }')
ANOTHER = (
    '[[phases]]\nid = "late"\nprompts_per_step = 6\nobjective = "grpo"\nschedule = { use = "fixed_steps", steps = 2 }\n'
)
ONE_MORE = ("[[evaluate]]", f"{ANOTHER}[[evaluate]]")


@pytest.mark.parametrize(
    ("changes", "extended", "expected"),
    [
        ((), MORE_STEPS, Extension(2, 0)),
        ((), ONE_MORE, Extension(None, 1)),
        ((FALLING,), ONE_MORE, Extension(None, 1)),
        ((CARRIED,), ONE_MORE, Extension(None, 1)),
        ((ONLY_PRUNE_FALLS,), MORE_STEPS, Extension(2, 0)),
    ],
)
def test_more_of_what_has_not_happened_is_an_extension(
    tmp_path: Path, changes: tuple[tuple[str, str], ...], extended: tuple[str, str], expected: Extension
) -> None:
    before, after = planned(tmp_path, bent(*changes)), planned(tmp_path, bent(*changes, extended))
    assert extension(before, after) == expected


@pytest.mark.parametrize(
    ("changes", "extended", "said"),
    [
        ((FALLING,), MORE_STEPS, "its learning rate runs over these steps"),
        ((INTO_THE_LAST, ONLY_PRUNE_FALLS), MORE_STEPS, "its learning rate runs over these steps"),
        ((FALLING, CARRIED), ONE_MORE, "the learning rate of `refine` would be carried into it"),
        ((INTO_THE_LAST, ONLY_PRUNE_FALLS, CARRIED), ONE_MORE, "the learning rate of `prune` would be carried into it"),
    ],
)
def test_a_learning_rate_that_would_have_fallen_otherwise_is_drift(
    tmp_path: Path, changes: tuple[tuple[str, str], ...], extended: tuple[str, str], said: str
) -> None:
    before, after = planned(tmp_path, bent(*changes)), planned(tmp_path, bent(*changes, extended))
    with pytest.raises(Drift, match=said):
        extension(before, after)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("[[phases]]", f"{ANOTHER}[[phases]]"), ["phases"]),
        (("steps = 7", "steps = 6"), ["phases.refine.schedule.steps"]),
        (("steps = 5", "steps = 6"), ["phases.prune.schedule.steps"]),
        (("lr = 1e-4", "lr = 2e-4"), [f"phases.{phase}.optimizer.lr" for phase in ("prune", "refine")]),
        (('id = "refine"', 'id = "polish"'), ["phases"]),
    ],
)
def test_what_has_happened_otherwise_is_drift_told_as_one_would_set_it(
    tmp_path: Path, change: tuple[str, str], told: list[str]
) -> None:
    before, after = planned(tmp_path), planned(tmp_path, bent(change))
    with pytest.raises(Drift) as drift:
        extension(before, after)
    assert [line.strip().partition(":")[0] for line in drift.value.message.split("\n")[1:]] == told


def test_under_a_study_s_cut_only_a_larger_budget_is_an_extension(tmp_path: Path) -> None:
    def cut(budget: float, *changes: tuple[str, str]) -> Plan:
        return with_cut(planned(tmp_path, bent(*changes)), Cut("steps", budget))

    assert extension(cut(9), cut(12)) == Extension(None, 0, raised=True)
    for other, told in (
        (cut(8), "cut.budget: 9.0 -> 8.0"),
        (with_cut(cut(9), None), "cut.budget: 9.0 -> absent"),
        (with_cut(cut(9), Cut("seconds", 9)), "cut.match: steps -> seconds"),
        (cut(9, MORE_STEPS), "a study's budget ends this run"),
        (cut(9, ONE_MORE), "a study's budget ends this run"),
    ):
        with pytest.raises(Drift, match=re.escape(told)):
            extension(cut(9), other)

"""A phase that was meant to change another one, and bears an id that is nearly its."""

from prerl_spec.codes import Code
from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.errors import Diagnostic
from tests.compiler.specs import TINY

ARM = '\n[study]\nseeds = [1, 2]\n[study.arms]\none = {}\n[[study.arms.two.phases]]\nid = "ID"\ntokens_per_pass = 64\n'


def mistakes(id: str) -> tuple[Diagnostic, ...]:
    found = diagnose(resolve_text(TINY + ARM.replace("ID", id)))
    return tuple(one for one in found if one.code == Code.MISSING_KEY)


def test_an_arms_misspelt_phase_names_the_one_that_was_meant() -> None:
    (note, *_), (again, *_) = (found.notes for found in mistakes("refin"))
    assert note == again == "`refin` is a phase of its own; one that changes `refine` has the same id"


def test_a_new_phase_with_a_name_of_its_own_is_told_of_no_other() -> None:
    assert [found.notes for found in mistakes("distil")] == [("in arm `two` of the study",)] * 2

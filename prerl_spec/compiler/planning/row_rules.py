"""Checks rows of local data against the needs of a phase: enough of them (E0701), with gold or document (E0601)."""

from collections.abc import Iterator, Mapping
from itertools import islice

from prerl_spec.codes import Code
from prerl_spec.compiler.planning.first_prompt import LOOKED_AT
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.phase_roles import PhaseRoles
from prerl_spec.compiler.rules.rule_diagnostic import use_place
from prerl_spec.compiler.rules.served import served_data
from prerl_spec.errors import Diagnostic, Label
from prerl_spec.language.document import join_path
from prerl_spec.registry.kinds.data import DataSet
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.types import Row


def unfit_rows(resolved: Resolved, roles: PhaseRoles, opened: Mapping[str, DataSet | None]) -> Iterator[Diagnostic]:
    """A diagnostic for each data set that the phase cannot train on; unreadable ones are checked by the run."""
    for name in roles.data:
        data = opened[name]
        if data is None:
            continue
        if (lacking := _lacking(resolved, roles, name, data)) is not None:
            place = use_place(resolved, roles.objective.path)
            source = resolved.value_span(use_place(resolved, join_path("data", name)))
            yield Diagnostic(
                Code.UNMET_REQUIREMENT,
                f"{roles.title} {lacking}",
                resolved.value_span(place),
                path=place,
                labels=() if source is None else (Label(source, "its rows come from here"),),
                help="name the column that holds them, or another data set",
            )
    yield from _too_few(resolved, roles, opened)


def _lacking(resolved: Resolved, roles: PhaseRoles, name: str, data: DataSet) -> str | None:
    """What the phase needs and none of the first rows has, None if nothing is missing."""
    rows = list(islice(map(data.row, range(len(data))), LOOKED_AT))
    if not roles.uses_rollouts:
        return None if any(r.document for r in rows) else f"trains on documents, and data set `{name}` has none"
    verifier = served_data(resolved, name).planned.verifier
    if verifier is None and roles.verifier is not None:
        verifier = roles.verifier.planned
    if any(_can_be_judged(row, verifier) for row in rows):
        return None
    return f"verifies answers, and data set `{name}` has no gold answers"


def _can_be_judged(row: Row, verifier: Verifier | None) -> bool:
    """Whether there is a gold answer, or the verifier needs none."""
    return row.gold is not None or verifier is None or verifier.check_gold("") is None


def _too_few(resolved: Resolved, roles: PhaseRoles, opened: Mapping[str, DataSet | None]) -> Iterator[Diagnostic]:
    """A step with more rows than its only data set has; mixtures are checked by the run."""
    name = next(iter(roles.data))
    data = opened[name]
    unit = "prompts_per_step" if roles.uses_rollouts else "documents_per_step"
    wanted = roles.spec.prompts_per_step if roles.uses_rollouts else roles.spec.documents_per_step
    if len(roles.data) > 1 or data is None or wanted is None or len(data) >= wanted:
        return
    key = f"{roles.path}.{unit}"
    message = f"{roles.title} needs {wanted} rows per step, and data set `{name}` has {len(data)}"
    yield Diagnostic(Code.CONTRADICTION, message, resolved.value_span(key), path=key, help=f"lower {unit}, or add rows")

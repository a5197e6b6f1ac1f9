"""Compiles the arms of a study at every seed into cells; what each run of the study is follows from these plans alone."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.compiler.compile import check_spec, require_valid
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.compiler.planning.study_rules import study_findings
from prerl_spec.compiler.resolve.resolve import resolve
from prerl_spec.compiler.resolve.resolved import Resolved, in_file_order
from prerl_spec.errors import Diagnostic, Span, SpecInvalid
from prerl_spec.language.document import Scalar
from prerl_spec.storage.study_files import SHARED
from prerl_spec.study.match_rules import held_to_its_match
from prerl_spec.study.pairing import unpaired
from prerl_spec.study.scored_alike import scored_otherwise
from prerl_spec.study.shared_phases import shared_by
from prerl_spec.study.study_plan import Cell, StudyPlan

STREAMS = "phase"
_ARM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")


def compile_study(file: Path, **overrides: Any) -> StudyPlan:
    """The study of a spec; the keyword arguments are those of `resolve`. Reads local data, loads nothing heavy.

    Raises SpecInvalid for a spec that is invalid, has no [study], or whose arms cannot be told apart, compared or matched; what
    `make_plan` raises.
    """
    resolved, warnings = check_spec(file, **overrides)
    study = resolved.spec.study
    if study is None:
        place = Span(str(file), 1, 1, 1, 2)
        missing = Diagnostic(
            Code.MISSING_KEY, "the spec has no [study]", place, "study", help="write [study] with seeds and arms"
        )
        raise SpecInvalid([missing], resolved.sources)
    if names := tuple(_unfit_names(resolved)):
        raise SpecInvalid(names, resolved.sources)
    plans: list[tuple[str, int, Plan]] = []
    of_arms: list[Diagnostic] = []
    for seed in study.seeds:
        at_seed = resolve(file, **overrides, last_in_arms=f'run.seed = {seed}\nrun.streams = "{STREAMS}"\n')
        for arm, its in at_seed.arms.items():
            valid, found = require_valid(its)
            of_arms += found
            plans.append((arm, seed, make_plan(valid)))
    arms = tuple(dict.fromkeys(arm for arm, _, _ in plans))
    of_first_seed = {arm: plan for arm, _, plan in plans[: len(arms)]}
    mistakes = in_file_order(
        [*study_findings(resolved, of_first_seed), *scored_otherwise(resolved, of_first_seed)], list(resolved.sources)
    )
    if any(found.severity == "error" for found in mistakes):
        raise SpecInvalid(mistakes, resolved.sources)
    continues = shared_by([plan for _, _, plan in plans])
    first = plans[0][2]
    study_plan = StudyPlan(
        name=resolved.spec.run.name,
        output_dir=Path(os.path.expanduser(resolved.spec.run.output_dir)),
        spec_file=file,
        spec_text=resolved.source_text,
        arms=arms,
        seeds=study.seeds,
        match=study.match,
        budget=study.budget,
        primary=study.primary,
        prior_sd=study.prior_sd,
        cells=tuple(Cell(arm, seed, plan, shared) for (arm, seed, plan), shared in zip(plans, continues, strict=True)),
        notes=(*_streams(resolved), *(() if first.evaluators else ("no [[evaluate]]: nothing is scored",))),
        unpaired=tuple(unpaired(arms[0], of_first_seed)),
        warnings=_each_once(warnings, (*mistakes, *of_arms)),
        resolved=resolved,
    )
    return held_to_its_match(study_plan)


def _unfit_names(resolved: Resolved) -> Iterator[Diagnostic]:
    """Arm names that are no names of folders: a cell's folder has its arm's name."""
    for arm in resolved.arms:
        if _ARM.fullmatch(arm) is None or arm == SHARED:
            path = f"study.arms.{arm}" if _ARM.fullmatch(arm) else f'study.arms."{arm}"'
            what = "stands for what arms share" if arm == SHARED else "is no name of a folder and of `--cell`"
            yield Diagnostic(
                Code.CONSTRAINT_BROKEN,
                f"the arm `{arm}` {what}",
                resolved.key_span(path) or resolved.header_span("study.arms"),
                path,
                help="at most 64 letters, digits, `-`, `_` and `.`, not beginning with `.` or `-`",
            )


def _streams(resolved: Resolved) -> Iterator[str]:
    """A note for each place that writes other streams than a study's."""
    for its, whose in ((resolved, ""), *((arm, f" of arm {name}") for name, arm in resolved.arms.items())):
        node = its.node("run.streams")
        if (
            isinstance(node, Scalar)
            and node.value != STREAMS
            and (whose == "" or not resolved.is_written("run.streams"))
        ):
            place = "" if node.span is None else f" ({node.span.file}:{node.span.line})"
            yield f'run.streams = "{node.value}"{whose}{place} gives way: a study sets "{STREAMS}" in every arm'


def _each_once(own: Sequence[Diagnostic], of_arms: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The warnings of the spec, then those that only arms have."""
    known = {(d.code, d.span, d.message): d for d in (*own, *of_arms)}
    return tuple(known.values())

"""What `[study]` may not say where it is to be run: one seed, arms that are the same, a score that nobody gives.

`validate` accepts these: a study is written arm by arm, seed by seed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.digest import meaning
from prerl_spec.compiler.resolve.resolved import Resolved, in_file_order
from prerl_spec.compiler.rules.evaluated_scores import Scored, given_scores, gives, scored_by
from prerl_spec.errors import Diagnostic, Label, Span
from prerl_spec.language.document import join_path
from prerl_spec.language.spec import StudySpec


def study_findings(resolved: Resolved, plans: Mapping[str, Plan]) -> tuple[Diagnostic, ...]:
    """The mistakes of a study, in file order. `plans` has the plan of each arm, all with the same seed, in written order."""
    study = resolved.spec.study
    if study is None:
        return ()
    found = [
        *_seeds(resolved, study),
        *_arms_with_a_seed(resolved),
        *_arms_with_a_place(resolved),
        *_same_arms(resolved, plans),
        *_primary(resolved, study),
        *_prior_without_effect(resolved),
    ]
    return in_file_order(found, list(resolved.sources))


def arm_path(name: str) -> str:
    """The path of an arm in the spec."""
    return join_path("study.arms", name)


def same_arms(
    resolved: Resolved, first: str, second: str, message: str, *, code: Code = Code.CONTRADICTION, **more: Any
) -> Diagnostic:
    """What is said of two arms that are the same, at the name of the later one."""
    at_first = resolved.key_span(arm_path(first))
    return Diagnostic(
        code,
        message,
        resolved.key_span(arm_path(second)),
        path=arm_path(second),
        labels=() if at_first is None else (Label(at_first, f"the arm `{first}`"),),
        **more,
    )


def _seeds(resolved: Resolved, study: StudySpec) -> Iterator[Diagnostic]:
    if len(study.seeds) == 1:
        yield Diagnostic(
            Code.CONTRADICTION,
            "a study needs two seeds or more: one says nothing of the spread that a difference is held against",
            resolved.value_span("study.seeds"),
            path="study.seeds",
            help="three seeds see large effects only; `study` states what it can detect before anything runs",
        )
    for number, seed in enumerate(study.seeds):
        earlier = study.seeds.index(seed)
        if earlier < number:
            path, at_first = f"study.seeds[{number}]", resolved.value_span(f"study.seeds[{earlier}]")
            labels = () if at_first is None else (Label(at_first, "first here"),)
            message = f"the seed {seed} stands twice: the second run of each arm would repeat the first"
            yield Diagnostic(Code.CONTRADICTION, message, resolved.value_span(path), path=path, labels=labels)


def _arms_with_a_seed(resolved: Resolved) -> Iterator[Diagnostic]:
    for name, span in _arms_that_write(resolved, "run.seed"):
        yield Diagnostic(
            Code.CONTRADICTION,
            f"the arm `{name}` sets run.seed, and a study runs every arm with each of its seeds",
            span,
            path=f"{arm_path(name)}.run.seed",
            help="remove it; to start all seeds from one base, write start.from or model.seed",
        )


def _arms_with_a_place(resolved: Resolved) -> Iterator[Diagnostic]:
    for name, span in _arms_that_write(resolved, "run.output_dir"):
        yield Diagnostic(
            Code.NO_EFFECT,
            f"`output_dir` has no effect in the arm `{name}`: its runs lie in the study's folder",
            span,
            path=f"{arm_path(name)}.run.output_dir",
        )


def _arms_that_write(resolved: Resolved, path: str) -> Iterator[tuple[str, Span]]:
    """The arms in which a value is written, and not only inherited from the spec."""
    common = resolved.value_span(path)
    for name, arm in resolved.arms.items():
        span = arm.value_span(path)
        if span is not None and span != common:
            yield name, span


def _same_arms(resolved: Resolved, plans: Mapping[str, Plan]) -> Iterator[Diagnostic]:
    first_of: dict[str, str] = {}
    for name, plan in plans.items():
        first = first_of.setdefault(json.dumps(_of_arm(plan), sort_keys=True), name)
        if first != name:
            message = f"the arms `{first}` and `{name}` differ in nothing: both mean the same"
            yield same_arms(
                resolved, first, name, message, help="remove one of them, or change what it is to differ in"
            )


def _of_arm(plan: Plan) -> dict[str, Any]:
    """What an arm means apart from its run's name and seed."""
    return {key: value for key, value in meaning(plan).items() if key not in ("run", "cut")}


def _primary(resolved: Resolved, study: StudySpec) -> Iterator[Diagnostic]:
    if study.primary is None:
        return
    task, _, metric = study.primary.rpartition("/")
    for name, arm in resolved.arms.items():
        scored = list(scored_by(arm))
        at_end = [tasks for is_end, tasks in scored if is_end]
        if gives(at_end, task, metric):
            continue
        message = f"no evaluator gives `{study.primary}` at the end of a run"
        yield Diagnostic(
            Code.CONTRADICTION,
            message if list(scored_by(resolved)) == scored else f"{message} of the arm `{name}`",
            resolved.value_span("study.primary"),
            path="study.primary",
            help='add "end" to the `at` of the evaluator that gives it'
            if gives([tasks for _, tasks in scored], task, metric)
            else _given_words(at_end),
        )
        return


def _given_words(at_end: Sequence[Scored | None]) -> str:
    given = given_scores(at_end)
    return f"given are {', '.join(given)}" if given else "add an [[evaluate]] that gives it"


def _prior_without_effect(resolved: Resolved) -> Iterator[Diagnostic]:
    if not resolved.is_written("study.prior_sd"):
        return
    is_scored = any(arm.spec.evaluate for arm in resolved.arms.values())
    if not is_scored or not resolved.is_written("study.primary"):
        why = "no `primary` is named" if is_scored else "nothing is scored"
        yield Diagnostic(
            Code.NO_EFFECT,
            f"`prior_sd` has no effect: {why} whose spread it could be",
            resolved.value_span("study.prior_sd"),
            path="study.prior_sd",
        )

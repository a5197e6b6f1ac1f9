"""Plans evaluation: rounds, questions, tokens and sampling of each evaluator, and their share of all generated tokens."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from prerl_spec.compiler.estimates.prerequisites import INSTALL_TRAIN, has_train
from prerl_spec.compiler.estimates.unknown import Unknown, known, why_unknown
from prerl_spec.compiler.plan import DataPlan, EvaluatorPlan, PhasePlan, TaskPlan
from prerl_spec.compiler.planning.component_plan import written_out
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.phase_roles import PhaseRoles
from prerl_spec.compiler.rules.port_rules import top_or_first
from prerl_spec.compiler.rules.served import served_evaluator
from prerl_spec.registry.kinds.evaluator import Evaluator, TaskDraw
from prerl_spec.types import Decoding

DEFAULT = Decoding()
"""That of the sampler `transformers`, which evaluators use if the spec has no sampler."""


def evaluator_plan(
    resolved: Resolved,
    phases: Sequence[PhaseRoles],
    planned: Sequence[PhasePlan],
    data: Mapping[str, DataPlan],
    number: int,
) -> EvaluatorPlan:
    """An evaluator's rounds, questions, maximum tokens and how each task is sampled; `unknown` holds the reason for what is
    not known."""
    served = served_evaluator(resolved, number)
    evaluator = served.planned
    rounds = _rounds(evaluator, planned)
    rows = {name: _questions_of(evaluator, data[name]) for name in evaluator.data_sets()}
    questions = _questions(evaluator, list(rows.values()))
    serving = top_or_first(resolved, phases, "sampler")
    default = DEFAULT if serving is None else decoding_of(serving.planned.settings())
    tokens = None
    if rounds is not None and not isinstance(questions, Unknown):
        tokens = 0
        for phase, times in rounds:
            base = default if phase is None or phase.sampler is None else decoding_of(phase.sampler.settings)
            of_round = _tokens_of_a_round(evaluator, base, rows, questions)
            tokens = None if of_round is None or tokens is None else tokens + times * of_round
    total = None if rounds is None else sum(times for _, times in rounds)
    return EvaluatorPlan(
        written_out(resolved.built[served.path]),
        total,
        known(questions),
        tokens,
        why_unknown(questions),
        tuple(task_plan(draw, rows) for draw in draws_of(evaluator, default)),
    )


def draws_of(evaluator: Evaluator, base: Decoding) -> Sequence[TaskDraw]:
    """How each task is sampled; none of an evaluator that does not say."""
    says: Callable[[Decoding], Sequence[TaskDraw]] | None = getattr(evaluator, "task_draws", None)
    return () if says is None else says(base)


def task_plan(draw: TaskDraw, rows: Mapping[str, int | Unknown] | None = None) -> TaskPlan:
    """A task's sampling as a plan has it; `rows` are the questions of the spec's own data sets."""
    questions = draw.questions if draw.questions is not None else known((rows or {}).get(draw.task, Unknown("")))
    decoding = None if draw.decoding is None else {**asdict(draw.decoding), "stop": list(draw.decoding.stop)}
    return TaskPlan(draw.task, questions, draw.samples, decoding, draw.protocol, draw.note, draw.generates)


def _tokens_of_a_round(
    evaluator: Evaluator, base: Decoding, rows: Mapping[str, int | Unknown], questions: int
) -> int | None:
    """Maximum tokens of all responses; None where a task's number of them is only known once it is loaded."""
    draws = draws_of(evaluator, base)
    asked = [
        draw.questions if draw.questions is not None else known(rows.get(draw.task, Unknown(""))) for draw in draws
    ]
    if not draws or None in asked:
        written = evaluator.max_new_tokens
        return questions * evaluator.samples * (base.max_new_tokens if written is None else written)
    total = 0
    for number, draw in zip(asked, draws, strict=True):
        if not draw.generates:
            continue
        if draw.decoding is None or draw.samples is None:
            return None
        total += (number or 0) * draw.samples * draw.decoding.max_new_tokens
    return total


def decoding_of(settings: Mapping[str, Any]) -> Decoding:
    """That of a sampler, from its settings; a stranger's may lack some of them."""
    known = {field.name: settings[field.name] for field in fields(Decoding) if field.name in settings}
    return Decoding(**{**known, "stop": tuple(known.get("stop", ()))})


def evaluation_share(phases: Sequence[PhasePlan], evaluators: Sequence[EvaluatorPlan]) -> float | None:
    """Tokens generated for evaluation over all generated tokens, for responses of maximum length; None if a part is
    unknown."""
    scored = [e.tokens_at_most for e in evaluators]
    drawn = [p.sampled_tokens_at_most for p in phases]
    if None in scored or None in drawn:
        return None
    evaluation, training = (sum(n for n in part if n is not None) for part in (scored, drawn))
    return evaluation / (evaluation + training) if evaluation else 0.0


def _rounds(evaluator: Evaluator, phases: Sequence[PhasePlan]) -> list[tuple[PhasePlan | None, int]] | None:
    """Rounds per phase (None: the initial weights); None if the number of steps is unknown.

    Evaluations at a phase's last step and at its end are of the same weights and counted once.
    """
    rounds: list[tuple[PhasePlan | None, int]] = [(None, int("base" in evaluator.at or not phases))]
    for phase in phases:
        ends = "phases" in evaluator.at or ("end" in evaluator.at and phase is phases[-1])
        within = 0
        if evaluator.every != "off":
            if phase.steps is None:
                return None
            within = phase.steps // evaluator.every - int(ends and phase.steps % evaluator.every == 0)
        rounds.append((phase, within + int(ends)))
    return rounds


def _questions_of(evaluator: Evaluator, data: DataPlan) -> int | Unknown:
    if data.rows is None:
        return Unknown(data.unknown or "")
    return min(data.rows, evaluator.limit) if isinstance(evaluator.limit, int) else data.rows


def _questions(evaluator: Evaluator, rows: Sequence[int | Unknown]) -> int | Unknown:
    """Questions of a round: rows of the data sets that the evaluator scores, or its `count_questions()`."""
    if rows:
        unread = next((number for number in rows if isinstance(number, Unknown)), None)
        return unread or sum(number for number in rows if not isinstance(number, Unknown))
    if (counted := evaluator.count_questions()) is not None:
        return counted
    return Unknown("the number of questions is known once the tasks are loaded" if has_train() else INSTALL_TRAIN)

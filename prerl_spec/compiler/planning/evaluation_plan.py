"""Plans evaluation: rounds, questions and tokens of each evaluator, and their share of all generated tokens."""

from collections.abc import Mapping, Sequence

from prerl_spec.compiler.estimates.prerequisites import INSTALL_TRAIN, has_train
from prerl_spec.compiler.estimates.unknown import Unknown, known, why_unknown
from prerl_spec.compiler.plan import DataPlan, EvaluatorPlan, PhasePlan
from prerl_spec.compiler.planning.component_plan import written_out
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.phase_roles import PhaseRoles
from prerl_spec.compiler.rules.port_rules import top_or_first
from prerl_spec.compiler.rules.served import served_evaluator
from prerl_spec.registry.kinds.evaluator import Evaluator

DEFAULT_MAX_NEW_TOKENS = 1024
"""Default of the sampler `transformers`, which evaluators use if the spec has no sampler."""


def evaluator_plan(
    resolved: Resolved,
    phases: Sequence[PhaseRoles],
    planned: Sequence[PhasePlan],
    data: Mapping[str, DataPlan],
    number: int,
) -> EvaluatorPlan:
    """An evaluator's rounds, questions and maximum tokens; `unknown` holds the reason for what is not known."""
    served = served_evaluator(resolved, number)
    evaluator = served.planned
    rounds = _rounds(evaluator, planned)
    questions = _questions(evaluator, [data[name] for name in evaluator.data_sets()])
    serving = top_or_first(resolved, phases, "sampler")
    default = DEFAULT_MAX_NEW_TOKENS if serving is None else serving.planned.max_new_tokens
    tokens = None
    if rounds is not None and not isinstance(questions, Unknown):
        drawn = sum(number * _length(evaluator, phase, default) for phase, number in rounds)
        tokens = drawn * questions * evaluator.samples
    total = None if rounds is None else sum(number for _, number in rounds)
    return EvaluatorPlan(
        written_out(resolved.built[served.path]), total, known(questions), tokens, why_unknown(questions)
    )


def _length(evaluator: Evaluator, phase: PhasePlan | None, default: int) -> int:
    """Maximum tokens of a response: the evaluator's setting, else that of the sampler of the phase just ended."""
    if evaluator.max_new_tokens is not None:
        return evaluator.max_new_tokens
    return default if phase is None or phase.sampler is None else phase.max_new_tokens


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


def _questions(evaluator: Evaluator, named: Sequence[DataPlan]) -> int | Unknown:
    """Questions of a round: rows of the data sets that the evaluator scores, or its `count_questions()`."""
    limit = evaluator.limit
    if named:
        rows = [d.rows for d in named]
        unread = next((d.unknown for d in named if d.rows is None), None)
        if unread is not None:
            return Unknown(unread)
        return sum(min(r, limit) if isinstance(limit, int) else r for r in rows if r is not None)
    if (counted := evaluator.count_questions()) is not None:
        return counted
    return Unknown("the number of questions is known once the tasks are loaded" if has_train() else INSTALL_TRAIN)

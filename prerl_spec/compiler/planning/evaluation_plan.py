"""Plans evaluation: rounds, questions and tokens of each evaluator, and their share of all generated tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

from prerl_spec.compiler.estimates.prerequisites import INSTALL_TRAIN, has_train
from prerl_spec.compiler.estimates.unknown import Unknown, known, why_unknown
from prerl_spec.compiler.plan import DataPlan, EvaluatorPlan, PhasePlan
from prerl_spec.compiler.planning.component_plan import written_out
from prerl_spec.compiler.resolve.resolved import Built, Resolved
from prerl_spec.compiler.rules.name_rules import named_data
from prerl_spec.compiler.rules.phase_roles import PhaseRoles
from prerl_spec.compiler.rules.port_rules import top_or_first

DEFAULT_MAX_NEW_TOKENS = 1024
"""Default of the sampler `transformers`, which evaluators use if the spec has no sampler."""


def evaluator_plan(
    resolved: Resolved,
    phases: Sequence[PhaseRoles],
    planned: Sequence[PhasePlan],
    data: Mapping[str, DataPlan],
    path: str,
) -> EvaluatorPlan:
    """An evaluator's rounds, questions and maximum tokens; `unknown` holds the reason for what is not known."""
    built = resolved.built[path]
    evaluator: Any = built.component
    rounds = _rounds(evaluator, planned)
    questions = _questions(built, data)
    serving = top_or_first(resolved, phases, "sampler")
    default = DEFAULT_MAX_NEW_TOKENS if serving is None else serving.component.max_new_tokens
    tokens = None
    if rounds is not None and not isinstance(questions, Unknown):
        drawn = sum(number * _length(evaluator, phase, default) for phase, number in rounds)
        tokens = drawn * questions * getattr(evaluator, "samples", 1)
    total = None if rounds is None else sum(number for _, number in rounds)
    return EvaluatorPlan(written_out(built), total, known(questions), tokens, why_unknown(questions))


def _length(evaluator: Any, phase: PhasePlan | None, default: int) -> int:
    """Maximum tokens of a response: the evaluator's setting, else that of the sampler of the phase just ended."""
    own = getattr(evaluator, "max_new_tokens", None)
    if own is not None:
        return int(own)
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


def _rounds(evaluator: Any, phases: Sequence[PhasePlan]) -> list[tuple[PhasePlan | None, int]] | None:
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


def _questions(built: Built, data: Mapping[str, DataPlan]) -> int | Unknown:
    """Questions of a round: rows of the data sets that the evaluator names, or its `count_questions()`."""
    limit = getattr(built.component, "limit", "off")
    named = [data[name] for _, name in named_data(built)]
    if named:
        rows = [d.rows for d in named]
        unread = next((d.unknown for d in named if d.rows is None), None)
        if unread is not None:
            return Unknown(unread)
        return sum(min(r, limit) if isinstance(limit, int) else r for r in rows if r is not None)
    count = getattr(built.component, "count_questions", None)
    counted: int | None = None if count is None else count()
    if counted is not None:
        return counted
    return Unknown("the number of questions is known once the tasks are loaded" if has_train() else INSTALL_TRAIN)

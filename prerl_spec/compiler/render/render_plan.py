"""Renders a plan as text, to be read before any hardware is paid for."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prerl_spec.compiler.estimates.disk_bytes import checkpoint_bytes
from prerl_spec.compiler.estimates.prerequisites import TRAIN
from prerl_spec.compiler.graph import Cut
from prerl_spec.compiler.past_runs.measured_times import Measured
from prerl_spec.compiler.plan import (
    ComponentPlan,
    DataPlan,
    EvaluatorPlan,
    PhasePlan,
    Plan,
    PrerequisitePlan,
    StartPlan,
)
from prerl_spec.compiler.planning.disk import disk_bytes, disk_warning, free_bytes
from prerl_spec.compiler.planning.flat_meaning import differing, leaves, shown_value
from prerl_spec.compiler.render.human_units import count, line, plural, size, table
from prerl_spec.compiler.render.last_line import Seen, disk_needs, last_line
from prerl_spec.compiler.render.render_evaluation import render_tasks
from prerl_spec.compiler.render.render_phase import render_phase, settings_text
from prerl_spec.compiler.rules.phase_roles import with_following


def render_plan(plan: Plan, found: Measured | None = None, seen: Seen | None = None) -> str:
    """The whole text, without colour; `found` is short for `Seen(times=found)`."""
    seen = seen or Seen(times=found)
    total, found = len(plan.phases), seen.times
    blocks = [
        _head(plan, seen.folder),
        _data(plan),
        *(
            render_phase(p, after, i + 1, total, found, plan.streams, seen.lengths)
            for i, (p, after) in enumerate(with_following(plan.phases))
        ),
        _evaluation(plan),
        _changes(plan),
        _prerequisites((*plan.prerequisites, *disk_needs(plan), *seen.further)),
        last_line(plan, seen),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def render_differences(before: Plan, after: Plan, name: str) -> str:
    """The differences in meaning between an earlier plan `name` and this one, leaf by leaf."""
    found = differing(leaves(before), leaves(after))
    if not found:
        return f"same meaning as {name}\n"
    rows = table((path, shown_value(old), "->", shown_value(new)) for path, old, new in found)
    return "\n".join([f"changed against {name}", *rows]) + "\n"


def _head(plan: Plan, folder: str | None) -> str:
    name = plan.model.settings.get("name") or plan.model.settings.get("tokenizer") or ""
    streams = "" if plan.streams == "global" else f", streams by {plan.streams}"
    out = [f"{plan.name} (seed {plan.seed}{streams}), plan {plan.digest[:12]}, prerl-spec {plan.prerl_spec}"]
    computes = plan.distributed["precision"] or "the model's precision"
    adapter = plan.model.slots.get("adapter")
    held = f"in float32, computing in {computes}" if adapter is None else f"frozen in {computes}"
    seed = plan.model.settings.get("seed")
    drawn = "" if seed is None else f", from seed {seed}"
    out += line("model", f"{plan.model.use} {name}".strip() + f", {_parameters(plan.num_parameters)} {held}{drawn}")
    if isinstance(adapter, ComponentPlan):
        out += line("adapter", f"{settings_text(adapter)}; {_parameters(plan.adapter_parameters)} trained in float32")
    if plan.start is not None:
        out += line("start", _start(plan.start, plan.phases))
    out += line("machine", f"{plan.hardware.words}; {_distribution(plan.distributed)}")
    if folder is not None:
        out += line("folder", folder)
    if plan.cut is not None:
        out += line("cut", _cut(plan.cut))
    if plan.phases:
        out += line("checkpoints", _checkpoints(plan))
        out += _disk(plan)
    for what, how in plan.computing.items():
        out += line("computing", f"{what}: {how}")
    for note in plan.notes:
        out += line("note", note)
    return "\n".join(out)


def _cut(cut: Cut) -> str:
    taken = f", {cut.before:,.15g} of them before this run" if cut.before else ""
    return f"a study ends the run at {cut.budget:,.15g} {cut.match.replace('_', ' ')}{taken}"


def _start(start: StartPlan, phases: Sequence[PhasePlan]) -> str:
    """The run, phase, global step and tokens that are continued, and what is taken over besides the weights."""
    point = start.found
    if point is None:
        return f"{start.origin}, unknown: {start.unknown}"
    where = "the end" if point.ended else f"step {point.step}, which is not the end,"
    carried = not phases or point.carries_moments(phases[0].optimizer)
    taken = [
        f"moments {'carried' if carried else 'reset'}",
        f"learning rate {'carried on' if point.lr_schedule == 'carry' else 'restarted'}",
        f"reference {'resynced' if point.reference == 'resync' else 'kept'}",
        f"data {'continued' if point.data == 'carry' else 'restarted'}",
    ]
    tokens = f"{count(point.generated_tokens)} tokens generated, {count(point.trained_tokens)} trained so far"
    return (
        f"{where} of phase {point.phase} of {point.run}: global step {point.global_step}, {tokens}; {', '.join(taken)}; "
        f"content {point.content[:12]}"
    )


def _parameters(number: int | None) -> str:
    return "parameters unknown" if number is None else f"{count(number)} parameters"


def _distribution(distributed: Mapping[str, Any]) -> str:
    """ "8 processes, sharded weights, activation checkpointing"."""
    processes = distributed["processes"]
    words = [f"{processes} processes" if processes > 1 else "1 process"]
    if distributed["strategy"] == "fsdp2" and processes > 1:
        words.append("sharded weights")
    if distributed["activation_checkpointing"]:
        words.append("activation checkpointing")
    return ", ".join(words)


def _checkpoints(plan: Plan) -> str:
    """When checkpoints are written and their disk space: float32 weights and two moments each."""
    every, keep = plan.checkpoint["every"], plan.checkpoint["keep"]
    when = f"every {plural(every, 'step')} and at each phase's end; the newest {keep} and those of phase ends are kept"
    trained = plan.num_parameters if plan.model.slots.get("adapter") is None else plan.adapter_parameters
    need = disk_bytes(plan)
    if trained is None or need.checkpoints is None:
        return when
    return f"{when}: {size(checkpoint_bytes(trained))} each, at most {size(need.checkpoints)} of disk"


def _disk(plan: Plan) -> list[str]:
    """The journal's growth and the disk of the whole run, beside what is free where it is written."""
    need = disk_bytes(plan)
    lines: list[str] = []
    if grows := ", ".join(f"{size(each)} a step in {phase}" for phase, each in need.journal_steps.items() if each):
        whole = (
            "unknown in all: a phase ends by a token budget" if need.journal is None else f"{size(need.journal)} in all"
        )
        lines += line("journal", f"at most {grows}, {whole}; every step is kept, for samples, report and replay")
    free = None if plan.hardware.is_named else free_bytes(plan)
    here = "" if free is None else f"; {size(free)} free in {plan.output_dir}"
    most = f"at most {size(need.known)}" if need.is_known else f"{size(need.known)} and what is unknown"
    certain = "" if need.checkpoints_certain is None else f", at least {size(need.checkpoints_certain)} (checkpoints)"
    samples = f", {size(need.samples)} of it responses of evaluations" if need.samples else ""
    lines += line("disk", f"{most}{certain}{samples}{here}")
    if not plan.hardware.is_named and (full := disk_warning(plan)) is not None:
        lines += line("warning", full)
    return lines


def _data(plan: Plan) -> str:
    if not plan.data:
        return ""
    return "\n".join(["data", *table((name, data.component.use, _rows(data)) for name, data in plan.data.items())])


def _rows(data: DataPlan) -> str:
    if data.rows is None:
        return f"rows unknown: {data.unknown}"
    return f"{plural(data.rows, 'row')}, content {(data.fingerprint or '')[:12]}"


def _evaluation(plan: Plan) -> str:
    if not plan.evaluators:
        return ""
    share = "unknown share of all generated tokens"
    if plan.evaluation_share is not None:
        share = f"{plan.evaluation_share:.0%} of all generated tokens, for responses of maximum length"
    out = [f"evaluation: {share}"]
    for evaluator in plan.evaluators:
        out += line(evaluator.component.use, f"{_questions(evaluator)}; {_tokens(evaluator)}")
        out += render_tasks(evaluator.tasks)
    return "\n".join(out)


def _questions(evaluator: EvaluatorPlan) -> str:
    settings = evaluator.component.settings
    named = settings.get("data") if isinstance(settings.get("data"), str) else ", ".join(settings.get("tasks", ()))
    rounds = "rounds unknown" if evaluator.rounds is None else plural(evaluator.rounds, "round")
    questions = "questions unknown" if evaluator.questions is None else plural(evaluator.questions, "question")
    per_question = {task.samples for task in evaluator.tasks} or {settings.get("samples", 1)}
    times = f" x {per_question.pop()}" if len(per_question) == 1 and None not in per_question else ""
    return f"{named}: {questions}{times}, {rounds}"


def _tokens(evaluator: EvaluatorPlan) -> str:
    if evaluator.tokens_at_most is None:
        return f"tokens unknown: {evaluator.unknown or 'a phase ends by a token budget'}"
    return f"at most {count(evaluator.tokens_at_most)} tokens"


def _changes(plan: Plan) -> str:
    if not plan.changes:
        return ""
    rows = table(
        (c.path, f"{_json(c.value)}", "" if c.default is None else f"default {_json(c.default)}", c.origin)
        for c in plan.changes
    )
    return "\n".join(["settings that differ from their defaults", *rows])


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 48 else f"{text[:45]}..."


def _prerequisites(planned: Iterable[PrerequisitePlan]) -> str:
    # The prerequisite of every run is listed only if it is unmet.
    listed = [prerequisite for prerequisite in planned if prerequisite.name != TRAIN or not prerequisite.met]
    if not listed:
        return "needs: nothing beyond what is installed"
    words = {True: "met", False: "NOT MET", None: "unknown"}
    out = ["needs"]
    for prerequisite in listed:
        at = "" if prerequisite.revision in (None, "main") else f" at {prerequisite.revision}"
        out += line(
            words[prerequisite.met],
            f"{prerequisite.what} {prerequisite.name}{at}, for {', '.join(prerequisite.by)}: {prerequisite.found}",
        )
        if prerequisite.met is not True:
            out += line("", f"= help: {prerequisite.hint}")
    if any(prerequisite.what in ("model", "dataset") and prerequisite.met is False for prerequisite in listed):
        out += line("", "`prerl-spec fetch SPEC` downloads models and data")
    return "\n".join(out)

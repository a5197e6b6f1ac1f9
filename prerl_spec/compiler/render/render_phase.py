"""Renders one phase of a plan as text."""

import json
import textwrap
from collections.abc import Iterator
from typing import Literal

from prerl_spec.compiler.past_runs.measured_lengths import Lengths
from prerl_spec.compiler.past_runs.measured_times import Measured, phase_seconds
from prerl_spec.compiler.plan import ComponentPlan, Cost, EngineMemory, Example, Forward, PhasePlan, ProbeCost
from prerl_spec.compiler.planning.points import points_of
from prerl_spec.compiler.render.human_units import WIDTH, count, duration, line, plural, size

SHOWN_LINES = 12
"""Maximum number of prompt lines shown; plan.json holds the whole prompt."""


def render_phase(
    phase: PhasePlan,
    following: PhasePlan | None,
    number: int,
    total: int,
    found: Measured | None = None,
    streams: Literal["global", "phase"] = "global",
    lengths: Lengths | None = None,
) -> str:
    """Graph, batch arithmetic, forwards, cost, first prompt and notes of a phase."""
    steps = "steps until its token budget is spent" if phase.steps is None else plural(phase.steps, "step")
    out = [f"phase {number} of {total}: {phase.id}, {steps}", f"  {flow(phase)}", ""]
    out += line("objective", settings_text(phase.objective))
    for point in points_of(phase.objective):
        out += line("", point)
    if phase.sampler is not None:
        out += line("sampler", settings_text(phase.sampler))
    if phase.verifier is not None:
        out += line("verifier", settings_text(phase.verifier))
    out += line("optimizer", settings_text(phase.optimizer))
    for ports in phase.ports:
        out += line("port", f"{ports.component} <- {ports.port} <- {ports.provider}")
    out += line("step", _step(phase))
    out += line("whole phase", _whole(phase))
    for index, forward in enumerate(phase.forwards):
        out.append(f"  {'forwards' if index == 0 else '':<13}{_forward(forward, phase)}")
    for probe in phase.probe_costs:
        out += line("probe", _probe(probe))
        out += [f"  {'':<13}{_forward(forward, phase)}" for forward in probe.forwards]
    out += line("passes", _passes(phase))
    out += _cost(phase, lengths)
    if found is not None and phase.id in found.step:
        out += line("measured", _measured(phase, found))
    if following is not None:
        out += line("hand-over", _hand_over(phase, following, streams))
    out += _example(phase)
    for note in phase.notes:
        out += line("note", note)
    return "\n".join(out)


def flow(phase: PhasePlan) -> str:
    """The data flow of a batch: `train -> transformers -> exact_match -> grpo -> adamw -> policy`."""
    data = " + ".join(name if share == 1 else f"{share:.2g} {name}" for name, share in phase.data.items())
    middle = [phase.sampler, phase.verifier] if phase.uses_rollouts else []
    names = [data, *(c.use for c in middle if c is not None)]
    names += [" + ".join(c.use for c in many) for many in (phase.rewards, phase.filters) if many]
    return " -> ".join([*names, objective_name(phase.objective), phase.optimizer.use, "policy"])


def objective_name(objective: ComponentPlan) -> str:
    """`grpo`, or `weighted_sum(grpo, kl)`."""
    terms = [t.use for t in objective.inner if t.kind == "objective"]
    return f"{objective.use}({', '.join(terms)})" if terms else objective.use


def settings_text(component: ComponentPlan) -> str:
    """`grpo: advantage "group_std", clip_low 0.2 …`, every setting."""
    parts = [
        f"{key} {json.dumps(value, ensure_ascii=False)}" + (" (not interpreted)" if key in component.handed_on else "")
        for key, value in component.settings.items()
        if value is not None
    ]
    own = f"{component.use}: {', '.join(parts)}" if parts else component.use
    nested = (("teacher " if part.kind == "model" else "") + settings_text(part) for part in component.inner)
    return "; ".join([own, *nested])


def _step(phase: PhasePlan) -> str:
    updates = "no update" if phase.updates == 0 else plural(phase.updates_per_batch, "update")
    if not phase.uses_rollouts:
        return f"{plural(phase.units_per_step, 'document')}, {updates}"
    drawn = phase.attempts_per_step * phase.max_new_tokens
    text = (
        f"{plural(phase.units_per_step, 'prompt')} x {phase.group_size} = {plural(phase.attempts_per_step, 'sample')} of at "
        f"most {phase.max_new_tokens:,} new tokens ({count(drawn)}), {updates}"
    )
    return text + (f", at most {plural(phase.refill_rounds, 'refill round')}" if phase.refill_rounds else "")


def _whole(phase: PhasePlan) -> str:
    parts = (
        ["unknown: the phase ends by a token budget"] if phase.updates is None else [plural(phase.updates, "update")]
    )
    if phase.epochs is not None:
        parts.append(f"{phase.epochs:.2g} epochs of {', '.join(phase.data)}")
    if phase.uses_rollouts and phase.sampled_tokens_at_most is not None:
        parts.append(f"at most {count(phase.sampled_tokens_at_most)} generated tokens")
    return ", ".join(parts)


def _forward(forward: Forward, phase: PhasePlan) -> str:
    context = "unknown" if forward.context_tokens is None else f"{forward.context_tokens:,}"
    what = {
        "policy": "with gradient",
        "old": "old log-probabilities",
        "reference": "reference model",
        "probe": "metrics before the update",
        "gradient": "gradient for a probe",
        "watch": "log-probabilities for a probe",
    }.get(forward.of, forward.of)
    if not phase.uses_rollouts:
        return f"{forward.view:<12} {plural(forward.samples, 'document')} x ({context} + its own) tokens: {what}"
    samples = f"at most {plural(forward.samples, 'sample')}"
    once = "" if forward.sharing == 1 else " once a group"
    return f"{forward.view:<12} {samples:>21} x ({context}{once} + response) tokens: {what}"


def _probe(probe: ProbeCost) -> str:
    """`gradient_alignment every 10 steps: 24 forwards and 16 backward passes; 2.4 and 1.6 per step on average`."""
    counts = [sum(f.samples for f in probe.forwards), sum(f.samples for f in probe.forwards if f.gradient)]
    each, mean = (f"{a:,g} forwards and {b:,g} backward passes" for a, b in (counts, [n / probe.every for n in counts]))
    if probe.every == 1:
        return f"{probe.use} every step: {each} of a sample at most"
    return f"{probe.use} every {probe.every} steps: {each} of a sample at most, on average {mean} a step"


def _passes(phase: PhasePlan) -> str:
    chosen = "written" if phase.tokens_per_pass_written else "chosen by plan"
    number = "" if phase.passes_at_most is None else f"{phase.passes_at_most:,} per update and process, "
    bound = "about " if not phase.uses_rollouts else "at most "
    return (
        f"{bound if number else ''}{number}of up to {phase.tokens_per_pass:,} tokens ({chosen}); a sample is never cut"
    )


def _cost(phase: PhasePlan, lengths: Lengths | None) -> list[str]:
    if phase.cost is None:
        return line("cost", f"unknown: {phase.cost_unknown}")
    memory, whole = phase.cost.memory_bytes, sum(phase.cost.memory_bytes.values())
    parts = ", ".join(f"{name} {size(number)}" for name, number in memory.items())
    return [
        *line("memory", f"{size(whole)} per process: {parts}{_too_much(whole, phase.cost.device_bytes)}"),
        *([] if phase.cost.engine is None else line("engine", _turns(phase.cost.engine))),
        *line("time", _time(phase, phase.cost, lengths)),
    ]


def _turns(engine: EngineMemory) -> str:
    """What the trainer and the sampler's engine take of a GPU while the other does not work."""
    sampling, training = (size(sum(parts.values())) for parts in (engine.sampling, engine.training))
    room = f"{size(engine.weights)} for its weights, a cache of at most {count(engine.cached_tokens)} tokens"
    if not engine.cached_tokens:
        room = f"its weights of {size(engine.weights)} do NOT fit: raise gpu_memory_utilization"
    return f"{sampling} while it samples ({room}), {training} while the trainer trains and it sleeps"


def _too_much(wanted: int, there: int | None) -> str:
    if there is None or wanted <= there:
        return ""
    return f"; MORE than the {size(there)} available to a process: it would not fit"


def _time(phase: PhasePlan, cost: Cost, lengths: Lengths | None) -> str:
    """An estimate; with rollouts a bound, and the estimate where a mean length was measured."""
    whole = "" if phase.steps is None else f", {duration(cost.seconds_per_step * phase.steps)} in all"
    work = f"{cost.teraflop_per_step:.2g} TFLOP per step"
    if not phase.uses_rollouts:
        return f"about {duration(cost.seconds_per_step)} per step{whole} on {cost.basis} ({work}; a rough estimate)"
    bound = (
        f"at most about {duration(cost.seconds_per_step)} per step{whole} on {cost.basis} ({work}; a rough bound, as if every "
        "response had the maximum length)"
    )
    share = length_share(phase, lengths)
    if share is None or lengths is None:
        return bound
    each = cost.seconds_at(share)
    all_steps = "" if phase.steps is None else f", {duration(each * phase.steps)} in all"
    return (
        f"about {duration(each)} per step{all_steps} at {lengths.tokens[phase.id]:.0f} tokens a response, the mean in "
        f"{lengths.folder}; {bound}"
    )


def length_share(phase: PhasePlan, lengths: Lengths | None) -> float | None:
    """The measured mean length of a response over its maximum; None where none was measured."""
    if lengths is None or phase.id not in lengths.tokens or not phase.max_new_tokens:
        return None
    return min(1.0, lengths.tokens[phase.id] / phase.max_new_tokens)


def _measured(phase: PhasePlan, found: Measured) -> str:
    whole = None if phase.steps is None else phase_seconds(phase.id, phase.steps, found)
    parts = [f"{duration(found.step[phase.id])} per step"]
    if whole is not None:
        parts.append(f"{duration(whole)} in all")
    if phase.id in found.memory:
        parts.append(f"{size(found.memory[phase.id])} of peak memory per process")
    return f"{', '.join(parts)}{found.limits if phase.uses_rollouts else ''}, in {found.folder}"


def _hand_over(phase: PhasePlan, following: PhasePlan, streams: Literal["global", "phase"]) -> str:
    """What the next phase inherits; data, learning rate and reference only where they matter to it."""
    settings = phase.schedule.settings
    parts = ["weights carry", "moments carry" if phase.carry_optimizer else "moments are reset"]
    shared = [name for name in following.data if name in phase.data]
    if settings.get("data") == "restart" or streams == "phase":
        parts.append("data restarts")
    elif shared:
        parts.append(f"{' and '.join(shared)} {'continues' if len(shared) == 1 else 'continue'}")
    theirs = following.optimizer.settings
    if theirs.get("lr_schedule", "constant") != "constant" or theirs.get("warmup_steps"):
        carried = settings.get("lr_schedule") == "carry"
        parts.append("lr schedule continues: one decay spanning both phases" if carried else "lr schedule restarts")
    if any(f.of == "reference" for f in following.forwards):
        kept = settings.get("reference") == "keep"
        parts.append("the reference is kept" if kept else "the reference is reset to the current weights")
    return f"to {following.id}: {', '.join(parts)}"


def _example(phase: PhasePlan) -> Iterator[str]:
    if phase.example is None:
        yield from line("first prompt", f"unknown: {phase.example_unknown}")
        return
    example = phase.example
    noun = "prompt" if example.document is None else "document"
    yield f"  first {noun}: {example.where}, {plural(len(example.ids), 'token')}, {example.template}"
    yield from _quoted(example.text)
    if example.document is not None:
        yield "  followed by"
        yield from _quoted(example.document)
    if example.gold is not None:
        yield from line("gold answer", example.gold)
    yield from _prefixes(example)


def _prefixes(example: Example) -> Iterator[str]:
    for view in example.views:
        if view.name != "conditional":
            ids = ", ".join(map(str, view.ids))
            yield from line(
                view.name, f"the response is scored after {json.dumps(view.text, ensure_ascii=False)} (id {ids})"
            )


def _quoted(text: str) -> Iterator[str]:
    wrapped = [
        part for row in text.split("\n") for part in (textwrap.wrap(row, WIDTH - 6, drop_whitespace=False) or [""])
    ]
    for row in wrapped[:SHOWN_LINES]:
        yield f"    | {row}".rstrip()
    if len(wrapped) > SHOWN_LINES:
        yield f"    ... {len(wrapped) - SHOWN_LINES} more lines"

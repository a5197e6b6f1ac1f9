"""Rules of a phase that belong to no single component: step size, updates, ratios, learning rate (E0204, E0701)."""

from collections.abc import Callable, Iterator, Sequence

from prerl_spec.codes import Code
from prerl_spec.compiler.objective_needs import reads_from
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.phase_roles import PhaseRoles
from prerl_spec.compiler.rules.rule_diagnostic import at_last_written, place_behind, setting_places, use_place
from prerl_spec.compiler.rules.served import Served, nested
from prerl_spec.errors import Diagnostic, Label
from prerl_spec.registry.kinds.objective import Objective


def step_size(resolved: Resolved, roles: PhaseRoles) -> Iterator[Diagnostic]:
    """A phase with rollouts needs prompts_per_step, any other phase documents_per_step."""
    if roles.uses_rollouts is None:
        return
    wanted, other = ("prompts_per_step", "documents_per_step")[:: 1 if roles.uses_rollouts else -1]
    if getattr(roles.spec, other) is not None:
        assert roles.objective.built is not None
        does = "uses rollouts: it counts prompts" if roles.uses_rollouts else "uses no rollouts: it counts documents"
        yield Diagnostic(
            Code.CONTRADICTION,
            f"{roles.title} {does}, not {other.split('_')[0]}",
            resolved.key_span(f"{roles.path}.{other}"),
            path=f"{roles.path}.{other}",
            help=f"write {wanted}",
            notes=(f"its objective is `{roles.objective.built.use}`",),
        )
    units = getattr(roles.spec, wanted)
    if units is None and getattr(roles.spec, other) is None and f"{roles.path}.{wanted}" not in resolved.poisoned:
        yield Diagnostic(
            Code.MISSING_KEY,
            f"{roles.title} has no `{wanted}`",
            resolved.header_span(roles.path),
            path=f"{roles.path}.{wanted}",
            help=f"write the number of {wanted.split('_')[0]} per step",
        )


def whole_updates(resolved: Resolved, roles: PhaseRoles) -> Iterator[Diagnostic]:
    """The units of a step must be a multiple of updates_per_batch, for every objective."""
    misplaced = {True: "documents_per_step", False: "prompts_per_step", None: None}[roles.uses_rollouts]
    for key in ("prompts_per_step", "documents_per_step"):
        units = getattr(roles.spec, key)
        if key != misplaced and units is not None and units % roles.spec.updates_per_batch:
            yield Diagnostic(
                Code.CONTRADICTION,
                f"{key} = {units} is not a multiple of updates_per_batch = {roles.spec.updates_per_batch}",
                resolved.key_span(f"{roles.path}.{key}"),
                path=f"{roles.path}.{key}",
                help="whole groups are split evenly into the updates of a batch",
            )


def group_baseline(resolved: Resolved, roles: PhaseRoles) -> Iterator[Diagnostic]:
    """A group baseline needs its minimum group size; with one attempt per group every advantage is 0."""
    if roles.sampler is None or roles.sampler.component is None or not roles.uses_rollouts:
        return
    sampler = roles.sampler.component
    for part in _parts_that(lambda o: o.min_group > sampler.group_size, roles.objective):
        least = part.planned.min_group
        yield at_last_written(
            resolved,
            Code.CONTRADICTION,
            f"a group baseline needs at least {'two' if least == 2 else least} attempts per prompt, and `group_size` is "
            f"{sampler.group_size}",
            [
                *setting_places(resolved, roles.sampler.path, sampler, "group_size"),
                place_behind(resolved, part, "min_group"),
            ],
            help=f"set group_size to {least} or more, or use an objective without a group baseline",
        )


def truncated_sampling(resolved: Resolved, roles: PhaseRoles) -> Iterator[Diagnostic]:
    """top_p and top_k make the sampling distribution differ from the policy, which biases probability ratios."""
    if roles.sampler is None or roles.sampler.component is None or not roles.uses_rollouts:
        return
    sampler = roles.sampler.component
    found = (("top_p", sampler.top_p, 1.0), ("top_k", sampler.top_k, 0))
    truncating = [(f"{roles.sampler.path}.{key}", value) for key, value, off in found if value != off]
    updated_often = roles.spec.updates_per_batch > 1

    def uses_ratios(objective: Objective) -> bool:
        return (updated_often and objective.uses_ratio) or reads_from(objective, "sampler")

    if not truncating:
        return
    parts = _parts_that(uses_ratios, roles.objective)
    if updated_often and not parts and roles.objective.component is not None:
        updates = (f"{roles.path}.updates_per_batch", roles.spec.updates_per_batch)
        yield at_last_written(
            resolved,
            Code.CONTRADICTION,
            f"a sampler that truncates ({_names(truncating, roles.objective)}) does not draw from the policy, and with "
            "`updates_per_batch` above 1 nothing corrects the later updates",
            [*truncating, updates],
            help="train with top_p = 1.0 and top_k = 0; evaluators may truncate",
        )
    for part in parts:
        ratios: list[tuple[str, object]] = []
        if updated_often and part.planned.uses_ratio:
            ratios.append((f"{roles.path}.updates_per_batch", roles.spec.updates_per_batch))
        if reads_from(part.planned, "sampler"):
            ratios.append(place_behind(resolved, part, "sampler_logprobs"))
        yield at_last_written(
            resolved,
            Code.CONTRADICTION,
            f"a sampler that truncates ({_names(truncating, part)}) biases the probability ratios of "
            f"{_names(ratios, part)}",
            [*truncating, *ratios],
            help="train with top_p = 1.0 and top_k = 0; evaluators may truncate",
        )


def reference_switched_off(resolved: Resolved, roles: PhaseRoles) -> Iterator[Diagnostic]:
    """A term that needs a reference model, in a spec with reference = "off"."""
    if resolved.spec.reference != "off":
        return
    for part in _parts_that(lambda o: reads_from(o, "reference"), roles.objective):
        yield at_last_written(
            resolved,
            Code.CONTRADICTION,
            f'the objective of {roles.title} uses a reference model, and reference = "off"',
            [("reference", "off"), (use_place(resolved, part.path), None)],
            help='remove `reference`, or write reference = "initial"',
        )


def steps_that_are_not_known(resolved: Resolved, roles: PhaseRoles) -> Iterator[Diagnostic]:
    """A decaying learning rate needs a phase with a known number of steps."""
    schedule = roles.schedule.component
    optimizer = None if roles.optimizer is None else roles.optimizer.component
    if schedule is None or optimizer is None or schedule.max_steps is not None:
        return
    assert roles.optimizer is not None
    falling = getattr(optimizer, "lr_schedule", "constant")
    if falling != "constant":
        yield at_last_written(
            resolved,
            Code.CONTRADICTION,
            f'lr_schedule = "{falling}" needs a known number of steps, and the phase ends by a token budget',
            [
                *setting_places(resolved, roles.optimizer.path, optimizer, "lr_schedule"),
                place_behind(resolved, roles.schedule, "max_steps"),
            ],
            help='set `steps` of the phase, or lr_schedule = "constant"',
        )


def inherited_moments(resolved: Resolved, roles: PhaseRoles, following: PhaseRoles | None) -> Iterator[Diagnostic]:
    """optimizer = "carry" needs the same optimizer in the next phase."""
    schedule = roles.schedule.component
    if schedule is None or following is None or schedule.optimizer != "carry":
        return
    ours, theirs = roles.optimizer, following.optimizer
    if ours is None or theirs is None or ours.built is None or theirs.built is None:
        return
    if (ours.built.use, ours.built.distribution) != (theirs.built.use, theirs.built.distribution):
        yield at_last_written(
            resolved,
            Code.CONTRADICTION,
            'optimizer = "carry", but the next phase uses another optimizer, which cannot load these moments',
            [*setting_places(resolved, roles.schedule.path, schedule, "optimizer")],
            help='write optimizer = "reset", or remove it, or use the same optimizer in both phases',
        )


def data_that_begins_anew(resolved: Resolved, roles: PhaseRoles, following: PhaseRoles | None) -> Iterator[Diagnostic]:
    """A hand-over of the data position, in a spec whose phases each begin their data anew."""
    built = roles.schedule.built
    if resolved.spec.run.streams != "phase" or following is None or built is None or "data" not in built.written:
        return
    path, cause = f"{roles.schedule.path}.data", resolved.value_span("run.streams")
    yield Diagnostic(
        Code.NO_EFFECT,
        '`data` has no effect with streams = "phase": every phase begins its data anew',
        resolved.value_span(path),
        path=path,
        labels=() if cause is None else (Label(cause, "`streams` is set here"),),
        help="remove it",
    )


def _parts_that(holds: Callable[[Objective], bool], objective: Served[Objective]) -> list[Served[Objective]]:
    """The parts of an objective for which the predicate holds, each at its path: terms of a sum, else the objective."""
    if objective.component is None or not holds(objective.component):
        return []
    inside = [Served[Objective](path, built) for path, built in nested(objective) if built.kind == "objective"]
    return [term for term in inside if _is_part(term.component) and holds(term.planned)] or [objective]


def _is_part(term: Objective | None) -> bool:
    return term is not None and any(part is term for part in term.parts())


def _names(places: Sequence[tuple[str, object]], objective: Served[Objective]) -> str:
    """The names of the settings; the objective's name where no setting is known to decide the fact."""
    use = "" if objective.built is None else objective.built.use
    return " and ".join(f"`{use if value is None else path.rpartition('.')[2]}`" for path, value in places)

"""Plans one phase: its components, steps and tokens, forwards, first prompt, cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from prerl_spec.compiler.estimates.estimate import Shape, Spread, TeacherWork, Workload, cost_of
from prerl_spec.compiler.estimates.lanes import LANES, workers
from prerl_spec.compiler.estimates.step_counts import (
    epoch,
    forward_tokens,
    forwards,
    pass_sizes,
    passes_at_most,
    probe_forwards,
    views_of,
)
from prerl_spec.compiler.estimates.unknown import Unknown, known, why_unknown
from prerl_spec.compiler.hardware import Hardware
from prerl_spec.compiler.objective_needs import trains
from prerl_spec.compiler.plan import ComponentPlan, Cost, Example, Forward, PhasePlan, Ports, ProbeCost
from prerl_spec.compiler.planning.component_plan import written_out
from prerl_spec.compiler.planning.first_prompt import example_of
from prerl_spec.compiler.planning.row_rules import unfit_rows
from prerl_spec.compiler.planning.teacher_plan import PlannedTeacher
from prerl_spec.compiler.resolve.resolved import Built, Resolved
from prerl_spec.compiler.rules.phase_roles import PhaseRoles
from prerl_spec.compiler.rules.port_rules import fits, own_ports, phase_supplies
from prerl_spec.compiler.rules.served import Served, nested, served_adapter, served_model
from prerl_spec.errors import EnvironmentUnmet, SpecInvalid
from prerl_spec.language.spec import DistributedSpec
from prerl_spec.needs import View
from prerl_spec.registry.entry_points import PluginFault
from prerl_spec.registry.kinds.data import DataSet
from prerl_spec.registry.kinds.watching import Probe, ProbeNeed, UpdateProbe
from prerl_spec.registry.plugin_contract import blame_plugin
from prerl_spec.text import Codec

CostWith = Callable[[int, bool], Cost | Unknown]
"""(tokens of a pass, whether activations are computed again) -> the cost of a phase."""

LONG_PASS = 16384
"""Tokens of a pass with which a GPU's matrix products are large: as in the published figures of other trainers."""

FULL = 0.9
"""Fraction of a process's memory that an estimate may fill; the rest covers what it does not include."""


NO_UPDATE = (
    "the objective samples and takes no update: weights and moments stay as they are; every response is sampled, verified "
    "and filtered as for any other objective, and its tokens count as generated"
)


@dataclass(frozen=True)
class PlanContext:
    """What the planning of every phase depends on: spec, hardware, data, tokenizer, model shape and teachers."""

    resolved: Resolved
    hardware: Hardware
    data: Mapping[str, DataSet | None]
    unread: Mapping[str, Unknown]
    """The reasons for the data sets that are None in `data`."""
    codec: Codec | Unknown
    shape: Shape | Unknown
    teachers: tuple[PlannedTeacher, ...] = ()


@dataclass(frozen=True)
class _Counts:
    """The basic counts from which the other numbers of a phase are computed."""

    units: int
    group_size: int
    updates_per_batch: int
    steps: int | None
    max_new_tokens: int
    refill_rounds: int

    @property
    def attempts(self) -> int:
        return self.units * self.group_size


def phase_plan(around: PlanContext, roles: PhaseRoles, following: PhaseRoles | None) -> PhasePlan:
    """The plan of one phase. Raises SpecInvalid for data that the phase cannot train on."""
    if unfit := list(unfit_rows(around.resolved, roles, around.data)):
        raise SpecInvalid(unfit, around.resolved.sources)
    counts = _counts(roles)
    rows = _rows(around, roles)
    shown = _example(around, roles, counts)
    example = known(shown)
    planned = _forwards(roles, counts, example)
    watched = _probe_costs(roles, counts, example)
    cost_with = partial(_cost, around, roles, counts, planned, watched, example)
    per_pass, cost = _pass(around, roles, cost_with)
    longer = _longer_passes(around, roles, cost_with, per_pass) if any(f.gradient for f in planned) else None
    drawn = counts.attempts * counts.max_new_tokens * (1 + counts.refill_rounds) if roles.uses_rollouts else 0
    return PhasePlan(
        id=roles.spec.id,
        data=roles.data,
        uses_rollouts=bool(roles.uses_rollouts),
        objective=_whole(roles.objective),
        schedule=_whole(roles.schedule),
        optimizer=_whole(roles.optimizer),
        sampler=_at_work(roles, roles.sampler),
        verifier=_at_work(roles, roles.verifier),
        rewards=tuple(_whole(s) for s in roles.rewards if roles.uses_rollouts),
        filters=tuple(_whole(s) for s in roles.filters if roles.uses_rollouts),
        probes=tuple(_whole(s) for s in roles.probes),
        units_per_step=counts.units,
        group_size=counts.group_size,
        attempts_per_step=counts.attempts,
        updates_per_batch=counts.updates_per_batch,
        steps=counts.steps,
        updates=_updates(roles, counts),
        tokens_per_pass=per_pass,
        tokens_per_pass_written=roles.spec.tokens_per_pass is not None,
        passes_at_most=_passes(around.resolved.spec.distributed, counts, planned, example, per_pass),
        refill_rounds=counts.refill_rounds,
        max_new_tokens=counts.max_new_tokens,
        sampled_tokens_at_most=None if counts.steps is None else drawn * counts.steps,
        epochs=None if rows is None or counts.steps is None else counts.steps / max(1, epoch(rows, counts.units)[0]),
        dropped_rows=None if rows is None else epoch(rows, counts.units)[1],
        forwards=planned,
        ports=tuple(_ports(around.resolved, roles)),
        carry_optimizer=carries_optimizer(roles, following),
        example=example,
        example_unknown=why_unknown(shown),
        cost=known(cost),
        cost_unknown=why_unknown(cost),
        notes=(*(() if longer is None else (longer,)), *(() if trains(roles.objective.planned) else (NO_UPDATE,))),
        probe_costs=watched,
    )


def carries_optimizer(roles: PhaseRoles, following: PhaseRoles | None) -> bool | None:
    """Whether the next phase inherits the moments: the schedule's setting, else whether both use the same optimizer."""
    if following is None:
        return None
    written = roles.schedule.planned.optimizer
    if written is not None:
        return written == "carry"
    ours, theirs = _built(roles.optimizer), _built(following.optimizer)
    return (ours.use, ours.distribution) == (theirs.use, theirs.distribution)


def _counts(roles: PhaseRoles) -> _Counts:
    sampler = roles.sampler.planned if roles.uses_rollouts and roles.sampler is not None else None
    units = roles.spec.prompts_per_step if roles.uses_rollouts else roles.spec.documents_per_step
    assert units is not None, "`wire` reports a phase without a step size"
    return _Counts(
        units=units,
        group_size=sampler.group_size if sampler is not None else 1,
        updates_per_batch=roles.spec.updates_per_batch,
        steps=roles.schedule.planned.max_steps,
        max_new_tokens=sampler.max_new_tokens if sampler is not None else 0,
        refill_rounds=max((f.planned.refill_rounds for f in roles.filters if roles.uses_rollouts), default=0),
    )


def _updates(roles: PhaseRoles, counts: _Counts) -> int | None:
    if not trains(roles.objective.planned):
        return 0
    return None if counts.steps is None else counts.steps * counts.updates_per_batch


def _rows(around: PlanContext, roles: PhaseRoles) -> int | None:
    """Rows of the phase's only data set; None for a mixture, whose epochs are undefined."""
    if len(roles.data) != 1:
        return None
    data = around.data[next(iter(roles.data))]
    return None if data is None else len(data)


def _example(around: PlanContext, roles: PhaseRoles, counts: _Counts) -> Example | Unknown:
    name = next(iter(roles.data))
    data = around.data[name]
    if data is None:
        return Unknown(f"{around.unread[name].why} (data set `{name}`)")
    if isinstance(around.codec, Unknown):
        return around.codec
    try:
        watched = [asked.need.view for _, needs in _watching(roles, counts) for asked in needs]
        views: list[View] = list(dict.fromkeys([*views_of(roles.objective.planned), *watched]))
        return example_of(name, data, around.codec, views, documents=not roles.uses_rollouts)
    except EnvironmentUnmet as unmet:
        return Unknown(unmet.message)
    except PluginFault as fault:
        raise EnvironmentUnmet(f"{fault.code}: {fault.message}", hint=fault.help) from fault


def _forwards(roles: PhaseRoles, counts: _Counts, example: Example | None) -> tuple[Forward, ...]:
    return forwards(
        roles.objective.planned,
        samples=counts.attempts,
        group_size=counts.group_size,
        updates_per_batch=counts.updates_per_batch,
        contexts=_contexts(example),
        probed=bool(roles.uses_rollouts),
    )


def _contexts(example: Example | None) -> dict[str, int]:
    """View -> tokens before a response, of the first prompt (conditional: the mean of the first rows)."""
    if example is None:
        return {}
    return {v.name: len(v.ids) for v in example.views} | {"conditional": round(example.mean_context_tokens)}


def _watching(roles: PhaseRoles, counts: _Counts) -> list[tuple[Served[Probe], tuple[ProbeNeed, ...]]]:
    """The probes that look at the phase's updates, each with what it asks of the model on a step that it measures.

    Raises EnvironmentUnmet (E0305) for a plugin's probe that fails to say so.
    """
    found: list[tuple[Served[Probe], tuple[ProbeNeed, ...]]] = []
    for served in roles.probes if roles.uses_rollouts else ():
        probe, built = served.planned, _built(served)
        if isinstance(probe, UpdateProbe):
            try:
                with blame_plugin(built.use, built.distribution, probe):
                    found.append((served, tuple(probe.needs(roles.objective.planned, counts.attempts))))
            except PluginFault as fault:
                raise EnvironmentUnmet(f"{fault.code}: {fault.message}", hint=fault.help) from fault
    return found


def _probe_costs(roles: PhaseRoles, counts: _Counts, example: Example | None) -> tuple[ProbeCost, ...]:
    contexts = _contexts(example)
    return tuple(
        ProbeCost(
            _built(served).use,
            served.planned.every,
            probe_forwards(needs, contexts),
            served.planned.gradients_held if isinstance(served.planned, UpdateProbe) else 0,
        )
        for served, needs in _watching(roles, counts)
    )


def _pass(around: PlanContext, roles: PhaseRoles, cost_with: CostWith) -> tuple[int, Cost | Unknown]:
    """Tokens of a pass, and the cost of the phase with it.

    As written in the spec, else the largest candidate that fits in memory, or that needs no more memory than the smallest
    (sampling may need more than any pass).
    """
    recomputed = around.resolved.spec.distributed.activation_checkpointing
    sizes = pass_sizes(around.hardware) if roles.spec.tokens_per_pass is None else (roles.spec.tokens_per_pass,)
    costs = [cost_with(size, recomputed) for size in sizes]
    for size, cost in zip(sizes, costs, strict=True):
        least = costs[-1]
        if isinstance(cost, Unknown) or isinstance(least, Unknown) or cost.device_bytes is None:
            return size, cost
        if _whole_memory(cost) <= max(FULL * cost.device_bytes, _whole_memory(least)):
            return size, cost
    raise AssertionError("the smallest candidate always qualifies")


def _longer_passes(around: PlanContext, roles: PhaseRoles, cost_with: CostWith, per_pass: int) -> str | None:
    """A note where a GPU would have room for LONG_PASS tokens if activations were computed again, and has none as it is."""
    written = roles.spec.tokens_per_pass is not None or around.resolved.spec.distributed.activation_checkpointing
    if not around.hardware.gpus or written:
        return None
    as_it_is, longer = (cost_with(LONG_PASS, recomputed) for recomputed in (False, True))
    if isinstance(as_it_is, Unknown) or isinstance(longer, Unknown):
        return None
    if _fits(as_it_is) or not _fits(longer):
        return None
    return (
        f"a pass of {LONG_PASS:,} tokens has no room on this GPU ({_gib(as_it_is)} of memory; the plan takes {per_pass:,}): "
        f"`distributed.activation_checkpointing = true` would make room for it ({_gib(longer)}), for a third more compute"
    )


def _fits(cost: Cost) -> bool:
    return cost.device_bytes is not None and _whole_memory(cost) <= FULL * cost.device_bytes


def _gib(cost: Cost) -> str:
    return f"{_whole_memory(cost) / 2**30:.0f} GiB"


def _whole_memory(cost: Cost) -> int:
    return sum(cost.memory_bytes.values())


def _cost(
    around: PlanContext,
    roles: PhaseRoles,
    counts: _Counts,
    planned: tuple[Forward, ...],
    watched: tuple[ProbeCost, ...],
    example: Example | None,
    per_pass: int,
    recomputed: bool,
) -> Cost | Unknown:
    if isinstance(around.shape, Unknown):
        return around.shape
    if example is None:
        return Unknown("the length of a prompt is unknown here")
    prompt = round(example.mean_context_tokens)
    teacher_bytes: list[int] = []
    for one in around.teachers:
        if isinstance(num_bytes := one.num_bytes, Unknown):
            return num_bytes
        teacher_bytes.append(num_bytes)
    each = [(f, 1) for f in planned] + [(f, probe.every) for probe in watched for f in probe.forwards]
    distributed = around.resolved.spec.distributed
    dtype = distributed.precision or served_model(around.resolved).planned.dtype

    def cost(response: int) -> Cost:
        """Where every response has so many tokens."""
        assert isinstance(around.shape, Shape), "an unknown one has no cost"

        def tokens(gradient: bool, teacher: str | None = None) -> int:
            chosen = [(f, n) for f, n in each if f.gradient is gradient and f.teacher == teacher]
            return round(sum(forward_tokens(f, response) / n for f, n in chosen))

        work = Workload(
            trained=tokens(True),
            scored=tokens(False),
            sampled=(counts.attempts * response + counts.units * prompt) if roles.uses_rollouts else 0,
            at_once=counts.attempts if roles.uses_rollouts else 0,
            sequence=prompt + response,
            new_tokens=response if roles.uses_rollouts else 0,
            in_a_pass=_in_a_pass(planned, watched, response, counts, per_pass),
            reference=any(f.of == "reference" for f in planned),
            gradients_held=sum(probe.gradients_held for probe in watched),
            teachers=tuple(
                TeacherWork(_parameters(one.shape), size, tokens(False, one.teacher.key))
                for one, size in zip(around.teachers, teacher_bytes, strict=True)
            ),
        )
        return cost_of(
            around.shape,
            work,
            around.hardware,
            half=dtype != "float32",
            processes=distributed.processes,
            adapter=adapter_parameters(around.resolved, around.shape),
            spread=Spread(
                sharded=distributed.strategy == "fsdp2",
                recomputed=recomputed,
                sums_every_pass=distributed.fsdp.get("gradients") == "pass",
                engine_share=None if roles.sampler is None else roles.sampler.planned.device_share,
            ),
            libraries=sum(_imported(around.resolved).values()),
        )

    longest = cost(_response(counts, example))
    if not roles.uses_rollouts:
        return longest
    return replace(longest, seconds_without_responses=cost(0).seconds_per_step)


def _parameters(shape: Shape | Unknown) -> int:
    assert isinstance(shape, Shape), "its bytes are known"
    return shape.num_parameters


def _imported(resolved: Resolved) -> dict[str, int]:
    """Library -> bytes of host memory, over all components of the run."""
    return {name: size for built in resolved.built.values() for name, size in built.component.library_bytes.items()}


def adapter_parameters(resolved: Resolved, shape: Shape) -> int | None:
    """Trainable parameters of the adapter, None if there is none."""
    adapter = served_adapter(resolved)
    return None if adapter is None else shape.num_layers * adapter.planned.num_parameters(shape.linear)


def _passes(
    asked: DistributedSpec, counts: _Counts, planned: tuple[Forward, ...], example: Example | None, per_pass: int
) -> int | None:
    """Passes of an update on one process: of its share of whole groups, or of its lanes, each packed by itself."""
    invariant = asked.determinism == "invariant"
    shares = LANES if invariant else asked.processes
    samples = -(-counts.units // (counts.updates_per_batch * shares)) * counts.group_size
    of_share = passes_at_most(planned, _response(counts, example), samples, per_pass)
    return of_share if of_share is None or not invariant else of_share * (LANES // workers(asked.processes))


def _in_a_pass(
    planned: tuple[Forward, ...], watched: tuple[ProbeCost, ...], response: int, counts: _Counts, per_pass: int
) -> int:
    """Tokens of the largest pass, of an update or of a probe, which differentiates one view at a time: a sample is never
    split, and an update may have fewer tokens than a pass."""
    longest = sum((f.context_tokens or 0) + response for f in planned if f.gradient)
    sizes = [(longest, longest * -(-counts.attempts // counts.updates_per_batch))]
    for forward in (f for probe in watched for f in probe.forwards if f.gradient):
        one = (forward.context_tokens or 0) + response
        sizes.append((one, one * min(forward.samples, counts.attempts)))
    return max(max(one, min(per_pass, whole)) for one, whole in sizes)


def _response(counts: _Counts, example: Example | None) -> int:
    """Maximum tokens of a response, or mean tokens of a document; 0 if unknown."""
    documents = 0.0 if example is None else example.mean_document_tokens or 0.0
    return counts.max_new_tokens or round(documents)


def _ports(resolved: Resolved, roles: PhaseRoles) -> list[Ports]:
    """The provider of each consumed port, for the printed graph."""
    supplies = phase_supplies(resolved, roles)
    found: list[Ports] = []
    for served in roles.serving:
        if (
            not roles.uses_rollouts
            and served.built is not None
            and served.built.kind in ("sampler", "verifier", "filter")
        ):
            continue
        for path, built in nested(served):
            for port in own_ports(built):
                by = [s.name for s in supplies if s.path != path and any(fits(p, port) for p in s.ports)]
                found.append(Ports(built.use, port, by[0] if by else "the engine"))
    return list(dict.fromkeys(found))


def _whole(served: Served[object] | None) -> ComponentPlan:
    return written_out(_built(served))


def _built(served: Served[object] | None) -> Built:
    built = None if served is None else served.built
    assert built is not None, "only a spec without errors is planned"
    return built


def _at_work(roles: PhaseRoles, served: Served[object] | None) -> ComponentPlan | None:
    return None if served is None or not roles.uses_rollouts else _whole(served)

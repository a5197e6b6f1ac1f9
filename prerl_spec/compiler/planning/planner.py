"""Computes the plan of a resolved spec: all defaults, counts and estimates, without heavy imports."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from prerl_spec import __version__
from prerl_spec.compiler.estimates.estimate import Shape, Spread, sampling_seconds, shape_of
from prerl_spec.compiler.estimates.local_files import model_codec, model_config
from prerl_spec.compiler.estimates.prerequisites import (
    INSTALL_TRAIN,
    as_seen_from_afar,
    check_prerequisites,
    has_train,
    run_prerequisites,
)
from prerl_spec.compiler.estimates.unknown import NotKnown, Unknown, known
from prerl_spec.compiler.hardware import Hardware, detect_hardware
from prerl_spec.compiler.plan import ComponentPlan, DataPlan, EvaluatorPlan, PhasePlan, Plan
from prerl_spec.compiler.planning.changes import changes
from prerl_spec.compiler.planning.component_plan import written_out
from prerl_spec.compiler.planning.computing import computing
from prerl_spec.compiler.planning.digest import digest_of_plan
from prerl_spec.compiler.planning.evaluation_plan import evaluation_share, evaluator_plan
from prerl_spec.compiler.planning.fits import (
    end_needs,
    length_needs,
    prefix_needs,
    shard_needs,
    strange_targets,
    too_few_embeddings,
    vocabulary_need,
)
from prerl_spec.compiler.planning.notes import local_code_notes, model_notes, phase_notes, spec_notes
from prerl_spec.compiler.planning.phase_plan import PlanContext, adapter_parameters, phase_plan
from prerl_spec.compiler.planning.refusals import mistakes, refusals
from prerl_spec.compiler.planning.start_plan import fitting_start, start_need
from prerl_spec.compiler.planning.teacher_plan import planned_teachers, teacher_notes, vocabulary_needs
from prerl_spec.compiler.planning.values import values
from prerl_spec.compiler.resolve.resolved import Built, Resolved
from prerl_spec.compiler.resolve.secret_literals import HINT
from prerl_spec.compiler.rules.invariance_rules import invariance_parts
from prerl_spec.compiler.rules.late_faults import with_place
from prerl_spec.compiler.rules.metric_rules import strange_metrics
from prerl_spec.compiler.rules.phase_roles import PhaseRoles, phase_roles, with_following
from prerl_spec.compiler.rules.port_rules import top_or_first
from prerl_spec.compiler.rules.served import Served, nested, served_data, served_model
from prerl_spec.compiler.rules.unused_rules import unused_components, unused_data
from prerl_spec.compiler.rules.wire import outside_phases
from prerl_spec.errors import SpecInvalid
from prerl_spec.language.document import join_path
from prerl_spec.registry.component import Prerequisite
from prerl_spec.registry.kinds.data import DataSet
from prerl_spec.registry.kinds.declared import Declared
from prerl_spec.text import Codec


def make_plan(resolved: Resolved, hardware: Hardware | None = None) -> Plan:
    """The plan of a spec without errors.

    Raises EnvironmentUnmet for a component that lacks a member of its kind (E0305), as a run does. Reads local data sets:
    raises EnvironmentUnmet for unreadable rows, SpecInvalid, with its place in the spec, for a template that fails.
    """
    try:
        return _plan(resolved, hardware)
    except SpecInvalid as error:
        placed = [with_place(resolved, diagnostic) for diagnostic in error.diagnostics]
        raise SpecInvalid(placed, {**resolved.sources, **error.sources}) from error


def _plan(resolved: Resolved, hardware: Hardware | None) -> Plan:
    resolved.require_members()
    here = hardware or detect_hardware()
    spec, phases = resolved.spec, phase_roles(resolved)
    opened = {name: _open(resolved, name) for name in spec.data}
    codec = _codec(resolved, opened)
    config = _config(resolved, codec)
    shape = _shape(config)
    _require_fit(resolved, phases, codec, config, shape)
    rows = {name: known(found.rows) for name, found in opened.items()}
    unread = {name: found.rows for name, found in opened.items() if isinstance(found.rows, Unknown)}
    teachers = planned_teachers(phases, codec, {name: found.tokenizer for name, found in opened.items()})
    context = PlanContext(resolved, here, rows, unread, codec, shape, teachers)
    planned = _with_notes([phase_plan(context, roles, following) for roles, following in with_following(phases)])
    data = {name: _data_plan(resolved, name, found) for name, found in opened.items()}
    evaluators = tuple(evaluator_plan(resolved, phases, planned, data, number) for number in range(len(spec.evaluate)))
    precision = spec.distributed.precision or served_model(resolved).planned.dtype
    plan = Plan(
        name=spec.run.name,
        seed=spec.run.seed,
        streams=spec.run.streams,
        output_dir=os.path.expanduser(spec.run.output_dir),
        digest="",
        prerl_spec=__version__,
        spec_file=str(resolved.file),
        spec_text=resolved.source_text,
        model=written_out(resolved.built["model"]),
        num_parameters=shape.num_parameters if isinstance(shape, Shape) else None,
        data=data,
        sampler=_top(resolved, "sampler"),
        verifier=_top(resolved, "verifier"),
        phases=planned,
        evaluators=evaluators,
        evaluation_share=evaluation_share(planned, evaluators),
        estimated_seconds=_seconds(context, phases, planned, evaluators),
        trackers=tuple(written_out(resolved.built[f"trackers[{n}]"]) for n in range(len(spec.trackers))),
        distributed={**spec.distributed.model_dump(mode="json"), "precision": precision},
        checkpoint=spec.checkpoint.model_dump(mode="json"),
        reference=spec.reference,
        prerequisites=(
            *check_prerequisites(_required(resolved, phases), here),
            *refusals(_used(resolved, phases)),
            *length_needs(resolved, phases, config, evaluators),
            *vocabulary_need(codec, config),
            *prefix_needs(phases, codec),
            *vocabulary_needs(teachers, codec),
            *end_needs(phases, codec),
        ),
        changes=changes(resolved),
        hardware=here,
        notes=tuple(spec_notes(spec, here, codec, shape)),
        plugin_files=resolved.plugin_files,
        code_files=resolved.code_files,
        adapter_parameters=adapter_parameters(resolved, shape) if isinstance(shape, Shape) else None,
        values=values(resolved),
        computing=computing(resolved, phases, config, on_gpu_in_16_bits=bool(here.gpus) and precision != "float32"),
    )
    if (start := fitting_start(resolved, plan, codec)) is not None:
        plan = replace(plan, start=start, prerequisites=(*plan.prerequisites, *start_need(start)))
    if here.is_named:
        plan = replace(plan, prerequisites=as_seen_from_afar(plan.prerequisites, here))
    notes = (*plan.notes, *teacher_notes(teachers), *model_notes(plan), *local_code_notes(resolved))
    plan = replace(plan, notes=notes)
    if resolved.literals.values:
        plan = Plan.from_json(resolved.literals.masked_json(plan.as_json()))
    return replace(plan, digest=digest_of_plan(plan))


def _require_fit(
    resolved: Resolved,
    phases: tuple[PhaseRoles, ...],
    codec: Codec | Unknown,
    config: Mapping[str, Any] | Unknown,
    shape: Shape | Unknown,
) -> None:
    """Raises SpecInvalid for settings that the model's files, transformers or the other components contradict."""
    misfits = (
        *mistakes(_used(resolved, phases)),
        *too_few_embeddings(resolved, codec, config),
        *strange_targets(resolved, config, shape),
        *strange_metrics(resolved, phases),
    )
    if misfits:
        raise SpecInvalid(misfits, resolved.sources)


@dataclass(frozen=True)
class _Opened:
    """A data set, opened if it is available locally, and the tokenizer files that it provides."""

    rows: DataSet | Unknown
    tokenizer: Mapping[str, str] | None


def _open(resolved: Resolved, name: str) -> _Opened:
    """Opens a data set whose prerequisites are met locally; a data set on the hub is only read by the run."""
    component = served_data(resolved, name).planned
    tokenizer = component.tokenizer_files()
    required = resolved.built[join_path("data", name)].component.prerequisites()
    states = check_prerequisites(((name, r) for r in required), Hardware(1, None))
    missing = [n for n in states if n.what in ("dataset", "model") or not n.met]
    if missing:
        first = missing[0]
        why = "its rows are on the hub" if first.what in ("dataset", "model") else f"{first.name}: {first.found}"
        return _Opened(Unknown(why), tokenizer)
    try:
        return _Opened(component.open(name), tokenizer)
    except ModuleNotFoundError:
        if has_train():
            raise
        return _Opened(Unknown(INSTALL_TRAIN), tokenizer)


def _codec(resolved: Resolved, opened: Mapping[str, _Opened]) -> Codec | Unknown:
    settings = served_model(resolved).planned.settings()
    try:
        return model_codec(settings, {name: found.tokenizer for name, found in opened.items()})
    except NotKnown as cause:
        return Unknown(str(cause))


def _config(resolved: Resolved, codec: Codec | Unknown) -> Mapping[str, Any] | Unknown:
    settings = served_model(resolved).planned.settings()
    try:
        return model_config(settings, codec.vocab_size if isinstance(codec, Codec) else None)
    except NotKnown as cause:
        return Unknown(str(cause))


def _shape(config: Mapping[str, Any] | Unknown) -> Shape | Unknown:
    if isinstance(config, Unknown):
        return config
    try:
        return shape_of(config)
    except NotKnown as cause:
        return Unknown(str(cause))


def _with_notes(phases: list[PhasePlan]) -> tuple[PhasePlan, ...]:
    return tuple(replace(p, notes=(*p.notes, *phase_notes(p, following))) for p, following in with_following(phases))


def _data_plan(resolved: Resolved, name: str, found: _Opened) -> DataPlan:
    component = written_out(resolved.built[join_path("data", name)])
    if isinstance(found.rows, Unknown):
        return DataPlan(component, None, None, found.rows.why)
    return DataPlan(component, len(found.rows), found.rows.fingerprint)


def _top(resolved: Resolved, role: str) -> ComponentPlan | None:
    built = resolved.built.get(role)
    return None if built is None else written_out(built)


def _used(resolved: Resolved, phases: tuple[PhaseRoles, ...]) -> Iterator[tuple[str, Built]]:
    """Every component that the run uses, those in slots included, each with its path."""
    unused = {*unused_components(resolved, phases), *(join_path("data", n) for n in unused_data(resolved, phases))}
    serving = [s for roles in phases for s in roles.serving]
    top = [Served[Declared](role, resolved.built.get(role)) for role in ("sampler", "verifier")]
    seen: set[str] = set()
    for served in [*outside_phases(resolved), *top, *serving]:
        for path, built in nested(served):
            if path not in seen and path.partition("[")[0] not in unused and path not in unused:
                seen.add(path)
                yield path, built


def _required(resolved: Resolved, phases: tuple[PhaseRoles, ...]) -> Iterator[tuple[str, Prerequisite]]:
    """Prerequisites of every component that the run uses, and the secrets that the spec names, each with its path."""
    for path, built in _used(resolved, phases):
        yield from ((path, prerequisite) for prerequisite in built.component.prerequisites())
    yield from run_prerequisites()
    yield from shard_needs(resolved.spec.distributed)
    yield from invariance_parts(resolved, phases)
    for path, names in resolved.secrets.items():
        yield from ((path, Prerequisite("secret", name, f"export {name}=...")) for name in names)
    for path in resolved.literals.places:
        yield path, Prerequisite("secret", path, HINT.format(key=path.rpartition(".")[2]))


def _seconds(
    around: PlanContext, roles: Sequence[PhaseRoles], phases: Sequence[PhasePlan], evaluators: Sequence[EvaluatorPlan]
) -> float | None:
    """Estimated seconds of all phases and evaluations, for responses of maximum length; None if a part is unknown."""
    whole = 0.0
    for evaluator in evaluators:
        if (seconds := _evaluation_seconds(around, roles, evaluator)) is None:
            return None
        whole += seconds
    for phase in phases:
        if phase.cost is None or phase.steps is None:
            return None
        whole += phase.cost.seconds_per_step * phase.steps
    return whole


def _evaluation_seconds(around: PlanContext, roles: Sequence[PhaseRoles], evaluator: EvaluatorPlan) -> float | None:
    """Of all its rounds; None where its tokens are unknown."""
    if isinstance(around.shape, Unknown) or evaluator.tokens_at_most is None or evaluator.rounds is None:
        return None
    responses = (evaluator.questions or 0) * int(evaluator.component.settings.get("samples", 1))
    if not (evaluator.tokens_at_most and evaluator.rounds and responses):
        return 0.0
    spec = around.resolved.spec
    serving = top_or_first(around.resolved, roles, "sampler")
    dtype = spec.distributed.precision or served_model(around.resolved).planned.dtype
    of_round = evaluator.tokens_at_most // evaluator.rounds
    return evaluator.rounds * sampling_seconds(
        around.shape,
        of_round,
        around.hardware,
        processes=spec.distributed.processes,
        rows=responses,
        new_tokens=of_round // responses,
        half=dtype != "float32",
        spread=Spread(engine_share=None if serving is None else serving.planned.device_share),
    )

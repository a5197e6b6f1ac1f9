"""Builds the graph that the engine runs from a plan alone, freshly computed or read from plan.json."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.compiler.content_hash import ABSENT, fingerprint, paths_in
from prerl_spec.compiler.graph import Checkpointing, Distributed, Graph, Named, Phase, RunSettings
from prerl_spec.compiler.plan import ComponentPlan, PhasePlan, Plan
from prerl_spec.errors import Drift, EnvironmentUnmet
from prerl_spec.known_secrets import know_secret
from prerl_spec.registry.component import Component
from prerl_spec.registry.entry_points import Entry, PluginFault, Registry, installed, load
from prerl_spec.registry.kind_protocols import require_members
from prerl_spec.registry.kinds.sampler import Sampler
from prerl_spec.registry.kinds.schedule import Schedule
from prerl_spec.registry.local import local_entries


def build_graph(plan: Plan, spec_text: str) -> Graph:
    """The graph that a plan describes.

    Raises EnvironmentUnmet for a component that is not installed or lacks a member of its kind, Drift for one of another
    behaviour version.
    """
    registry = registry_of(plan)
    for prerequisite in plan.prerequisites:
        if prerequisite.what == "secret" and prerequisite.name.isidentifier():
            know_secret(prerequisite.name)

    def named(component: ComponentPlan) -> Named[Any]:
        """Typed by its kind's Protocol."""
        return Named(component.use, rebuild_component(component, registry))

    def optional(component: ComponentPlan | None) -> Named[Any] | None:
        return None if component is None else named(component)

    def phase(planned: PhasePlan) -> Phase:
        schedule: Named[Schedule] = named(planned.schedule)
        return Phase(
            id=planned.id,
            data=planned.data,
            prompts_per_step=planned.units_per_step if planned.uses_rollouts else None,
            documents_per_step=None if planned.uses_rollouts else planned.units_per_step,
            updates_per_batch=planned.updates_per_batch,
            tokens_per_pass=planned.tokens_per_pass,
            objective=named(planned.objective),
            schedule=schedule,
            optimizer=named(planned.optimizer),
            sampler=optional(planned.sampler),
            verifier=optional(planned.verifier),
            rewards=tuple(map(named, planned.rewards)),
            filters=tuple(map(named, planned.filters)),
            probes=tuple(map(named, planned.probes)),
            restart_data=plan.streams == "phase" or schedule.component.data == "restart",
            carry_optimizer=True if planned.carry_optimizer is None else planned.carry_optimizer,
        )

    return Graph(
        run=RunSettings(plan.name, plan.seed, Path(plan.output_dir), plan.streams),
        model=named(plan.model),
        data={name: named(data.component) for name, data in plan.data.items()},
        phases=tuple(_with_carried_lr([phase(planned) for planned in plan.phases])),
        evaluators=tuple(named(e.component) for e in plan.evaluators),
        trackers=tuple(map(named, plan.trackers)),
        distributed=Distributed(**plan.distributed),
        checkpoint=Checkpointing(**plan.checkpoint),
        reference=plan.reference,
        sampler=optional(plan.sampler) or default_sampler(plan, registry),
        verifier=optional(plan.verifier),
        digest=plan.digest,
        plan=plan.as_json(),
        spec_text=spec_text,
        spec_file=plan.spec_file,
        cut=plan.cut,
    )


def _with_carried_lr(phases: Sequence[Phase]) -> Iterator[Phase]:
    for index, phase in enumerate(phases):
        steps = 0
        for ahead, following in pairwise(phases[index:]):
            if ahead.schedule.component.lr_schedule != "carry":
                break
            steps += following.schedule.component.max_steps or 0
        yield replace(phase, carried_lr_steps=steps)


def registry_of(plan: Plan) -> Registry:
    """The installed entries plus those of the plan's local Python files, which are executed.

    Raises EnvironmentUnmet for a file that cannot be loaded, Drift for one that has changed since the plan was
    computed.
    """
    entries: list[Entry] = []
    for file, planned in plan.plugin_files.items():
        try:
            found = local_entries(Path(file))
        except PluginFault as fault:
            raise EnvironmentUnmet(f"{fault.code}: {fault.message}", hint=fault.help) from fault
        if found[0].distribution_version != planned:
            raise Drift(
                f"{file} has changed since the plan was made: content {found[0].distribution_version[:12]}, "
                f"planned {planned[:12]}",
                hint="restore the planned file, or plan again",
            )
        entries += found
    return Registry([*installed().entries, *entries])


def require_local_code_allowed(plan: Plan, local_code: bool) -> None:
    """Raises EnvironmentUnmet if the plan runs local Python files and `--local-code` was not given."""
    if (files := (*plan.plugin_files, *plan.code_files)) and not local_code:
        names = ", ".join(f"`{Path(file).name}`" for file in files)
        raise EnvironmentUnmet(
            f"{Code.PLUGIN_IMPORT_FAILED}: the plan runs Python code, {names}", hint="--local-code allows it"
        )


DEFAULT_SAMPLER = "transformers"
"""The sampler of evaluators in a spec that configures none."""


def default_sampler(plan: Plan, registry: Registry) -> Named[Sampler] | None:
    """`transformers` with default settings, if the plan has evaluators and no phase has a sampler."""
    if not plan.evaluators or any(p.sampler is not None for p in plan.phases):
        return None
    component: Any = load(registry.providers("sampler", DEFAULT_SAMPLER)[0])()
    return Named(DEFAULT_SAMPLER, component)


def rebuild_component(planned: ComponentPlan, registry: Registry) -> Component:
    """The component of a plan, with its planned settings.

    Raises EnvironmentUnmet where it, or a component in its slots, is not installed, cannot be imported or lacks a
    member of its kind, Drift for another behaviour version.
    """
    name = planned.use.partition("@")[0]
    entries = [e for e in registry.providers(planned.kind, name) if e.distribution == planned.distribution]  # type: ignore[arg-type]
    if not entries:
        raise EnvironmentUnmet(
            f"the {planned.kind} `{planned.use}` of {planned.distribution} is not installed",
            hint=f"pip install '{planned.distribution}=={planned.distribution_version}'",
        )
    try:
        component = load(entries[0])
    except PluginFault as fault:
        raise EnvironmentUnmet(f"the {planned.kind} `{planned.use}`: {fault.message}", hint=fault.help) from fault
    if component.version != planned.version:
        raise Drift(
            f"the {planned.kind} `{planned.use}` was planned with behaviour version {planned.version}, "
            f"installed is {component.version}",
            hint=f"pip install '{planned.distribution}=={planned.distribution_version}', or plan again",
        )
    slots: dict[str, Any] = {
        slot: tuple(rebuild_component(c, registry) for c in inner)
        if isinstance(inner, tuple)
        else rebuild_component(inner, registry)
        for slot, inner in planned.slots.items()
    }
    built = component.model_validate({**planned.settings, **slots})
    require_members(built, planned.use, planned.distribution)
    return built


def _named_files(plan: Plan) -> Iterator[tuple[str, str]]:
    """Each file or folder that a component outside the data sets names, and its SHA-256 in the plan."""
    for component in plan.components():
        for setting, hashes in component.files.items():
            yield from zip(paths_in(component.settings[setting]), hashes, strict=True)


def require_same_data(plan: Plan) -> None:
    """Raises Drift for a local data set whose rows have changed since the plan was computed, and for local files that
    evaluators read: rows of benchmarks, folders of tasks."""
    registry = registry_of(plan)
    for where, planned in (*_named_files(plan), *plan.code_files.items()):
        now = fingerprint(Path(where))
        # What is absent, here or where the plan was made, is a prerequisite.
        if now != planned and ABSENT not in (now, planned):
            raise Drift(
                f"{where} has changed since the plan was made: content {now[:12]}, planned {planned[:12]}",
                hint="restore the planned files, or plan again",
            )
    for name, data in plan.data.items():
        if data.fingerprint is None:
            continue
        component: Any = rebuild_component(data.component, registry)
        now = component.open(name).fingerprint
        if now != data.fingerprint:
            raise Drift(
                f"data set `{name}` has changed since the plan was made: content {now[:12]}, planned "
                f"{data.fingerprint[:12]}",
                hint="restore the planned rows, or plan again",
            )

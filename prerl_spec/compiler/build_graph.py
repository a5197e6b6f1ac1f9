"""From a plan to the graph that the engine opens: the plan alone decides, whether it was just made or read from plan.json."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.compiler.graph import Checkpointing, Distributed, Graph, Named, Phase, RunSettings
from prerl_spec.compiler.plan import ComponentPlan, PhasePlan, Plan
from prerl_spec.errors import Drift, EnvironmentUnmet
from prerl_spec.registry.component import Component
from prerl_spec.registry.entry_points import Entry, PluginFault, Registry, installed, load
from prerl_spec.registry.kind_protocols import BASES, missing_members
from prerl_spec.registry.kinds import Sampler
from prerl_spec.registry.local import local_entries


def build_graph(plan: Plan, spec_text: str) -> Graph:
    """The graph that a plan describes.

    Raises EnvironmentUnmet where a component is not installed here, Drift where it has another behaviour version.
    """
    registry = registry_of(plan)

    def named(component: ComponentPlan) -> Named[Any]:
        """By its kind's Protocol from here on. Raises EnvironmentUnmet for a component that lacks a member of it."""
        declared = rebuild_component(component, registry)
        if missing := missing_members(declared):
            base = BASES.get(declared.kind)
            raise EnvironmentUnmet(
                f"{Code.PLUGIN_DECLARATION}: the {declared.kind} `{component.use}` of {component.distribution} lacks "
                f"{', '.join(f'`{name}`' for name in missing)}",
                hint="update it" if base is None else f"update it: `{base}` of prerl_spec.sdk brings what most need",
            )
        return Named(component.use, declared)

    def optional(component: ComponentPlan | None) -> Named[Any] | None:
        return None if component is None else named(component)

    def phase(planned: PhasePlan) -> Phase:
        return Phase(
            id=planned.id,
            data=planned.data,
            prompts_per_step=planned.units_per_step if planned.uses_rollouts else None,
            documents_per_step=None if planned.uses_rollouts else planned.units_per_step,
            updates_per_batch=planned.updates_per_batch,
            tokens_per_pass=planned.tokens_per_pass,
            objective=named(planned.objective),
            schedule=named(planned.schedule),
            optimizer=named(planned.optimizer),
            sampler=optional(planned.sampler),
            verifier=optional(planned.verifier),
            rewards=tuple(map(named, planned.rewards)),
            filters=tuple(map(named, planned.filters)),
            probes=tuple(map(named, planned.probes)),
            carry_optimizer=True if planned.carry_optimizer is None else planned.carry_optimizer,
        )

    return Graph(
        run=RunSettings(plan.name, plan.seed, Path(plan.output_dir)),
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
    """What is installed, and the components of the plan's own Python files, which are run.

    Raises EnvironmentUnmet for a file that cannot be used, Drift for one that says something else than when the plan
    was made.
    """
    entries: list[Entry] = []
    for file, planned in plan.plugin_files.items():
        try:
            found = local_entries(Path(file))
        except PluginFault as fault:
            raise EnvironmentUnmet(f"{fault.code}: {fault.message}", hint=fault.help) from fault
        if found[0].distribution_version != planned:
            raise Drift(
                f"{file} is not what it was when the plan was made: content {found[0].distribution_version[:12]}, "
                f"planned {planned[:12]}",
                hint="bring the planned file back, or plan again",
            )
        entries += found
    return Registry([*installed().entries, *entries])


def require_local_code_allowed(plan: Plan, local_code: bool) -> None:
    """Raises EnvironmentUnmet where a written plan would run Python files and the command line did not allow it."""
    if plan.plugin_files and not local_code:
        names = ", ".join(f"`{Path(file).name}`" for file in plan.plugin_files)
        raise EnvironmentUnmet(
            f"{Code.PLUGIN_IMPORT_FAILED}: the plan runs Python code, {names}", hint="--local-code allows it"
        )


DEFAULT_SAMPLER = "transformers"
"""What evaluators draw with where the spec names no sampler at all."""


def default_sampler(plan: Plan, registry: Registry) -> Named[Sampler] | None:
    """`transformers` as it stands, where something is scored and nobody brings a sampler."""
    if not plan.evaluators or any(p.sampler is not None for p in plan.phases):
        return None
    component: Any = load(registry.providers("sampler", DEFAULT_SAMPLER)[0])()
    return Named(DEFAULT_SAMPLER, component)


def rebuild_component(planned: ComponentPlan, registry: Registry) -> Component:
    """The component of a plan, with the settings written there."""
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
            f"the {planned.kind} `{planned.use}` is planned in behaviour version {planned.version}, here is "
            f"{component.version}",
            hint=f"pip install '{planned.distribution}=={planned.distribution_version}', or plan again",
        )
    slots: dict[str, Any] = {
        slot: tuple(rebuild_component(c, registry) for c in inner)
        if isinstance(inner, tuple)
        else rebuild_component(inner, registry)
        for slot, inner in planned.slots.items()
    }
    return component.model_validate({**planned.settings, **slots})


def require_same_data(plan: Plan) -> None:
    """Raises Drift where a local data set says something else than when the plan was made."""
    registry = registry_of(plan)
    for name, data in plan.data.items():
        if data.fingerprint is None:
            continue
        component: Any = rebuild_component(data.component, registry)
        now = component.open(name).fingerprint
        if now != data.fingerprint:
            raise Drift(
                f"data set `{name}` is not what it was when the plan was made: content {now[:12]}, planned "
                f"{data.fingerprint[:12]}",
                hint="bring the planned rows back, or plan again",
            )

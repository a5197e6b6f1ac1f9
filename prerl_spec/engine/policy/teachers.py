"""The frozen models that objectives compare the policy with: loaded beside it, never trained, in no checkpoint."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from prerl_spec.compiler.graph import Phase
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.errors import Drift, EnvironmentUnmet
from prerl_spec.needs import Teacher
from prerl_spec.registry.kinds.model import LoadedModel, Model, ModelSite
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.registry.nested_components import nested_components, teachers_in
from prerl_spec.vocabularies import vocabulary_difference


@dataclass(frozen=True)
class Teachers:
    """Each teacher as a policy without trained parameters, which packs and lays out with the policy's own codec."""

    policies: Mapping[Teacher, Policy] = field(default_factory=dict)

    def of(self, teacher: Teacher) -> Policy:
        assert teacher in self.policies, f"{teacher} is in a slot of the objective that reads it, and was loaded"
        return self.policies[teacher]

    def max_length(self, of_policy: int) -> int:
        """Maximum length of context and response that the policy and every teacher can score, in tokens."""
        return min([of_policy, *(policy.max_length for policy in self.policies.values())])

    def shard(self, ranks: Ranks, fsdp: Mapping[str, Any]) -> None:
        """Shards the weights over all ranks, as those of the policy."""
        for policy in self.policies.values():
            policy.shard(ranks, fsdp)


NO_TEACHERS = Teachers()


def open_teachers(
    objectives: Iterable[Objective], policy: Policy, tokenizer_folder: Callable[[str], Path], *, seed: int
) -> Teachers:
    """Loads every teacher of these objectives, equal ones once, in the dtype that it declares.

    Raises EnvironmentUnmet for one that cannot be loaded or has another vocabulary than the policy, RunFailed for weights
    that are not finite.
    """
    declared = {teacher: model for objective in objectives for teacher, model in teachers_in(objective).items()}
    site = ModelSite(seed=seed, device=str(policy.device), tokenizer_folder=tokenizer_folder, trained=False)
    return Teachers({teacher: _opened(teacher, model, site, policy) for teacher, model in declared.items()})


def teacher_sources(phases: Iterable[Phase], teachers: Teachers) -> dict[str, Mapping[str, Any]]:
    """Path of each teacher ("distil.objective.teacher") -> where it was loaded from, for the manifest."""
    return {
        path: teachers.of(Teacher.of(model)).loaded.source
        for phase in phases
        for path, model in nested_components(phase.objective.component, f"{phase.id}.objective")
        if model.kind == "model"
    }


def refuse_other_teachers(sources: Mapping[str, Mapping[str, Any]], recorded: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises Drift if the hub's branch of a teacher has moved since the run began."""
    for path, now in sources.items():
        was, revision = recorded.get(path, now).get("revision"), now.get("revision")
        if was is not None and revision is not None and was != revision:
            raise Drift(
                f"the teacher {now['name']} at {path} is at commit {str(revision)[:12]}, this run began with {was[:12]}",
                hint=f'set its revision = "{was}", or start a new run',
            )


def _opened(teacher: Teacher, model: Model, site: ModelSite, policy: Policy) -> Policy:
    loaded = model.build(site)
    if (difference := vocabulary_difference(policy.codec, loaded.codec)) is not None:
        raise EnvironmentUnmet(
            f"the {teacher} has another vocabulary than the policy: {difference}",
            hint="use a teacher with the policy's tokenizer: it scores the policy's tokens by their ids",
        )
    opened = Policy(_frozen(replace(loaded, codec=policy.codec)), policy.device)
    opened.forwards = policy.forwards
    return opened


def _frozen(loaded: LoadedModel) -> LoadedModel:
    """Without trained parameters; matrices are kept in the dtype that forwards compute in, vectors (norms) in float32."""
    loaded.module.requires_grad_(False)
    for parameter in loaded.module.parameters():
        if parameter.ndim > 1 and parameter.dtype == torch.float32:
            parameter.data = parameter.data.to(loaded.compute_dtype)
    return replace(loaded, adapter=None)

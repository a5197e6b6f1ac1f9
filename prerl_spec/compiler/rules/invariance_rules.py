"""What `determinism = "invariant"` does not support yet: FSDP2, and samplers without batch-invariant sampling."""

from collections.abc import Iterator, Sequence

from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.phase_roles import PhaseRoles
from prerl_spec.compiler.rules.served import Served
from prerl_spec.registry.component import Prerequisite
from prerl_spec.registry.kinds.sampler import Sampler

INVARIANT_ATTEMPTS = "attempts[invariant]"
"""Port of a batch-invariant sampler: its samples are bit-identical for any composition of the batch."""


def invariance_parts(resolved: Resolved, phases: Sequence[PhaseRoles]) -> Iterator[tuple[str, Prerequisite]]:
    """Everything that makes the result depend on the number of processes, each as an unmet prerequisite."""
    asked = resolved.spec.distributed
    if asked.determinism != "invariant":
        return
    if asked.strategy == "fsdp2":
        # Reduce-scatter adds gradients up in an order that depends on the number of processes.
        part = Prerequisite("part", "invariant shards (fsdp2)", 'write strategy = "ddp", or determinism = "fast"')
        yield "distributed.strategy", part
    for sampler in _samplers(resolved, phases):
        if sampler.built is not None and INVARIANT_ATTEMPTS not in sampler.built.component.provides():
            hint = 'write sampler = "transformers", or determinism = "fast"'
            yield sampler.path, Prerequisite("part", f"invariant samples of `{sampler.built.use}`", hint)


def _samplers(resolved: Resolved, phases: Sequence[PhaseRoles]) -> list[Served[Sampler]]:
    """The samplers of phases with rollouts, and the top-level one if there are evaluators."""
    drawing = [roles.sampler for roles in phases if roles.uses_rollouts and roles.sampler is not None]
    if resolved.spec.evaluate and "sampler" in resolved.built:
        return [*drawing, Served("sampler", resolved.built["sampler"])]
    return drawing

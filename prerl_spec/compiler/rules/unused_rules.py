"""What a spec declares and nothing uses: W0701 for data sets and top-level components, W0702 for `reference` and `fsdp`.

Left out: variables, which are counted where references are followed (`language/interpolate.py`).
"""

from collections.abc import Iterator, Sequence
from typing import cast

from prerl_spec.codes import Code
from prerl_spec.compiler.objective_needs import reads_from
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.name_rules import named_data
from prerl_spec.compiler.rules.phase_roles import PhaseRoles, Served, nested
from prerl_spec.errors import Diagnostic, Span
from prerl_spec.language.document import join_path
from prerl_spec.registry.kinds import Objective


def unused(resolved: Resolved, phases: Sequence[PhaseRoles]) -> Iterator[Diagnostic]:
    """Everything that could be taken out of the spec without changing what it means."""
    unread = {"phases", "evaluate"} & resolved.poisoned or (resolved.is_written("phases") and not phases)
    if unread or any(own_roles.uses_rollouts is None for own_roles in phases):
        return  # what broken phases or objectives would have used is not known
    for name in unused_data(resolved, phases):
        yield _never_used(f"data set `{name}`", join_path("data", name), resolved.header_span(join_path("data", name)))
    for path in unused_components(resolved, phases):
        yield _never_used(f"`{path}`", path, resolved.header_span(path))
    yield from _reference(resolved, phases)
    yield from _sharding(resolved)


def unused_data(resolved: Resolved, phases: Sequence[PhaseRoles]) -> list[str]:
    """Data sets that no phase trains on and no component names; none where a name is wrong: it may mean any of them."""
    used = {name for own_roles in phases for name in own_roles.data if resolved.is_written(f"{own_roles.path}.data")}
    for built in resolved.built.values():
        used.update(name for _, name in named_data(built))
    if not used <= resolved.spec.data.keys():
        return []
    if any(not resolved.is_written(f"{own_roles.path}.data") for own_roles in phases):
        used.add("train")
    return [name for name in resolved.spec.data if name not in used]


def unused_components(resolved: Resolved, phases: Sequence[PhaseRoles]) -> list[str]:
    """Top-level components that no phase and no evaluator uses. Evaluators draw and judge with the top-level ones."""
    spec = resolved.spec
    serving = {s.path.partition("[")[0] for own_roles in phases for s in _at_work(resolved, own_roles)}
    if spec.evaluate:
        serving |= {"sampler", "verifier"}
    roles = ("sampler", "verifier", "rewards", "filters", "optimizer", "probes")
    return [role for role in roles if getattr(spec, role) and role not in serving]


def _at_work(resolved: Resolved, own_roles: PhaseRoles) -> Iterator[Served]:
    """Those who serve a phase and have something to do there: nobody draws, judges or filters documents."""
    for served in own_roles.serving:
        kind = None if served.built is None else served.built.kind
        if not own_roles.uses_rollouts and kind in ("sampler", "verifier", "reward", "filter"):
            continue
        if kind == "verifier" and all(_brings_verifier(resolved, name) for name in own_roles.data):
            continue
        yield served


def _brings_verifier(resolved: Resolved, data: str) -> bool:
    built = resolved.built.get(join_path("data", data))
    return built is not None and built.slots.get("verifier") is not None


def _reference(resolved: Resolved, phases: Sequence[PhaseRoles]) -> Iterator[Diagnostic]:
    """`reference = "initial"` where no term asks for one."""
    objectives = [built.component for own_roles in phases for _, built in nested(own_roles.objective)]
    wanted = any(reads_from(cast(Objective, o), "reference") for o in objectives)
    if resolved.spec.reference == "initial" and not wanted:
        yield Diagnostic(
            Code.NO_EFFECT,
            "`reference` has no effect: no objective compares with one",
            resolved.value_span("reference"),
            path="reference",
        )


def _sharding(resolved: Resolved) -> Iterator[Diagnostic]:
    """Settings of FSDP2 where it does not run."""
    asked = resolved.spec.distributed
    if asked.fsdp and asked.strategy == "ddp":
        yield Diagnostic(
            Code.NO_EFFECT,
            '`fsdp` has no effect with strategy = "ddp"',
            resolved.value_span("distributed.fsdp"),
            path="distributed.fsdp",
            help='write strategy = "fsdp2", or take it out',
        )


def _never_used(what: str, path: str, span: Span | None) -> Diagnostic:
    return Diagnostic(Code.UNUSED, f"{what} is declared but never used", span, path=path, help="take it out")

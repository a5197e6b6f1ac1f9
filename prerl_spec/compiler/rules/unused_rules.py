"""Reports unused declarations: W0701 for data sets and top-level components, W0702 for `reference` and `fsdp`.

Unused variables are reported by `language/interpolate.py`, which resolves the references to them.
"""

from collections.abc import Iterator, Sequence

from prerl_spec.codes import Code
from prerl_spec.compiler.objective_needs import reads_from
from prerl_spec.compiler.resolve.component_names import OF_A_PHASE, own_replaces_whole
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.name_rules import named_data
from prerl_spec.compiler.rules.phase_roles import PhaseRoles
from prerl_spec.compiler.rules.served import Served
from prerl_spec.errors import Diagnostic, Span
from prerl_spec.language.document import join_path


def unused(resolved: Resolved, phases: Sequence[PhaseRoles]) -> Iterator[Diagnostic]:
    """A warning for everything that could be removed from the spec without changing its meaning."""
    unread = {"phases", "evaluate"} & resolved.poisoned or (resolved.is_written("phases") and not phases)
    if unread or any(own_roles.uses_rollouts is None for own_roles in phases):
        return  # what invalid phases or objectives use is unknown
    for name in unused_data(resolved, phases):
        yield _never_used(f"data set `{name}`", join_path("data", name), resolved.header_span(join_path("data", name)))
    for path in unused_components(resolved, phases):
        own = any(OF_A_PHASE.fullmatch(p) and p.endswith(f".{path}") for p in resolved.poisoned)
        help = own_replaces_whole(path) if own else "remove it"
        yield _never_used(f"`{path}`", path, resolved.header_span(path), help)
    yield from _reference(resolved, phases)
    yield from _sharding(resolved)


def unused_data(resolved: Resolved, phases: Sequence[PhaseRoles]) -> list[str]:
    """Data sets that no phase trains on and no component names; empty if a written name is unknown."""
    used = {name for own_roles in phases for name in own_roles.data if resolved.is_written(f"{own_roles.path}.data")}
    for built in resolved.built.values():
        used.update(name for _, name in named_data(built))
    if not used <= resolved.spec.data.keys():
        return []
    if any(not resolved.is_written(f"{own_roles.path}.data") for own_roles in phases):
        used.add("train")
    return [name for name in resolved.spec.data if name not in used]


def unused_components(resolved: Resolved, phases: Sequence[PhaseRoles]) -> list[str]:
    """Top-level components that no phase and no evaluator uses. Evaluators use the top-level sampler and verifier."""
    spec = resolved.spec
    serving = {s.path.partition("[")[0] for own_roles in phases for s in _at_work(resolved, own_roles)}
    if spec.evaluate:
        serving |= {"sampler", "verifier"}
    roles = ("sampler", "verifier", "rewards", "filters", "optimizer", "probes")
    return [role for role in roles if getattr(spec, role) and role not in serving]


def _at_work(resolved: Resolved, own_roles: PhaseRoles) -> Iterator[Served[object]]:
    """The components that a phase actually uses: documents need no sampler, verifier, reward or filter."""
    for served in own_roles.serving:
        kind = None if served.built is None else served.built.kind
        if not own_roles.uses_rollouts and kind in ("sampler", "verifier", "reward", "filter"):
            continue
        if kind == "verifier" and all(_has_verifier(resolved, name) for name in own_roles.data):
            continue
        yield served


def _has_verifier(resolved: Resolved, data: str) -> bool:
    built = resolved.built.get(join_path("data", data))
    return built is not None and built.slots.get("verifier") is not None


def _reference(resolved: Resolved, phases: Sequence[PhaseRoles]) -> Iterator[Diagnostic]:
    """`reference = "initial"` in a spec whose objectives use no reference model."""
    objectives = [own_roles.objective.component for own_roles in phases]
    wanted = any(o is not None and reads_from(o, "reference") for o in objectives)
    if resolved.spec.reference == "initial" and not wanted:
        yield Diagnostic(
            Code.NO_EFFECT,
            "`reference` has no effect: no objective uses a reference model",
            resolved.value_span("reference"),
            path="reference",
        )


def _sharding(resolved: Resolved) -> Iterator[Diagnostic]:
    """FSDP2 settings in a spec that does not use FSDP2."""
    asked = resolved.spec.distributed
    if asked.fsdp and asked.strategy == "ddp":
        yield Diagnostic(
            Code.NO_EFFECT,
            '`fsdp` has no effect with strategy = "ddp"',
            resolved.value_span("distributed.fsdp"),
            path="distributed.fsdp",
            help='write strategy = "fsdp2", or remove `fsdp`',
        )


def _never_used(what: str, path: str, span: Span | None, help: str = "remove it") -> Diagnostic:
    return Diagnostic(Code.UNUSED, f"{what} is declared but never used", span, path=path, help=help)

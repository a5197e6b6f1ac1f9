"""Matches consumed ports with providers: E0601 if there is none, E0603 if there are several.

A port is `name` or `name[detail]`. A provided `x[binary]` satisfies a required `x[scalar]` (0 and 1 are numbers), not
vice versa; a required bare `x` accepts any detail.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

from prerl_spec.codes import Code
from prerl_spec.compiler.resolve.resolved import Built, Resolved
from prerl_spec.compiler.rules.name_rules import named_data
from prerl_spec.compiler.rules.phase_roles import PhaseRoles
from prerl_spec.compiler.rules.rule_diagnostic import use_place
from prerl_spec.compiler.rules.served import Served, nested
from prerl_spec.errors import Diagnostic, Label
from prerl_spec.language.document import join_path
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.registry.kinds.sampler import Sampler
from prerl_spec.registry.reward_base import part_name
from prerl_spec.types import VERDICT_PART

ENGINE_PORTS = frozenset({"checkpoint"})
"""Ports that the engine provides in every run."""
SAMPLER_PORTS = frozenset({"attempts", "logprobs[sampling]"})
"""Ports of the default sampler of evaluators, in a spec without a sampler."""
PART = "reward_part"
"""`reward_part[NAME]` is the port of what one term, or the verifier's score, contributes to the reward."""
NARROWER = {"scalar": ("binary",)}


@dataclass(frozen=True)
class Supply:
    """A provider and its ports: `Supply("sampler", "vllm", frozenset({"logprobs[sampling]"}))`."""

    path: str
    name: str
    ports: frozenset[str]


def fits(provided: str, required: str) -> bool:
    """Whether a provided port satisfies a required one."""
    name, _, detail = required.partition("[")
    offered_name, _, offered = provided.partition("[")
    if name != offered_name:
        return False
    detail, offered = detail.rstrip("]"), offered.rstrip("]")
    return not detail or detail == offered or offered in NARROWER.get(detail, ())


def missing_roles(resolved: Resolved, roles: PhaseRoles) -> Iterator[Diagnostic]:
    """E0601 at the objective for a sampler, verifier, optimizer or (unwritten) data set that the phase lacks."""
    for role, table in _unfilled(resolved, roles).items():
        keys = {"data", "data.train"} if role == "data set" else {role, f"{roles.path}.{role}"}
        if keys & resolved.poisoned:
            continue  # it is written but invalid, which has its own diagnostic
        article = "an" if role[0] in "aeiou" else "a"
        place = use_place(resolved, roles.objective.path)
        yield Diagnostic(
            Code.UNMET_REQUIREMENT,
            f"{roles.title} needs {article} {role}, and the spec has none",
            resolved.value_span(place),
            path=place,
            help=f"add {table}",
        )


def _unfilled(resolved: Resolved, roles: PhaseRoles) -> dict[str, str]:
    """Required roles without a component, each with the table that would configure it."""
    unfilled: dict[str, str] = {}
    if roles.uses_rollouts and roles.sampler is None:
        unfilled["sampler"] = "`[sampler]`"
    if roles.uses_rollouts and roles.verifier is None and not _data_have_verifiers(resolved, roles):
        unfilled["verifier"] = "`[verifier]`"
    if roles.optimizer is None and roles.objective.built is not None:
        unfilled["optimizer"] = "`[optimizer]`"
    if "train" not in resolved.spec.data and not resolved.is_written(f"{roles.path}.data"):
        unfilled["data set"] = "`[data.train]`, or name the phase's `data`"
    return unfilled


def unmatched_ports(resolved: Resolved, roles: PhaseRoles) -> Iterator[Diagnostic]:
    """E0601 and E0603 for every port that a component of the phase consumes."""
    if any(s.built is None for s in roles.serving) or _unfilled(resolved, roles):
        return  # the invalid or missing component may be the provider
    supplies = phase_supplies(resolved, roles)
    for served in roles.serving:
        if _serves_others(roles, served):
            continue
        for path, built in nested(served):
            yield from match(resolved, path, built, supplies)


def _serves_others(roles: PhaseRoles, served: Served[object]) -> bool:
    """Whether a top-level component is not used by this phase: documents are not verified, rewarded or filtered."""
    is_own = served.path.startswith(f"{roles.path}.")
    kind = None if served.built is None else served.built.kind
    return not roles.uses_rollouts and not is_own and kind in ("verifier", "reward", "filter")


def own_ports(built: Built) -> list[str]:
    """The ports that a component consumes itself, without those of the components in its slots."""
    inner = [b for slot in built.slots.values() for b in (slot if isinstance(slot, tuple) else (slot,))]
    return sorted(built.component.consumes().difference(*(b.component.consumes() for b in inner)))


def outside_ports(resolved: Resolved, served: Served[object], phases: Sequence[PhaseRoles]) -> Iterator[Diagnostic]:
    """The same for a component outside phases, which sees the model, the data sets, a sampler and a verifier.

    Its verifier is its own, else that of the data set it names, else that of the run.
    """
    if served.built is None or not served.built.component.consumes():
        return
    sampler, verifier = top_or_first(resolved, phases, "sampler"), top_or_first(resolved, phases, "verifier")
    if is_broken(sampler) or is_broken(verifier) or {"model", "sampler", "verifier"} & resolved.poisoned:
        return
    named = [resolved.built.get(join_path("data", name)) for _, name in named_data(served.built)]
    if None in named:
        return
    own = [b for d in (served.built, *named) if d is not None and isinstance(b := d.slots.get("verifier"), Built)]
    supplies = [_supply("model", resolved.built["model"])]
    supplies.append(Supply("sampler", "transformers", SAMPLER_PORTS) if sampler is None else _served_supply(sampler))
    if own:
        supplies.append(_supply(f"{served.path}.verifier", own[0]))
    elif verifier is not None:
        supplies.append(_served_supply(verifier))
    yield from match(resolved, served.path, served.built, supplies)


@overload
def top_or_first(
    resolved: Resolved, phases: Sequence[PhaseRoles], role: Literal["sampler"]
) -> Served[Sampler] | None: ...
@overload
def top_or_first(
    resolved: Resolved, phases: Sequence[PhaseRoles], role: Literal["verifier"]
) -> Served[Verifier] | None: ...
def top_or_first(
    resolved: Resolved, phases: Sequence[PhaseRoles], role: Literal["sampler", "verifier"]
) -> Served[Any] | None:
    """The component that evaluators use before a phase has ended: the top-level one, else the first of any phase."""
    if getattr(resolved.spec, role) is not None:
        return Served(role, resolved.built.get(role))
    return next((s for roles in phases if (s := getattr(roles, role)) is not None), None)


def _served_supply(served: Served[object]) -> Supply:
    assert served.built is not None
    return _supply(served.path, served.built)


def match(resolved: Resolved, path: str, built: Built, supplies: Iterable[Supply]) -> Iterator[Diagnostic]:
    """E0601 or E0603 for each port of one component that does not have exactly one provider."""
    others = [s for s in supplies if s.path != path]
    for port in own_ports(built):
        providers = [s for s in others if any(fits(p, port) for p in s.ports)]
        if len(providers) == 1 or port in ENGINE_PORTS:
            continue
        place = use_place(resolved, path)
        span = resolved.value_span(place)
        if not providers:
            near = [f"`{s.name}` provides `{p}`" for s in others for p in s.ports if _same_name(p, port)]
            yield Diagnostic(
                Code.UNMET_REQUIREMENT,
                f"`{built.use}` requires `{port}`, which nothing here provides",
                span,
                path=place,
                notes=tuple(near),
            )
            continue
        labels = [
            Label(found, f"`{s.name}` provides `{port}`")
            for s in providers
            if (found := resolved.value_span(use_place(resolved, s.path))) is not None
        ]
        names = " and ".join(f"`{s.name}`" for s in providers)
        yield Diagnostic(
            Code.AMBIGUOUS_PROVIDER,
            f"`{built.use}` requires `{port}`, and {names} provide it",
            span,
            path=place,
            labels=tuple(labels),
            help="remove one of them",
        )


def phase_supplies(resolved: Resolved, roles: PhaseRoles) -> list[Supply]:
    """The providers of a phase. With `rewards` the reward is a sum, hence a scalar for any verifier."""
    supplies = [_supply("model", resolved.built["model"])] if "model" in resolved.built else []
    for served in roles.serving:
        if served.built is None or served.built.kind in ("verifier", "reward"):
            continue
        supplies += [_supply(path, built) for path, built in nested(served)]
    for name in roles.data:
        if (data := resolved.built.get(join_path("data", name))) is not None:
            supplies.append(_supply(join_path("data", name), data))
    return supplies + _verdict_supplies(resolved, roles)


def _verdict_supplies(resolved: Resolved, roles: PhaseRoles) -> list[Supply]:
    """The ports common to the verifiers of all data sets (one per prompt); reward terms add to its score."""
    verifiers = list(_verifiers(resolved, roles).items())
    if not verifiers:
        return []
    provided = [b.component.provides() for _, b in verifiers]
    # By fit, not by name: where one verifier is binary and another is graded, both provide a scalar.
    common = frozenset(
        port for ports in provided for port in ports if all(any(fits(p, port) for p in other) for other in provided)
    )
    terms = [(r.path, r.built) for r in roles.rewards if r.built is not None]
    if terms:
        common = frozenset("reward[scalar]" if _same_name(p, "reward") else p for p in common)
    name = ", ".join(dict.fromkeys(b.use for _, b in verifiers))
    score = frozenset({f"{PART}[{VERDICT_PART}]"})
    return [Supply(verifiers[0][0], name, common | score), *(_term_supply(path, term) for path, term in terms)]


def _term_supply(path: str, term: Built) -> Supply:
    """A reward adds to the one reward of the phase, and provides its part of it."""
    others = [p for p in term.component.provides() if not _same_name(p, "reward") and not _same_name(p, PART)]
    return Supply(path, term.use, frozenset({*others, f"{PART}[{part_name(term.use, term.component)}]"}))


def _verifiers(resolved: Resolved, roles: PhaseRoles) -> dict[str, Built]:
    found: dict[str, Built] = {}
    for name in roles.data:
        data = resolved.built.get(join_path("data", name))
        own = data.slots.get("verifier") if data is not None else None
        if isinstance(own, Built):
            found[join_path(join_path("data", name), "verifier")] = own
        elif roles.verifier is not None and roles.verifier.built is not None:
            found[roles.verifier.path] = roles.verifier.built
    return found


def _data_have_verifiers(resolved: Resolved, roles: PhaseRoles) -> bool:
    """Whether each of the phase's data sets has its own verifier, or is invalid or missing (reported elsewhere)."""
    built = [resolved.built.get(join_path("data", name)) for name in roles.data]
    return all(b is None or b.slots.get("verifier") is not None for b in built)


def _supply(path: str, built: Built) -> Supply:
    return Supply(path, built.use, built.component.provides())


def _same_name(port: str, other: str) -> bool:
    return port.partition("[")[0] == other.partition("[")[0]


def is_broken(served: Served[object] | None) -> bool:
    """Whether the spec configures a component here that could not be built."""
    return served is not None and served.built is None

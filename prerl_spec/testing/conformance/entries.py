"""Checks a distribution's entry points: existing groups, namespaced names, and no other provider of a name."""

import re
from importlib import metadata

from prerl_spec.codes import Code
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.registry.entry_points import KINDS, OWN_DISTRIBUTION, Entry, installed, namespaced, normalized
from prerl_spec.testing.conformance.findings import Finding

NAMESPACED = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


def entries_of(distribution: str) -> tuple[list[Entry], list[Finding]]:
    """Its components, and the findings about its entry points.

    Raises EnvironmentUnmet if it is not installed or has no component.
    """
    try:
        found = metadata.distribution(distribution)
    except metadata.PackageNotFoundError as error:
        hint = "pip install it (or `pip install -e .` in its folder) where prerl-spec is installed"
        raise EnvironmentUnmet(f"no distribution `{distribution}` is installed", hint=hint) from error
    points = [p for p in found.entry_points if p.group.startswith("prerl_spec.")]
    if not points:
        hint = 'list components under [project.entry-points."prerl_spec.KIND"] and reinstall it'
        raise EnvironmentUnmet(f"`{distribution}` has no entry point for prerl-spec", hint=hint)
    is_own = normalized(distribution) == OWN_DISTRIBUTION
    name, version = found.metadata["Name"], str(found.version)
    findings: list[Finding] = []
    entries: list[Entry] = []
    for point in points:
        kind = next((k for k in KINDS if point.group == f"prerl_spec.{k}"), None)
        who = f"{kind or point.group} {point.name}"
        if kind is None:
            detail = f"there is no group {point.group}; the kinds are {', '.join(KINDS)}"
        elif not is_own and not NAMESPACED.fullmatch(point.name):
            detail = (
                f'"{point.name}" has no namespace: bare names are reserved for built-ins, write '
                f'"{namespaced(name, point.name)}"'
            )
        elif others := [
            e for e in installed().providers(kind, point.name) if normalized(e.distribution) != normalized(name)
        ]:
            detail = (
                f"{others[0].distribution} provides the same name: a spec that uses it is {Code.AMBIGUOUS_COMPONENT}"
            )
        else:
            entries.append(Entry(kind, point.name, point.value, name, version))
            findings.append(Finding(who, "entry point", "held", point.value))
            continue
        findings.append(Finding(who, "entry point", "broken", detail))
    return entries, findings

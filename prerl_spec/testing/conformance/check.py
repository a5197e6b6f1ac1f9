"""All checks of a distribution, component by component; any exception of a plugin's code becomes a finding."""

from collections.abc import Iterator
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.compiler.render.human_units import plural
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.registry.component import Component, Prerequisite, Wiring
from prerl_spec.registry.entry_points import Entry, PluginFault, load
from prerl_spec.registry.kind_protocols import BASES, members
from prerl_spec.testing.conformance.author_place import place_of
from prerl_spec.testing.conformance.branches import Tried, every_branch, wrongly_accepted
from prerl_spec.testing.conformance.entries import entries_of
from prerl_spec.testing.conformance.findings import Finding
from prerl_spec.testing.conformance.light_import import check_light_import
from prerl_spec.testing.conformance.of_kind import OF_THEIR_OWN, NotTried, check_laws
from prerl_spec.testing.conformance.protocols import faults
from prerl_spec.testing.laws.broken import LawsBroken, kind_of_fault


def check_distribution(distribution: str) -> Iterator[Finding]:
    """Yields findings as they arise. Raises EnvironmentUnmet if the distribution is not installed or has no components."""
    entries, findings = entries_of(distribution)
    yield from (f for f in findings if f.state == "broken")
    held = [f for f in findings if f.state == "held"]
    for entry, listed, light in zip(entries, held, check_light_import(entries), strict=True):
        yield from (listed, light)
        yield from check_entry(entry)


def check_entry(entry: Entry, chosen: Tried | None = None) -> Iterator[Finding]:
    """Settings, protocol and laws of one component, in every branch of its settings and with those that were chosen."""
    who = f"{entry.kind} {entry.name}"
    try:
        cls = load(entry)
    except PluginFault as fault:
        yield Finding(who, "declaration", "broken", f"{fault.message}; {fault.help}")
        return
    tried: list[Tried] = []
    try:
        for one in every_branch(cls, chosen):
            _declares(one)
            tried.append(one)
        accepted = wrongly_accepted(cls)
        assert not accepted, f"not strict: {'; '.join(accepted)}"
    except Exception as error:  # a plugin's validators may raise anything, and all of it is a finding
        yield Finding(who, "settings", "broken", _cause(error))
    else:
        yield Finding(
            who,
            "settings",
            "held",
            f"{plural(len(cls.model_fields), 'strict setting')}, {plural(len(tried), 'component')} tried",
        )
    if tried:
        yield _protocol(who, tried[0].component)
        yield from _laws(who, tried)


def _declares(tried: Tried) -> None:
    """The settings rebuild the component, and its declarations can be read."""
    component = tried.component
    cls = type(component)
    has_slots = any(isinstance(getattr(component, name), Component | tuple) for name in cls.model_fields)
    if not has_slots:
        again = cls.model_validate(component.settings())
        assert again == component, f"{_named(tried)}: settings() does not rebuild the component"
    assert all(isinstance(r, Prerequisite) for r in component.prerequisites()), (
        "prerequisites() are Prerequisite values"
    )
    written = frozenset() if tried.key is None else frozenset({tried.key})
    for wiring in (Wiring(written=written), Wiring(written=written, updates_per_batch=2, is_last_phase=True)):
        list(component.check(wiring))


def _protocol(who: str, component: Component) -> Finding:
    found = faults(component)
    if found:
        base = BASES.get(component.kind)
        lacks = base is not None and any(fault.endswith("is missing") for fault in found)
        hint = f"`{base}` of prerl_spec.sdk provides the common members" if lacks else None
        detail = "; ".join(found)
        place = place_of(component, AssertionError(detail))
        return Finding(who, "protocol", "broken", detail, place, hint or _page_of(component))
    return Finding(who, "protocol", "held", f"{len(members(component.kind))} members of the kind")


def _laws(who: str, tried: list[Tried]) -> Iterator[Finding]:
    """One finding for each broken law, or one for everything that holds, and one for each reason why something was not
    tried. A law that several components break is told once, of the first."""
    held, chosen = 0, ""
    left_out: dict[str, list[str]] = {}
    broken: dict[tuple[str, str], tuple[Component, Exception, list[str]]] = {}
    for one in tried:
        if _contradicts_itself(one.component):
            continue
        try:
            check_laws(one.component, is_default=one.is_default)
        except (NotTried, EnvironmentUnmet) as reason:
            left_out.setdefault(str(reason), []).append(_named(one))
            if one.is_default:
                break  # what it lacks by default, it lacks with any setting
        except Exception as error:  # broken laws, or a plugin's code that fails during the test
            for law in error.broken if isinstance(error, LawsBroken) else (error,):
                broken.setdefault(kind_of_fault(law), (one.component, law, []))[2].append(_named(one))
            if one.component.kind not in OF_THEIR_OWN:
                break  # what hangs or starts processes is not tried again with each setting
        else:
            held += 1
            chosen = f", and {one.words}" if one.words else chosen
    for component, law, names in sorted(broken.values(), key=lambda found: getattr(found[1], "about", None) == "page"):
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        yield _broken(who, "laws", f"{names[0]}{more}: {_cause(law)}", component, law)
    if held and not broken:
        yield Finding(
            who, "laws", "held", f"by {plural(held, 'component')}, covering each branch of each setting{chosen}"
        )
    for why, names in left_out.items():
        yield Finding(who, "laws", "not tried", f"{', '.join(names)}: {why}")


def _broken(who: str, check: str, detail: str, component: Component, error: BaseException) -> Finding:
    """A broken law with the author's place, and what would be right: the law's own words, else where it is described."""
    return Finding(
        who, check, "broken", detail, place_of(component, error), getattr(error, "help", None) or _page_of(component)
    )


def _page_of(component: Component) -> str:
    kind = "an" if component.kind[0] in "aeiou" else "a"
    return f"docs/components.md says what {kind} {component.kind} must return"


def _contradicts_itself(component: Component) -> bool:
    """Whether its own rules reject these settings in any phase: a spec with them never runs."""
    conflicts = component.check(Wiring(written=frozenset()))
    return any(c.code == Code.CONTRADICTION and all(p.owner == "self" for p in c.places) for c in conflicts)


def _named(tried: Tried) -> str:
    if tried.key is None:
        return tried.words or "default settings"
    return f"{tried.key} = {tried.value!r}"


def _cause(error: Any) -> str:
    text = str(error).strip()
    return text if isinstance(error, AssertionError) and text else f"{type(error).__name__}: {text}"

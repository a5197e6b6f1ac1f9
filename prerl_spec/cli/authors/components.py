"""`components list` lists installed components from metadata alone; `components show NAME` describes all of a name in full."""

import argparse
from typing import TYPE_CHECKING

from prerl_spec.cli.authors.component_list import in_order, listing, row
from prerl_spec.cli.shared.output_format import add_format, print_json
from prerl_spec.registry.kind_names import KINDS

if TYPE_CHECKING:
    from prerl_spec.registry.entry_points import Entry, Registry


def add(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|show")
    listing = actions.add_parser(
        "list",
        help="list every component by kind and family, the zoo and plugins after the built-ins, without importing any",
    )
    listing.add_argument("--kind", choices=KINDS, metavar="KIND", help=f"one of: {', '.join(KINDS)}")
    add_format(listing, as_json=True)
    showing = actions.add_parser(
        "show", help="describe every component of one name: formula, source, cost, settings, ports, prerequisites"
    )
    showing.add_argument(
        "name", metavar="NAME", help="name of an installed component; for one in a file: `try FILE.py --laws`"
    )
    showing.add_argument(
        "--kind", choices=KINDS, metavar="KIND", help="one kind only, when several components share the name"
    )
    add_format(showing)


def run(arguments: argparse.Namespace) -> int:
    from prerl_spec.registry.entry_points import installed

    registry = installed()
    if arguments.action == "list":
        _list(registry, arguments.kind, as_json=arguments.format == "json")
    else:
        _show(registry, arguments.name, arguments.kind, as_json=arguments.format == "json")
    return 0


def _list(registry: "Registry", only: str | None, *, as_json: bool) -> None:
    entries = [e for e in registry.entries if not e.is_foreign_bare and only in (None, e.kind)]
    if as_json:
        print_json([row(entry) for entry in in_order(entries)])
        return
    for line in listing(entries):
        print(line)


def _show(registry: "Registry", name: str, kind: str | None, *, as_json: bool) -> None:
    from prerl_spec.cli.authors.component_page import component_page, component_record
    from prerl_spec.errors import EnvironmentUnmet
    from prerl_spec.registry.entry_points import PluginFault, load

    records = []
    for number, entry in enumerate(_found(registry, name, kind)):
        try:
            component = load(entry)
        except PluginFault as fault:
            raise EnvironmentUnmet(fault.message, hint=fault.help) from fault
        if as_json:
            records.append({**row(entry), **component_record(component)})
            continue
        by = f"{entry.distribution} {entry.distribution_version}, version {component.version}"
        print(f"{chr(10) if number else ''}{entry.name}: {entry.kind} of {by}")
        for line in component_page(component):
            print(line)
    if as_json:
        print_json(records)


def _found(registry: "Registry", name: str, kind: str | None) -> "list[Entry]":
    """Every component of this name, in the order of the kinds: a name may serve in several. Raises UsageError for none."""
    from prerl_spec.errors import UsageError
    from prerl_spec.language.suggest import nearest, one_of
    from prerl_spec.registry.local import NAMESPACE

    found = [e for e in registry.entries if e.name == name and not e.is_foreign_bare and kind in (None, e.kind)]
    if found:
        return sorted(found, key=lambda e: (KINDS.index(e.kind), not e.is_own))
    if name.endswith(".py") or name.startswith(f"{NAMESPACE}."):
        raise UsageError(
            f"`{name}` is no installed component", hint="a component of a file: `prerl-spec try FILE.py --laws`"
        )
    near = nearest(name, (e.name for e in registry.entries if not e.is_foreign_bare and kind in (None, e.kind)))
    raise UsageError(
        f"no {kind or 'component'} named `{name}` is installed",
        hint=f"did you mean {one_of(near)}?"
        if near
        else "`prerl-spec components list` shows every installed component",
    )

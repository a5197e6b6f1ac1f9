"""`plugin new NAME` scaffolds a distribution; `plugin check DIST` checks an installed one against the laws of its kinds."""

import argparse
import shlex
import tomllib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from prerl_spec.cli.authors.new_plugin import STARTS, write_plugin
from prerl_spec.cli.authors.plugin_from_file import write_plugin_from
from prerl_spec.cli.shared.option_values import file_path
from prerl_spec.errors import EnvironmentUnmet, UsageError


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to `parser`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="new|check")
    new = actions.add_parser("new", help="create a distribution with one component, its tests and a spec")
    new.add_argument("name", metavar="NAME", help="name of the distribution, such as prerl-acme")
    start = new.add_mutually_exclusive_group()
    start.add_argument(
        "--kind", choices=STARTS, default="objective", metavar="KIND", help=f"one of: {', '.join(STARTS)}"
    )
    start.add_argument(
        "--from",
        dest="source",
        type=file_path,
        metavar="FILE.py",
        help="a Python file whose components the distribution takes; it is executed",
    )
    new.add_argument(
        "--in",
        dest="folder",
        type=file_path,
        default=Path(),
        metavar="DIR",
        help="parent folder; default: the current one",
    )
    check = actions.add_parser(
        "check", help="check an installed distribution against the laws of its components' kinds"
    )
    check.add_argument("distribution", metavar="DIST", help="name of the distribution, or its folder")


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0 if every check holds, 3 if any is broken."""
    if arguments.action == "new":
        return _new(arguments.name, arguments.folder, arguments.kind, arguments.source)
    return _check(distribution_of(arguments.distribution))


def _new(name: str, parent: Path, kind: str, source: Path | None) -> int:
    written = write_plugin(name, parent, kind) if source is None else write_plugin_from(name, parent, source)
    for file in written.files:
        print(file)
    print("\n".join(["", written.says, *(f"note: {note}" for note in written.notes)]))
    print(
        "Next steps:\n"
        f"  cd {shlex.quote(str(written.folder))}\n"
        "  pip install -e '.[test]'\n"
        "  python -m pytest -q\n"
        f"  prerl-spec plugin check {name}\n"
        f"  prerl-spec run specs/{name}.toml"
    )
    return 0


def distribution_of(named: str) -> str:
    """The name of a distribution that is given by name or by its folder.

    Raises UsageError for a folder that is none, EnvironmentUnmet, with the command that installs it, for one that is not
    installed.
    """
    folder = file_path(named)
    file = folder / "pyproject.toml"
    if not file.is_file():
        if folder.is_dir() or "/" in named:
            raise UsageError(f"{named} has no pyproject.toml", hint="name an installed distribution, or its folder")
        return named
    try:
        name = tomllib.loads(file.read_text(encoding="utf-8"))["project"]["name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} names no project", hint='it begins with [project] and name = "prerl-acme"') from error
    if not isinstance(name, str) or not any(metadata.distributions(name=name)):
        place = shlex.quote(str(folder if folder.is_absolute() else Path(".", folder)))
        where = place if place.startswith(("/", ".")) else f"./{place}"
        raise EnvironmentUnmet(
            f"`{name}`, the distribution in {named}, is not installed: only then has it entry points",
            hint=f"`pip install -e {where}`, then the same command again",
        )
    return name


def _check(distribution: str) -> int:
    from prerl_spec.compiler.estimates.prerequisites import require_train

    require_train("`prerl-spec plugin check`")
    from prerl_spec.testing.conformance.check import check_distribution

    component, states = "", list[str]()
    for finding in check_distribution(distribution):
        if finding.component != component:
            component = finding.component
            print(component)
        print("\n".join(finding.lines(12)), flush=True)
        states.append(finding.state)
    print(_summary(distribution, states))
    return 3 if "broken" in states else 0


def _summary(distribution: str, states: Sequence[str]) -> str:
    counts = [f"{states.count(state)} {state}" for state in ("held", "broken", "not tried") if state in states]
    return f"{distribution}: {', '.join(counts)}"

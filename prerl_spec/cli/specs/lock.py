"""`lock SPEC` records the meaning of a spec in SPEC.lock; `--check` reports what has drifted since."""

import argparse
import sys
from typing import TYPE_CHECKING

from prerl_spec.cli.shared.option_values import file_path
from prerl_spec.cli.shared.output_format import add_format, print_json
from prerl_spec.cli.shared.overrides import add_overrides, overrides

if TYPE_CHECKING:
    from prerl_spec.compiler.compare.lock import Lock


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "spec",
        metavar="SPEC",
        type=file_path,
        help="spec file; the lock is written to SPEC.lock, which should be committed",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with code 4 if the spec has drifted from its lock"
    )
    add_format(parser)
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """Queries the hub for commits, except with --check. Raises SpecInvalid with one E0501 per drifted field."""
    from prerl_spec.cli.shared.diagnostics import print_results, print_text
    from prerl_spec.cli.shared.locked import report_drift, require_same
    from prerl_spec.compiler.compare.lock import lock_file, make_lock, read_lock, write_lock
    from prerl_spec.compiler.compile import check_spec
    from prerl_spec.compiler.planning.planner import make_plan
    from prerl_spec.errors import UsageError

    file = lock_file(arguments.spec)
    resolved, warnings = check_spec(arguments.spec, **overrides(arguments))
    print_text(warnings, resolved.sources)
    locked = read_lock(file)
    now = make_lock(resolved, make_plan(resolved), ask=not arguments.check)
    if arguments.check:
        if locked is None:
            raise UsageError(f"{file} does not exist", hint=f"write it with `prerl-spec lock {arguments.spec}`")
        require_same(resolved, locked, now)
        _warn_unpinned(locked)
        if arguments.format == "json":
            print_json({"file": str(file), "digest": now.digest, "drifted": False})
        else:
            print_results(f"{file}: nothing has drifted, digest {now.digest[:12]}")
        return 0
    if locked is not None:
        report_drift(resolved, locked, now)
    write_lock(file, now)
    _warn_unpinned(now)
    if arguments.format == "json":
        print_json({"file": str(file), "digest": now.digest, "components": len(now.components)})
    else:
        print_results(f"{file}: {len(now.components)} components, digest {now.digest[:12]}")
    return 0


def _warn_unpinned(lock: "Lock") -> None:
    from prerl_spec.compiler.compare.revisions import UNKNOWN

    for name, commit in lock.revisions.items():
        if commit.startswith(UNKNOWN):
            print(f"warning: {name} is not pinned, {commit}", file=sys.stderr)

"""`plan SPEC` shows what a run would do, before anything heavy is loaded; on any machine."""

import argparse
from pathlib import Path

from prerl_spec.cli.shared.overrides import add_overrides, overrides


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC", type=Path, help="spec file")
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        help="write the plan as JSON, too, and tell what changed against the one there",
    )
    parser.add_argument("--here", action="store_true", help="exit with 3 where this machine cannot run it")
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """The page on stdout, warnings on stderr; an earlier plan in FILE is compared with, then replaced. At the commits of
    SPEC.lock, as `run` takes them."""
    from prerl_spec.cli.shared.diagnostics import print_results, print_text
    from prerl_spec.cli.shared.locked import compile_locked
    from prerl_spec.compiler.compile import read_plan, require_met
    from prerl_spec.compiler.past_runs.measured_times import measured
    from prerl_spec.compiler.render.render_plan import render_differences, render_plan
    from prerl_spec.errors import UsageError

    compiled = compile_locked(arguments.spec, overrides(arguments), locked=False, update=False)
    print_text(compiled.warnings, compiled.sources)
    page = render_plan(compiled.plan, measured(compiled.plan))
    if arguments.out is not None:
        if arguments.out.exists():
            page += f"\n{render_differences(read_plan(arguments.out), compiled.plan, str(arguments.out))}"
        try:
            arguments.out.write_text(compiled.plan.text(), encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"{arguments.out} cannot be written: {error.strerror}", hint="name another file"
            ) from error
    print_results(page)
    if arguments.here:
        require_met(compiled.plan)
    return 0

"""`plan SPEC` shows what a run would do, on any machine, without loading a model."""

import argparse

from prerl_spec.cli.shared.option_values import file_path
from prerl_spec.cli.shared.output_format import add_format
from prerl_spec.cli.shared.overrides import add_overrides, overrides


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC", type=file_path, help="spec file")
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=file_path,
        help="also write the plan as JSON; if FILE exists, first print what has changed since",
    )
    add_format(parser)
    parser.add_argument("--here", action="store_true", help="exit with code 3 if this machine cannot run the spec")
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints the plan to stdout and warnings to stderr, at the commits of SPEC.lock, as `run` does; compares with an
    earlier plan in FILE, then replaces it."""
    from prerl_spec.cli.shared.diagnostics import print_results, print_text
    from prerl_spec.cli.shared.locked import compile_locked
    from prerl_spec.compiler.compile import read_plan, require_met
    from prerl_spec.compiler.past_runs.measured_times import measured
    from prerl_spec.compiler.render.render_plan import render_differences, render_plan
    from prerl_spec.situations import writing

    compiled = compile_locked(arguments.spec, overrides(arguments), locked=False, update=False)
    print_text(compiled.warnings, compiled.sources)
    page = render_plan(compiled.plan, measured(compiled.plan))
    if arguments.out is not None:
        if arguments.out.exists():
            page += f"\n{render_differences(read_plan(arguments.out), compiled.plan, str(arguments.out))}"
        with writing(arguments.out, "choose another --out"):
            arguments.out.write_text(compiled.plan.text(), encoding="utf-8")
    print_results(compiled.plan.text() if arguments.format == "json" else page)
    if arguments.here:
        require_met(compiled.plan)
    return 0

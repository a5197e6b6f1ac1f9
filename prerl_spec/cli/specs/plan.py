"""`plan SPEC` shows what a run would do, on any machine, without loading a model."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from prerl_spec.cli.shared.option_values import amount, file_path
from prerl_spec.cli.shared.output_format import add_format
from prerl_spec.cli.shared.overrides import add_overrides, overrides

if TYPE_CHECKING:
    from prerl_spec.compiler.compile import Compiled
    from prerl_spec.compiler.plan import Plan
    from prerl_spec.compiler.render.last_line import Seen


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC", type=file_path, help="spec file")
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=file_path,
        help="also write the plan as JSON; if FILE exists, first print what has changed since",
    )
    add_format(parser)
    parser.add_argument(
        "--here",
        action="store_true",
        help="read every row, and exit as `run` would if this machine cannot start the spec: 3, or 2 for a live run",
    )
    parser.add_argument(
        "--on",
        metavar="MACHINE",
        help="plan memory and time for another machine: COUNTxCARD, such as 8xH100-80, or one of --machines",
    )
    parser.add_argument(
        "--machines", metavar="FILE", type=file_path, help="TOML file with machines of one's own, for --on"
    )
    parser.add_argument(
        "--fetch-config",
        action="store_true",
        help="first download the models' configuration and tokenizer from the hub, without weights",
    )
    parser.add_argument(
        "--price",
        action="append",
        default=[],
        type=_price,
        metavar="GPU=USD",
        help="price of a GPU for an hour (repeatable): the plan then ends with what a run costs",
    )
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints the plan to stdout and warnings to stderr, at the commits of SPEC.lock, as `run` does; compares with an
    earlier plan in FILE, then replaces it. With --here raises what `run` would raise before its first step."""
    from prerl_spec.cli.shared.diagnostics import print_results, print_text
    from prerl_spec.cli.shared.foreseen_start import checked_now, require_start
    from prerl_spec.cli.shared.locked import compile_locked
    from prerl_spec.compiler.compile import read_plan, require_met, unmet_error
    from prerl_spec.compiler.estimates.cards import machine
    from prerl_spec.compiler.render.render_plan import render_differences, render_plan
    from prerl_spec.errors import UsageError
    from prerl_spec.situations import writing

    if arguments.here and arguments.on is not None:
        raise UsageError("--here asks about this machine, --on about another", hint="drop one of them")
    if arguments.machines is not None and arguments.on is None:
        raise UsageError("--machines has no effect without --on", hint="name one of its machines: --on NAME")
    hardware = None if arguments.on is None else machine(arguments.on, arguments.machines)
    options = overrides(arguments)
    if arguments.fetch_config:
        from prerl_spec.cli.specs.fetch import fetch_configurations

        fetch_configurations(arguments.spec, options)
    compiled = compile_locked(arguments.spec, options, locked=False, update=False, hardware=hardware)
    print_text(compiled.warnings, compiled.sources)
    shown = checked_now(compiled.plan) if arguments.here else compiled.plan
    seen = _seen(compiled, shown, arguments.price, all_rows=arguments.here)
    page = render_plan(shown, seen=seen)
    if arguments.out is not None:
        if arguments.out.exists():
            page += f"\n{render_differences(read_plan(arguments.out), compiled.plan, str(arguments.out))}"
        with writing(arguments.out, "choose another --out"):
            arguments.out.write_text(compiled.plan.text(), encoding="utf-8")
    print_results(compiled.plan.text() if arguments.format == "json" else page)
    if arguments.here:
        require_met(compiled.plan)
        require_start(compiled.plan)
        if seen.further:
            raise unmet_error(seen.further)
    return 0


def _seen(compiled: "Compiled", shown: "Plan", prices: Sequence[tuple[str, float]], *, all_rows: bool) -> "Seen":
    """What this machine tells beside the plan, which is `shown`."""
    from prerl_spec.cli.shared.foreseen_start import needs_of_rows, require_start
    from prerl_spec.compiler.past_runs.measured_lengths import measured_lengths
    from prerl_spec.compiler.past_runs.measured_times import measured
    from prerl_spec.compiler.planning.disk import disk_need
    from prerl_spec.compiler.planning.first_prompt import LOOKED_AT
    from prerl_spec.compiler.render.last_line import Seen
    from prerl_spec.compiler.render.price import price_of
    from prerl_spec.errors import PrerlError

    plan = compiled.plan
    folder = refused = None
    if not plan.hardware.is_named:
        try:
            place, resumes = require_start(plan, hashes=all_rows)
            folder = f"{place}{', which an unfinished run of this plan goes on in' if resumes else ', new'}"
        except PrerlError as error:
            refused = error.message
    unmet = shown.unmet or refused is not None or (not plan.hardware.is_named and disk_need(plan) is not None)
    return Seen(
        times=measured(plan),
        lengths=measured_lengths(plan),
        # A run looks at its rows last: what keeps it from starting keeps it from them.
        further=() if unmet else needs_of_rows(compiled, all_rows=all_rows),
        folder=folder,
        refused=refused,
        rows_read=None if all_rows else LOOKED_AT,
        price=price_of(plan.hardware, dict(prices)),
    )


def _price(text: str) -> tuple[str, float]:
    """Name and US dollars of GPU=USD. Raises ArgumentTypeError."""
    name, sign, dollars = text.partition("=")
    if not (name and sign):
        raise argparse.ArgumentTypeError(f"{text!r} is not GPU=USD")
    return name, amount(dollars)

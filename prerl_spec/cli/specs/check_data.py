"""`check-data SPEC` verifies gold answers against themselves and finds rows that are unusable, repeated or a benchmark's."""

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from prerl_spec.cli.shared.option_values import file_path
from prerl_spec.cli.shared.output_format import add_format
from prerl_spec.cli.shared.overrides import add_overrides, overrides
from prerl_spec.language.document import join_path

if TYPE_CHECKING:
    from prerl_spec.compiler.resolve.resolved import Resolved

UNUSABLE = 3
"""Exit code if a finding stops `run`, or with --strict if there is any: data is part of the environment."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC", type=file_path, help="spec file")
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME",
        help="check only this data set of the spec (repeatable); default: every one in use",
    )
    add_format(parser, as_json=True)
    parser.add_argument(
        "--strict", action="store_true", help="exit with code 3 on any finding, not only on those that stop a run"
    )
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints the findings to stdout; exit code 3 if one of them stops `run`, with --strict if there is any, else 0. Asks
    no hub: what is not in its cache is unknown, which is no finding."""
    from contextlib import ExitStack
    from functools import partial

    from prerl_spec.cli.shared.diagnostics import print_results, print_text
    from prerl_spec.cli.shared.locked import pins
    from prerl_spec.cli.shared.ticker import Ticker
    from prerl_spec.compiler.compare.lock import lock_file, read_lock
    from prerl_spec.compiler.compile import check_spec, compile_spec
    from prerl_spec.compiler.estimates.prerequisites import require_train
    from prerl_spec.compiler.rules.row_verifier import data_in_use
    from prerl_spec.errors import UsageError
    from prerl_spec.report.terminal.data_findings import findings_json, findings_text

    require_train("`prerl-spec check-data`")
    from prerl_spec.engine.data_check.check import DataCheck
    from prerl_spec.engine.verification.verifier_pools import VerifierPools
    from prerl_spec.evaluation.tasks.questions import cache_alone

    if arguments.spec.suffix == ".json":
        raise UsageError("check-data reads a spec, not a plan", hint="name the spec that was planned")
    options = overrides(arguments)
    resolved, warnings = check_spec(arguments.spec, **options)
    print_text(warnings, resolved.sources)
    handling = _bad_row_settings(resolved)
    lock = read_lock(lock_file(arguments.spec))
    sets = [*options["sets"], *(() if lock is None else pins(resolved, lock))]
    # Opened with their unreadable rows dropped, the rest of the rows can be checked too.
    sets += [f'{join_path("data", name)}.on_bad_row="drop"' for name, written in handling.items() if written != "drop"]
    with ExitStack() as stack:
        stack.enter_context(cache_alone())
        graph = compile_spec(arguments.spec, **{**options, "sets": tuple(sets)}).graph
        _require_in_use(arguments.data, data_in_use(graph))
        ticker = stack.enter_context(Ticker(lines=True))
        pools = VerifierPools(stack, partial(ticker.tick, "verify"))
        drops = {name for name, written in handling.items() if written == "drop"}
        checks = DataCheck(graph, pools.judge, pools.check_golds, ticker.tick, drops=drops, only=arguments.data)
        report = checks.report()
    if arguments.format == "json":
        print_results(json.dumps(findings_json(report, str(arguments.spec)), indent=2))
    else:
        print_results(findings_text(report))
    found = any(True for _ in report.findings())
    return UNUSABLE if report.stops_run or (arguments.strict and found) else 0


def _bad_row_settings(resolved: "Resolved") -> dict[str, str]:
    """What each data set with the setting `on_bad_row` does with an unreadable row, by name."""
    from prerl_spec.registry.settings import settings_of

    components = {name: resolved.built[join_path("data", name)].component for name in resolved.spec.data}
    return {
        name: str(component.settings()["on_bad_row"])
        for name, component in components.items()
        if "on_bad_row" in settings_of(type(component))
    }


def _require_in_use(asked: Sequence[str], in_use: Sequence[str]) -> None:
    from prerl_spec.errors import UsageError

    for name in asked:
        if name not in in_use:
            raise UsageError(
                f"--data {name}: no phase and no evaluator uses a data set `{name}`",
                hint=f"in use: {', '.join(in_use) or 'none'}",
            )

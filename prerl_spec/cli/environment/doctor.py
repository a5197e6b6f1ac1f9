"""`prerl-spec doctor`: reports what this machine can run, and the command that fixes each problem."""

import argparse
from typing import Any

from prerl_spec.cli.environment.computing_findings import computing_findings
from prerl_spec.cli.environment.machine_findings import Finding, machine_findings
from prerl_spec.cli.environment.package_findings import package_findings
from prerl_spec.cli.shared.output_format import add_format, print_json
from prerl_spec.compiler.hardware import detect_hardware

UNFIT = 3
"""Exit code if something is missing that every run needs."""


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to `parser`."""
    parser.add_argument(
        "--deep",
        action="store_true",
        help="also import torch, transformers, peft and vllm, test each GPU and what updates and flat rows use (slow)",
    )
    add_format(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints one line per finding; exit code 3 if something that every run needs is missing, else 0."""
    findings = [*machine_findings(), *computing_findings(detect_hardware()), *package_findings()]
    if arguments.deep:
        from prerl_spec.cli.environment.deep_findings import deep_findings

        findings += deep_findings()
    if arguments.format == "json":
        print_json([_record(finding) for finding in findings])
    else:
        width = max(len(finding.what) for finding in findings)
        for finding in findings:
            print(_line(finding, width))
    return UNFIT if any(f.hint is not None and not f.optional for f in findings) else 0


def _record(finding: Finding) -> dict[str, Any]:
    """A finding for programs; `ok` is False where something is missing, `optional` says that runs do without it."""
    is_ok = finding.hint is None
    return {
        "what": finding.what,
        "state": finding.state,
        "ok": is_ok,
        "optional": finding.optional,
        "help": finding.hint,
    }


def _line(finding: Finding, width: int) -> str:
    mark = "ok" if finding.hint is None else "--" if finding.optional else "!!"
    line = f"{mark}  {finding.what:<{width}}  {finding.state}"
    return line if finding.hint is None else f"{line}\n    {'':<{width}}  = help: {finding.hint}"

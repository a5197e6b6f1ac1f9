"""`prerl-spec doctor`: what this machine can run, and the command that mends each gap."""

import argparse

from prerl_spec.cli.environment.machine_findings import Finding, machine_findings
from prerl_spec.cli.environment.package_findings import package_findings

UNFIT = 3
"""Something is missing that every run needs."""


def add(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "--deep",
        action="store_true",
        help="import torch, transformers, peft and vllm, and try each GPU (takes a while)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints a line a finding; 3 where something is missing that every run needs, 0 where only parts are."""
    findings = [*machine_findings(), *package_findings()]
    if arguments.deep:
        from prerl_spec.cli.environment.deep_findings import deep_findings

        findings += deep_findings()
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        print(_line(finding, width))
    return UNFIT if any(f.hint is not None and not f.optional for f in findings) else 0


def _line(finding: Finding, width: int) -> str:
    mark = "ok" if finding.hint is None else "--" if finding.optional else "!!"
    line = f"{mark}  {finding.what:<{width}}  {finding.state}"
    return line if finding.hint is None else f"{line}\n    {'':<{width}}  = help: {finding.hint}"

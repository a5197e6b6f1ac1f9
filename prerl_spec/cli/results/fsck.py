"""`prerl-spec fsck RUN`: checks every byte of a run folder, and mends what can be mended without guessing."""

import argparse
from pathlib import Path

from prerl_spec.compiler.past_runs.run_folder import is_live
from prerl_spec.errors import UsageError


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to `parser`."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument(
        "--mend",
        action="store_true",
        help="do what the findings say can be done; damaged files are renamed, not removed",
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints a line for each damaged file and a summary; returns 5 if damage is left."""
    from prerl_spec.engine.inspect.fsck import check_run

    folder: Path = arguments.run
    if not (folder / "plan.json").is_file() and not (folder / "events.jsonl").is_file():
        raise UsageError(f"{folder} is not a run folder: it has no plan.json", hint="name the folder of a run")
    if arguments.mend and is_live(folder):
        raise UsageError(f"the run in {folder} is live", hint="wait for it, or interrupt it, before mending")
    findings = check_run(folder)
    left = 0
    for finding in findings:
        if finding.state == "ok":
            continue
        mended = arguments.mend and finding.mend is not None
        print(f"{finding.path}: {finding.state}: {finding.detail}")
        print(f"  {'mended' if mended else 'can be done' if finding.mend else 'to do'}: {finding.remedy}")
        if mended and finding.mend is not None:
            finding.mend()
        left += finding.state == "damaged" and not mended
    of = {state: sum(f.state == state for f in findings) for state in ("ok", "torn", "damaged")}
    print(f"{len(findings)} checked: {of['ok']} ok, {of['torn']} torn by a kill, {of['damaged']} damaged")
    if left and not arguments.mend and any(f.mend for f in findings if f.state == "damaged"):
        print(f"`prerl-spec fsck {folder} --mend` does what can be done")
    return 5 if left else 0

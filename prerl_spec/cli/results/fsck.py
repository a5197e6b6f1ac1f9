"""`prerl-spec fsck RUN`: checks every byte of a run's folder or a study's, and repairs what needs no guessing."""

import argparse
from pathlib import Path

from prerl_spec.cli.shared.option_values import file_path
from prerl_spec.cli.shared.output_format import add_format, print_json
from prerl_spec.compiler.past_runs.run_folder import has_begun, is_live
from prerl_spec.errors import UsageError


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to `parser`."""
    parser.add_argument("run", type=file_path, metavar="RUN", help="a run's folder, or a study's")
    parser.add_argument(
        "--repair",
        action="store_true",
        help="repair what can be repaired without a copy; damaged files are renamed to end in .bad, not removed",
    )
    add_format(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints a line for each damaged file and a summary; returns 5 if damage is left."""
    from prerl_spec.engine.inspect.fsck import check_run
    from prerl_spec.study.check import check_study, is_study, runs_of

    folder: Path = arguments.run
    of_study = is_study(folder)
    if not of_study and not (folder / "plan.json").is_file() and not has_begun(folder):
        raise UsageError(f"{folder} is not a run folder: it has no plan.json", hint="name the folder of a run")
    if arguments.repair and any(is_live(run) for run in (folder, *runs_of(folder))):
        raise UsageError(f"the run in {folder} is live", hint="wait for its end, or interrupt it, and repair it then")
    findings = check_study(folder) if of_study else check_run(folder)
    left = num_repaired = 0
    as_json = arguments.format == "json"
    records = []
    for finding in findings:
        if finding.state == "ok":
            continue
        repaired = arguments.repair and finding.repair is not None
        if as_json:
            told = {
                "file": str(finding.path),
                "state": finding.state,
                "detail": finding.detail,
                "remedy": finding.remedy,
            }
            records.append({**told, "can_be_repaired": finding.repair is not None, "repaired": repaired})
        else:
            print(f"{finding.path}: {finding.state}: {finding.detail}")
            print(f"  {'repaired' if repaired else 'with --repair' if finding.repair else 'help'}: {finding.remedy}")
        if repaired and finding.repair is not None:
            finding.repair()
            num_repaired += 1
        left += finding.state == "damaged" and not repaired
    of = {state: sum(f.state == state for f in findings) for state in ("ok", "torn", "damaged")}
    if as_json:
        print_json({"checked": len(findings), **of, "repaired": num_repaired, "findings": records})
        return 5 if left else 0
    note = f"; {num_repaired} of these repaired" if num_repaired else ""
    print(f"{len(findings)} checked: {of['ok']} ok, {of['torn']} torn by a kill, {of['damaged']} damaged{note}")
    if left and not arguments.repair and any(f.repair for f in findings if f.state == "damaged"):
        print(f"`prerl-spec fsck {folder} --repair` does what can be done without a copy")
    return 5 if left else 0

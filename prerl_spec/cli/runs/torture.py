"""`prerl-spec torture SPEC --kills N`: kills runs at random times, resumes them, and compares with an undisturbed run."""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from prerl_spec.cli.shared.option_values import file_path, positive
from prerl_spec.cli.shared.overrides import add_overrides, overrides
from prerl_spec.compiler.compile import compile_spec
from prerl_spec.errors import UsageError


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to `parser`."""
    parser.add_argument("spec", type=file_path, metavar="SPEC", help="a spec whose run takes seconds, for one process")
    parser.add_argument("--kills", type=positive, metavar="N", help="kill N runs with SIGKILL at random times")
    parser.add_argument(
        "--crashes",
        action="store_true",
        help="simulate a machine crash before each storage operation: a random subset of what is not synced is lost",
    )
    parser.add_argument(
        "--flips",
        type=positive,
        metavar="N",
        help="flip N single bits in a finished run's files, one at a time: `fsck` must find each",
    )
    parser.add_argument(
        "--part", default="1/1", metavar="I/K", help="of the crashes, only every K-th, from the I-th on"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="S", help="seed of the random times, subsets and bits; default: 0"
    )
    parser.add_argument(
        "--keep",
        type=file_path,
        metavar="DIR",
        help="work in DIR, a new or empty folder, and keep the runs that differ there",
    )
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints a line for each run that differs, and `N/N identical` or `N/N flips found`; returns 5 if any differs."""
    from prerl_spec.engine.torture.torture import Torture, Trial

    if not (arguments.kills or arguments.crashes or arguments.flips):
        raise UsageError("nothing to do", hint="write --kills N, --crashes or --flips N")
    compiled = compile_spec(arguments.spec, **overrides(arguments))
    compiled.require_prerequisites()
    if compiled.graph.distributed.processes > 1:
        raise UsageError("torture runs one process", hint="--set distributed.processes=1")
    part, parts = _part(arguments.part)
    if arguments.keep and arguments.keep.exists() and not _is_empty(arguments.keep):
        raise UsageError(f"--keep {arguments.keep} is not an empty folder", hint="name a new or an empty folder")

    def count(trials: Iterable[Trial]) -> int:
        """Prints and returns the number of runs that differ."""
        total = different = 0
        for trial in trials:
            total += 1
            different += not trial.identical
            if not trial.identical:
                print(f"{trial.what}: {trial.why}", flush=True)
            elif sys.stderr.isatty():
                print(f"\r{trial.what}\033[K", end="", file=sys.stderr)
        print(f"{total - different}/{total} identical", flush=True)
        return different

    with tempfile.TemporaryDirectory(prefix="prerl-torture-") as temporary:
        work = arguments.keep or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        torture = Torture(compiled.graph, work.resolve(), arguments.seed)
        operations = torture.run_undisturbed()
        print(f"undisturbed: {torture.seconds:.1f} s, {operations} storage operations", flush=True)
        different = 0
        if arguments.crashes:
            different += count(torture.crash(n) for n in range(part - 1, operations + 1, parts))
        if arguments.kills:
            different += count(torture.kill(n) for n in range(arguments.kills))
        if arguments.flips:
            different += _flips(torture.flips(arguments.flips))
    return 5 if different else 0


def _flips(found: Iterable[tuple[str, bool]]) -> int:
    """Prints flips found / tried by kind of file; returns how many were not found."""
    seen: dict[str, list[bool]] = {}
    for file, noticed in found:
        parts = Path(file).parts
        seen.setdefault(parts[0] if len(parts) > 1 else file, []).append(noticed)
    for file, noticed_each in sorted(seen.items()):
        print(f"{file}: {sum(noticed_each)}/{len(noticed_each)} flips found")
    tried = [noticed for noticed_each in seen.values() for noticed in noticed_each]
    print(f"{sum(tried)}/{len(tried)} flips found")
    return len(tried) - sum(tried)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _part(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise UsageError(f"--part {text} is not I/K with 1 ≤ I ≤ K", hint="--part 1/2 and --part 2/2 share the work")
    return int(part), int(parts)

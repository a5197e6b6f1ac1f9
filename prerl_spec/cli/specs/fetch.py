"""`fetch SPEC` downloads model, data and benchmarks into the hub cache, for machines without a network."""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prerl_spec.cli.shared.option_values import file_path
from prerl_spec.cli.shared.overrides import add_overrides, overrides
from prerl_spec.language.document import join_path
from prerl_spec.registry.kinds.evaluator import Fetching

if TYPE_CHECKING:
    from prerl_spec.compiler.compare.lock import Lock
    from prerl_spec.compiler.plan import PrerequisitePlan
    from prerl_spec.compiler.resolve.resolved import Resolved

WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.gguf", "*.onnx", "*.h5", "*.msgpack")
NEVER_LOADED = tuple(pattern for pattern in WEIGHTS if pattern != "*.safetensors")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "spec", metavar="SPEC", type=file_path, help="spec file; revisions are those of SPEC.lock, if it exists"
    )
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """Prints one line per item that is now cached.

    Raises EnvironmentUnmet, naming the item, if one is unavailable; if the hub does not respond, before any download.
    """
    from prerl_spec.cli.shared.diagnostics import print_text
    from prerl_spec.cli.shared.locked import pins
    from prerl_spec.compiler.compare.lock import lock_file, read_lock
    from prerl_spec.compiler.compare.revisions import hub_prerequisites
    from prerl_spec.compiler.compile import check_spec
    from prerl_spec.compiler.estimates.prerequisites import require_train
    from prerl_spec.compiler.planning.planner import make_plan

    options = overrides(arguments)
    resolved, warnings = check_spec(arguments.spec, **options)
    print_text(warnings, resolved.sources)
    if (lock := read_lock(lock_file(arguments.spec))) is not None:
        resolved, _ = check_spec(arguments.spec, **{**options, "sets": (*options["sets"], *pins(resolved, lock))})
    else:
        print("note: no lock file; fetching the hub's current revisions", file=sys.stderr)
    on_hub = hub_prerequisites(make_plan(resolved))
    if any(prerequisite.what == "dataset" for prerequisite in on_hub) or any(_fetching(resolved)):
        require_train("`prerl-spec fetch` of data sets")
    for prerequisite in on_hub:
        require_available(prerequisite, lock)
    fetched = [
        *(download(prerequisite) for prerequisite in on_hub if prerequisite.what == "model"),
        *_data(resolved, on_hub),
    ]
    fetched += _benchmarks(resolved)
    print("\n".join(fetched) if fetched else f"{arguments.spec} needs nothing from the hub")
    return 0


def fetch_configurations(spec: Path, options: dict[str, Any]) -> None:
    """Downloads configuration and tokenizer of every model of the spec that is on the hub, without weights, at the lock's
    commits; says on stderr what came. Raises EnvironmentUnmet, naming the item, if one is unavailable."""
    from prerl_spec.cli.shared.locked import pins
    from prerl_spec.compiler.compare.lock import lock_file, read_lock
    from prerl_spec.compiler.compare.revisions import hub_prerequisites
    from prerl_spec.compiler.compile import check_spec
    from prerl_spec.compiler.estimates.local_files import is_hub_name
    from prerl_spec.compiler.planning.planner import make_plan
    from prerl_spec.errors import UsageError

    if spec.suffix == ".json":
        raise UsageError("--fetch-config needs a spec: a plan file is printed unchanged", hint="name the spec")
    resolved, _ = check_spec(spec, **options)
    if (lock := read_lock(lock_file(spec))) is not None:
        resolved, _ = check_spec(spec, **{**options, "sets": (*options["sets"], *pins(resolved, lock))})
    for prerequisite in hub_prerequisites(make_plan(resolved)):
        if prerequisite.what == "model" and is_hub_name(prerequisite.name):
            require_available(prerequisite, lock)
            print(download(prerequisite, weights=False), file=sys.stderr)


def require_available(prerequisite: "PrerequisitePlan", lock: "Lock | None") -> None:
    """Raises EnvironmentUnmet if the hub does not respond or lacks the item; Drift if its commit differs from the lock and
    the spec has no key to pin it with (a benchmark, a separate tokenizer)."""
    from prerl_spec.compiler.compare.revisions import UNKNOWN, asked, title
    from prerl_spec.errors import Drift, EnvironmentUnmet

    answer = asked(prerequisite)
    if answer.commit is None:
        hint = (
            prerequisite.hint
            if answer.reachable
            else "run `fetch` on a machine with network access and copy its HF_HUB_CACHE folder here"
        )
        raise EnvironmentUnmet(f"{title(prerequisite)} cannot be fetched: {answer.why}", hint=hint)
    locked = UNKNOWN if lock is None else lock.revisions.get(title(prerequisite), UNKNOWN)
    if prerequisite.revision is None and not locked.startswith(UNKNOWN) and locked != answer.commit:
        raise Drift(
            f"{title(prerequisite)} is locked at {locked[:12]}, but a run would read the hub's current {answer.commit[:12]}",
            hint="update the lock with `prerl-spec lock SPEC`",
        )


def download(prerequisite: "PrerequisitePlan", *, weights: bool = True) -> str:
    """Downloads a model with its tokenizer. Without `weights` they are skipped, as those of one without a revision, which
    serves as a tokenizer only."""
    from huggingface_hub import snapshot_download

    from prerl_spec.compiler.compare.revisions import title, transport_error
    from prerl_spec.errors import EnvironmentUnmet

    skipped = NEVER_LOADED if weights and prerequisite.revision is not None else WEIGHTS
    try:
        folder = snapshot_download(prerequisite.name, revision=prerequisite.revision, ignore_patterns=list(skipped))
    except (transport_error(), OSError, ValueError) as error:
        raise EnvironmentUnmet(f"{title(prerequisite)} cannot be fetched: {error}", hint=prerequisite.hint) from error
    return f"{title(prerequisite)}: {sum(file.is_file() for file in Path(folder).rglob('*'))} files in {folder}"


def _data(resolved: "Resolved", on_hub: "tuple[PrerequisitePlan, ...]") -> Iterator[str]:
    """Opens the data sets as a run does, so that the cache contains exactly what the run reads."""
    needed = {path for prerequisite in on_hub if prerequisite.what == "dataset" for path in prerequisite.by}
    for name in resolved.spec.data:
        built = resolved.built[join_path("data", name)]
        if join_path("data", name) in needed:
            rows = built.component.open(name)  # type: ignore[attr-defined]
            yield f"data.{name}: {len(rows):,} rows, content {rows.fingerprint[:12]}"


def _benchmarks(resolved: "Resolved") -> Iterator[str]:
    """Runs the `fetch` of every evaluator that has one."""
    for path, fetch in _fetching(resolved):
        yield from (f"{path}: {line}" for line in fetch())


def _fetching(resolved: "Resolved") -> Iterator[tuple[str, Callable[[], Iterator[str]]]]:
    """Path and `fetch` of every evaluator that downloads data."""
    for number in range(len(resolved.spec.evaluate)):
        path = f"evaluate[{number}]"
        if isinstance(component := resolved.built[path].component, Fetching):
            yield path, component.fetch

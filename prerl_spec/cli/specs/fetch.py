"""`fetch SPEC` brings model, data and benchmarks into the hub's cache, for machines without a network."""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from prerl_spec.cli.shared.overrides import add_overrides, overrides
from prerl_spec.language.document import join_path
from prerl_spec.registry.kinds import Fetching

if TYPE_CHECKING:
    from prerl_spec.compiler.compare.lock import Lock
    from prerl_spec.compiler.plan import PrerequisitePlan
    from prerl_spec.compiler.resolve.resolved import Resolved

WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.gguf", "*.onnx", "*.h5", "*.msgpack")
NEVER_LOADED = tuple(pattern for pattern in WEIGHTS if pattern != "*.safetensors")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC", type=Path, help="spec file; where SPEC.lock is there, at its commits")
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """One line on stdout for each thing that is then in the cache.

    Raises EnvironmentUnmet, with its name, for what cannot be had: where the hub does not answer, before anything is
    downloaded.
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
        print("note: there is no lock: names are fetched as the hub has them now", file=sys.stderr)
    needs = hub_prerequisites(make_plan(resolved))
    if any(need.what == "dataset" for need in needs) or any(_fetching(resolved)):
        require_train("`prerl-spec fetch` of rows")
    for need in needs:
        require_answer(need, lock)
    fetched = [*(download(need) for need in needs if need.what == "model"), *_data(resolved, needs)]
    fetched += _benchmarks(resolved)
    print("\n".join(fetched) if fetched else f"{arguments.spec} needs nothing from the hub")
    return 0


def require_answer(need: "PrerequisitePlan", lock: "Lock | None") -> None:
    """Raises EnvironmentUnmet where the hub does not answer, or does not have it; Drift where it has moved away from the
    lock and the spec has no key that would hold it there (a benchmark, a tokenizer of its own)."""
    from prerl_spec.compiler.compare.revisions import UNKNOWN, asked, title
    from prerl_spec.errors import Drift, EnvironmentUnmet

    answer = asked(need)
    if answer.commit is None:
        hint = need.hint if answer.reachable else "fetch where there is a network; HF_HUB_CACHE names the cache to copy"
        raise EnvironmentUnmet(f"{title(need)} cannot be fetched: {answer.why}", hint=hint)
    locked = UNKNOWN if lock is None else lock.revisions.get(title(need), UNKNOWN)
    if need.revision is None and not locked.startswith(UNKNOWN) and locked != answer.commit:
        raise Drift(
            f"{title(need)} was locked at {locked[:12]}, the hub has {answer.commit[:12]}, and that is what a run reads",
            hint="prerl-spec lock writes what the hub has",
        )


def download(need: "PrerequisitePlan") -> str:
    """A model with its tokenizer; of one that is named without a revision, for its tokenizer, no weights."""
    from huggingface_hub import snapshot_download

    from prerl_spec.compiler.compare.revisions import title, transport_error
    from prerl_spec.errors import EnvironmentUnmet

    passed_over = NEVER_LOADED if need.revision is not None else WEIGHTS
    try:
        folder = snapshot_download(need.name, revision=need.revision, ignore_patterns=list(passed_over))
    except (transport_error(), OSError, ValueError) as error:
        raise EnvironmentUnmet(f"{title(need)} cannot be fetched: {error}", hint=need.hint) from error
    return f"{title(need)}: {sum(file.is_file() for file in Path(folder).rglob('*'))} files in {folder}"


def _data(resolved: "Resolved", needs: "tuple[PrerequisitePlan, ...]") -> Iterator[str]:
    """Data sets are opened, as the run will: what is then in the cache is what it reads."""
    asked_for = {path for need in needs if need.what == "dataset" for path in need.by}
    for name in resolved.spec.data:
        built = resolved.built[join_path("data", name)]
        if join_path("data", name) in asked_for:
            rows = built.component.open(name)  # type: ignore[attr-defined]
            yield f"data.{name}: {len(rows):,} rows, content {rows.fingerprint[:12]}"


def _benchmarks(resolved: "Resolved") -> Iterator[str]:
    """Evaluators that fetch know themselves what they will read."""
    for path, fetch in _fetching(resolved):
        yield from (f"{path}: {line}" for line in fetch())


def _fetching(resolved: "Resolved") -> Iterator[tuple[str, Callable[[], Iterator[str]]]]:
    """The evaluators that fetch, by path."""
    for number in range(len(resolved.spec.evaluate)):
        path = f"evaluate[{number}]"
        if isinstance(component := resolved.built[path].component, Fetching):
            yield path, component.fetch

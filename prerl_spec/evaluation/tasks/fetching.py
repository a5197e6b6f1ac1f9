"""Downloads the rows of benchmarks into the hub cache, for machines without a network."""

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from prerl_spec.evaluation.packs import packs
from prerl_spec.evaluation.tasks import catalogue
from prerl_spec.evaluation.tasks.rows import hub_rows


def fetch_tasks(
    names: Sequence[str], *, include: Sequence[Path], data: Mapping[str, Path], made: Collection[str]
) -> Iterator[str]:
    """One line per task whose rows are on the hub; tasks with local rows (`data`) or generated rows (`made`) are skipped.

    Raises UsageError for unknown names, EnvironmentUnmet for unavailable rows.
    """
    own = packs()
    wanted = [name for name in names if name not in data and name not in made]
    others = [name for name in wanted if name not in own]
    for name in wanted:
        if name in own:
            rows = hub_rows(own[name])
            yield f"{name}: {len(rows):,} questions"
    if others:
        with tempfile.TemporaryDirectory() as folder:
            loaded = catalogue.load_tasks(others, include=include, data=data, folder=Path(folder))
        yield from (f"{name}: {len(list(one.task.eval_docs)):,} questions" for name, one in loaded.items())

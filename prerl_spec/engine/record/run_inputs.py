"""The inputs of a run in its folder: plan and spec, written once before any training."""

from pathlib import Path

from prerl_spec.compiler.graph import Graph
from prerl_spec.engine.processes.disk_errors import translate_disk_errors
from prerl_spec.storage.disk import write_whole
from prerl_spec.storage.sealed import object_text


def write_given(folder: Path, graph: Graph) -> None:
    """Writes plan.json and spec.toml (verbatim); existing files are kept. Raises RunFailed for a full disk."""
    for name, text in (("plan.json", object_text(graph.plan)), ("spec.toml", graph.spec_text)):
        file = folder / name
        if not file.exists():
            with translate_disk_errors(name):
                write_whole(file, text)

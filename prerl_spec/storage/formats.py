"""The versions of what a run writes; manifest.json names those of its run. What they cover: docs/formats.md."""

from collections.abc import Mapping
from typing import Any

from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.storage.frames import FORMAT as FRAME_FORMAT

FORMATS: Mapping[str, int] = {
    "plan": 1,
    "manifest": 1,
    "events": 1,
    "scores": 1,
    "journal": FRAME_FORMAT,
    "checkpoint": 1,
}


def require_same_formats(manifest: Mapping[str, Any], run: str) -> None:
    """Raises EnvironmentUnmet if the run was written in other formats than this version reads and writes: files are
    neither converted nor guessed at."""
    written = manifest.get("formats", {})
    differing = {name: number for name, number in FORMATS.items() if written.get(name) != number}
    if differing:
        listed = ", ".join(f"{name} {written.get(name, '?')} (here {number})" for name, number in differing.items())
        version = manifest["lineage"][-1]["environment"]["versions"].get("prerl-spec", "?")
        raise EnvironmentUnmet(
            f"{run} was written in other formats: {listed}",
            hint=f"resume it with the version that wrote it: pip install prerl-spec=={version}",
        )

"""What a run came to, as one hash: weights, moments, position, every step, every score and what each question added to it."""

import hashlib
import json
from pathlib import Path
from typing import Any

from prerl_spec.compiler.past_runs.run_folder import numbered
from prerl_spec.engine.record import checkpoint
from prerl_spec.engine.record.events import read_events
from prerl_spec.storage.run_events import scores_of
from prerl_spec.storage.sealed import read_array


def outcome(output_dir: Path, name: str) -> str | None:
    """SHA-256 of the outcome of the highest-numbered run of that name; None if it is not finished. Raises Damaged."""
    runs = numbered(output_dir, name)
    return outcome_of(runs[max(runs)]) if runs else None


def outcome_of(folder: Path) -> str | None:
    """SHA-256 of the outcome of the run in a folder; None if it is not finished. Raises Damaged."""
    events = read_events(folder / "events.jsonl")
    saved = checkpoint.newest(folder / "checkpoints") if (folder / "checkpoints").is_dir() else None
    if not events or events[-1]["event"] != "end":
        return None
    whole = hashlib.sha256()
    if saved is not None:
        for file in sorted(saved.folder.rglob("*.safetensors")):
            whole.update(f"{file.relative_to(saved.folder)}\n".encode() + file.read_bytes())
        whole.update(_text({key: value for key, value in saved.state.items() if key != "events"}))
    steps = {e["global_step"]: e for e in events if e["event"] == "step"}
    whole.update(_text([_without_times(steps[k]) for k in sorted(steps)]))
    whole.update(_text(scores_of(events)))
    scores = folder / "scores.json"
    whole.update(_text(read_array(scores) if scores.is_file() else []))
    for file in sorted((folder / "evaluation" / "questions").glob("*.jsonl")):
        whole.update(f"{file.name}\n".encode() + file.read_bytes())
    return whole.hexdigest()


def _without_times(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key not in ("time", "seconds")}


def _text(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True).encode()

"""What has become of each run of a study: state.jsonl, chained lines that several processes may append to."""

import time
from collections.abc import Mapping
from typing import Any

from prerl_spec.compiler.past_runs.run_folder import one_at_a_time
from prerl_spec.situations import writing
from prerl_spec.storage.chained_lines import append_lines, cut_torn_line, read_lines
from prerl_spec.study.study_folder import StudyFolder


def note(folder: StudyFolder, event: str, task: str, **more: Any) -> None:
    """Appends one line: `{"event": "begin" | "take" | "end" | "fail" | "stop", "cell": "dsrl/3", "time": …}`. Raises Damaged.

    A record for people and for `compare`; whether a run is finished is read from the run itself.
    """
    with writing(folder.state, "free disk space; the same command goes on"), one_at_a_time(folder.root):
        found = read_lines(folder.state)
        cut_torn_line(folder.state, found)
        append_lines(folder.state, [{"event": event, "cell": task, "time": round(time.time(), 3), **more}], found.head)


def last_notes(folder: StudyFolder) -> Mapping[str, Mapping[str, Any]]:
    """The last line of each run by its name. Raises Damaged, naming file and line."""
    return {entry["cell"]: entry for entry in read_lines(folder.state).entries}

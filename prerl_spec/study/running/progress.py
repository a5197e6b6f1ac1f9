"""What the queue does, a line an event; on a terminal, below them, a live line with what runs."""

import sys
import time
from collections.abc import Sequence
from contextlib import suppress

from prerl_spec.compiler.render.human_units import duration
from prerl_spec.errors import Damaged
from prerl_spec.process.error_output import lead_nowhere
from prerl_spec.storage.chained_lines import last_line
from prerl_spec.study.results import end_scores, primary_key
from prerl_spec.study.study_folder import StudyFolder
from prerl_spec.study.study_plan import StudyPlan
from prerl_spec.study.tasks import Task

SECONDS_BETWEEN = 1.0


class Progress:
    """`Listener` of the queue, on stderr. A terminal that is closed ends the display, not the work."""

    def __init__(self, study: StudyPlan, folder: StudyFolder, num_tasks: int, num_finished: int) -> None:
        self._study = study
        self._folder = folder
        self._num_tasks = num_tasks
        self._num_over = num_finished
        self._live = sys.stderr.isatty()
        self._drawn = 0.0

    def begun(self, task: Task) -> None:
        self._line(f"{task.label}: begins")

    def taken(self, task: Task) -> None:
        self._num_over += 1
        self._line(f"[{self._num_over}/{self._num_tasks}] {task.label}: taken over{self._primary(task)}")

    def ended(self, task: Task, seconds: float) -> None:
        self._num_over += 1
        self._line(f"[{self._num_over}/{self._num_tasks}] {task.label}: done, {duration(seconds)}{self._primary(task)}")

    def failed(self, task: Task, cause: str) -> None:
        self._line(f"{task.label}: failed: {cause}")

    def looked(self, running: Sequence[Task]) -> None:
        now = time.monotonic()
        if self._live and running and now - self._drawn > SECONDS_BETWEEN:
            self._drawn = now
            words = "  ".join(f"{task.label} {self._where(task)}" for task in running)
            self._print(f"\r\x1b[K[{self._num_over}/{self._num_tasks}] {words}"[:160])

    def close(self) -> None:
        if self._live:
            self._print("\r\x1b[K")

    def _primary(self, task: Task) -> str:
        if self._study.primary is None or task.cell is None:
            return ""
        value = end_scores(self._folder.run(task.name)).get(primary_key(self._study.primary))
        return "" if value is None else f", {self._study.primary} {value:.3f}"

    def _where(self, task: Task) -> str:
        """The last event of a run: `refine 12`."""
        with suppress(Damaged, OSError):
            last = last_line(self._folder.run(task.name) / "events.jsonl")
            if last is not None:
                return " ".join(str(last[key]) for key in ("phase", "step") if key in last) or str(last["event"])
        return "begins"

    def _line(self, text: str) -> None:
        self._print(f"\r\x1b[K{text}\n" if self._live else f"{text}\n")

    def _print(self, text: str) -> None:
        try:
            print(text, end="", file=sys.stderr, flush=True)
        except OSError:
            self._live = False
            lead_nowhere(sys.stderr.fileno())

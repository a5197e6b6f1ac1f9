"""What a kept study's own records say: what its cells spent and how long they took, that they are paired, and of what code."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from statistics import fmean, median
from typing import Any

from prerl_spec.report.tables.run_tables import RunRecord, read_run
from prerl_spec.storage.chained_lines import read_lines
from prerl_spec.storage.run_events import read_run_events


@dataclass(frozen=True)
class Cell:
    """A run of the study, and its events as they were written."""

    record: RunRecord
    events: Sequence[Mapping[str, Any]]

    @cached_property
    def steps(self) -> list[Mapping[str, Any]]:
        return [event for event in self.events if event["event"] == "step"]

    def hashes(self, of: str) -> list[str]:
        """Of the weights after each step, or of its journal."""
        return [step["hashes"][of] for step in self.steps]

    @property
    def spent(self) -> dict[str, float]:
        """Of its own steps: what its base has spent is not among it."""
        return {
            "generated tokens": sum(step["tokens"]["generated"] for step in self.steps),
            "trained tokens": sum(step["tokens"]["trained"] for step in self.steps),
            "steps": len(self.steps),
            "updates": sum(step["applied"] for step in self.steps),
            "seconds of steps": sum(step["seconds"]["total"] for step in self.steps),
        }

    @property
    def parts(self) -> dict[str, float]:
        """Seconds by what they were spent on."""
        found = {"sampling": 0.0, "verifying": 0.0, "training": 0.0, "evaluating": 0.0}
        for phase in self.record.seconds:
            found["sampling"] += phase.sample
            found["verifying"] += phase.verify
            found["training"] += phase.train + phase.other
            found["evaluating"] += phase.evaluate
        return found

    def curve(self, task: str, metric: str) -> dict[int, float]:
        """Steps that it had taken -> the score there."""
        first = self.steps[0]["global_step"]
        return {
            score.global_step - first + 1: score.value
            for score in self.record.scores
            if (score.task, score.metric) == (task, metric)
        }

    def over_seconds(self, task: str, metric: str) -> list[tuple[float, float]]:
        """(seconds of its own steps, the score there), in the order of steps."""
        seconds = list(accumulate(step["seconds"]["total"] for step in self.steps))
        return [(seconds[steps - 1], value) for steps, value in sorted(self.curve(task, metric).items())]

    def last_scored(self, task: str, metric: str) -> int:
        """The global step of its last score."""
        return max(score.global_step for score in self.record.scores if (score.task, score.metric) == (task, metric))


@dataclass(frozen=True)
class Records:
    """A study's cells, arm -> seed -> cell, and the lines of its queue."""

    folder: Path
    cells: Mapping[str, Mapping[int, Cell]]
    queue: Sequence[Mapping[str, Any]]

    @classmethod
    def read(cls, folder: Path) -> "Records":
        said = json.loads((folder / "study.json").read_text(encoding="utf-8"))
        cells: dict[str, dict[int, Cell]] = {arm: {} for arm in said["arms"]}
        for cell in said["cells"]:
            where = folder / cell["folder"]
            cells[cell["arm"]][cell["seed"]] = Cell(read_run(where), read_run_events(where).entries)
        return cls(folder, cells, read_lines(folder / "state.jsonl").entries)

    @property
    def seeds(self) -> list[int]:
        return list(next(iter(self.cells.values())))

    def all_cells(self) -> list[Cell]:
        return [cell for of_arm in self.cells.values() for cell in of_arm.values()]

    def mean_spent(self, arm: str) -> dict[str, float]:
        each = [cell.spent for cell in self.cells[arm].values()]
        return {amount: fmean(spent[amount] for spent in each) for amount in each[0]}

    def one(self, *keys: str) -> Any:
        """What all manifests say at a place. Raises ValueError where they do not agree."""
        found = set()
        for cell in self.all_cells():
            value: Any = cell.record.manifest
            for key in keys:
                value = value[key]
            found.add(json.dumps(value, sort_keys=True))
        if len(found) != 1:
            raise ValueError(f"{self.folder.name}: {'.'.join(keys)} differs between cells: {sorted(found)}")
        return json.loads(found.pop())

    @property
    def cell_seconds(self) -> list[float]:
        """Wall time of each cell, start-up and end included."""
        return [line["seconds"] for line in self.queue if line["event"] == "end"]

    @property
    def hours(self) -> float:
        """From the first cell's begin to the last one's end."""
        times = [line["time"] for line in self.queue]
        return float(max(times) - min(times)) / 3600

    @property
    def begun(self) -> str:
        return datetime.fromtimestamp(min(line["time"] for line in self.queue), UTC).strftime("%Y-%m-%d %H:%M UTC")

    @property
    def failures(self) -> int:
        return sum(line["event"] not in ("begin", "end") for line in self.queue)

    @property
    def spread_of_speed(self) -> float:
        """Seconds of a step of the slowest cell, as a multiple of the fastest one's."""
        paces = [cell.spent["seconds of steps"] / cell.spent["steps"] for cell in self.all_cells()]
        return max(paces) / min(paces)

    def mean_parts(self) -> dict[str, float]:
        each = [cell.parts for cell in self.all_cells()]
        return {part: fmean(parts[part] for parts in each) for part in each[0]}

    @property
    def median_cell(self) -> float:
        return median(self.cell_seconds)

    def question_bytes(self) -> tuple[float, float]:
        """Of a cell's files of single questions, and of its events: means."""
        runs = [cell.record.folder for cell in self.all_cells()]
        files = [sum(f.stat().st_size for f in (run / "evaluation" / "questions").iterdir()) for run in runs]
        return fmean(files), fmean((run / "events.jsonl").stat().st_size for run in runs)

    def most_beyond_budget(self) -> float:
        """By how much a cut cell has gone beyond its budget, at most, as a share. Raises ValueError for one that has ended
        earlier, or not at the first step that reached it."""
        most = 0.0
        for cell in self.all_cells():
            for cut in (event for event in cell.events if event["event"] == "cut"):
                last = cell.steps[-1]["tokens"]["generated"]
                if not 0 <= cut["reached"] - cut["budget"] < last or cut["reached"] != cell.spent["generated tokens"]:
                    raise ValueError(f"{cell.record.folder}: not cut at its budget: {cut}")
                most = max(most, cut["reached"] / cut["budget"] - 1)
        return most

    def same_steps(self, arm: str, other: str, first_of_arm: int) -> int:
        """Seeds whose weights agree after each step, when the arm's first steps, of the warm-up, are left out."""
        found = 0
        for seed in self.seeds:
            own, its = (self.cells[a][seed].hashes("weights") for a in (arm, other))
            length = min(len(own) - first_of_arm, len(its))
            found += own[first_of_arm : first_of_arm + length] == its[:length]
        return found

    def same_first_samples(self, arms: Sequence[str]) -> int:
        """Seeds in which the first step's journal, prompts and sampled tokens with their log-probabilities, is the same."""
        return sum(len({self.cells[arm][seed].hashes("journal")[0] for arm in arms}) == 1 for seed in self.seeds)

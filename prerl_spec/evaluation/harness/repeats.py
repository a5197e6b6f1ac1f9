"""The k responses to each question of a task with its own metrics, filtered and scored one by one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Rows = dict[int, list[Any]]
"""The question's row -> one entry a response."""


@dataclass
class Repeats:
    """What the task's filters and metrics make of each response: as in as many evaluations with one response a question.

    `values`: (metric, filter) -> row -> its values. `answers`: filter -> row -> what the filter has left of each response.
    """

    values: dict[tuple[str, str], Rows] = field(default_factory=dict)
    answers: dict[str, Rows] = field(default_factory=dict)

    def of_response(self, row: int, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The values of one response by "metric,filter", and its answer by filter."""
        values = {",".join(name): of_row[row][number] for name, of_row in self.values.items() if row in of_row}
        return values, {name: of_row[row][number] for name, of_row in self.answers.items() if row in of_row}


def scored_one_by_one(task: Any, num_repeats: int) -> Repeats:
    """The repeats of a task that lm-eval has evaluated; its instances are as before."""
    all_responses = [list(instance.resps) for instance in task.instances]
    found = Repeats()
    for repeat in range(num_repeats):
        for instance, responses in zip(task.instances, all_responses, strict=True):
            instance.resps, instance.filtered_resps = [responses[repeat]], {}
        task.apply_filters()
        for instance in task.instances:
            for filter_name, filtered in instance.filtered_resps.items():
                found.answers.setdefault(filter_name, {}).setdefault(instance.doc_id, []).append(filtered)
                scored: Mapping[str, Any] = task.process_results(instance.doc, [filtered])
                for metric, value in scored.items():
                    found.values.setdefault((metric, filter_name), {}).setdefault(instance.doc_id, []).append(value)
    for instance, responses in zip(task.instances, all_responses, strict=True):
        instance.resps = responses
    return found

"""Tasks of the user's own, in YAML, and what a tiny model scores on them."""

from pathlib import Path
from typing import Any

from prerl_components.evaluators.lm_eval import LmEval

from prerl_spec.types import Decoding, Score
from tests.evaluation.sites import samples_of, tiny_scene

COUNTING = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: generate_until
doc_to_text: problem
doc_to_target: answer
generation_kwargs: {{until: ["zzz"], temperature: 0.0}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
filter_list:
  - name: letters
    filter: [{{function: regex, regex_pattern: "[a-m]"}}, {{function: take_first}}]
  - name: whole
    filter: [{{function: take_first}}]
metadata: {{version: 7}}
"""
MULTIPLE_CHOICE = """
task: yes_or_no
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: problem
doc_to_choice: ["yes", "no"]
doc_to_target: 1
metadata: {{version: 1}}
"""


def included(folder: Path, text: str, **fields: Any) -> str:
    """A folder with one task of the user's own."""
    folder.mkdir(exist_ok=True)
    (folder / "task.yaml").write_text(text.format(**fields), encoding="utf-8")
    return str(folder)


def scored(
    folder: Path, text: str, task: str, rows: Path, **settings: Any
) -> tuple[dict[str, Score], list[dict[str, Any]]]:
    """The scores of a task by metric, and its responses as they were written down for people."""
    own = included(folder / "mine", text, name=task, rows=rows)
    with tiny_scene(folder, decoding=Decoding(max_new_tokens=20)) as scene:
        scores = LmEval.model_validate({"tasks": [task], "include": [own], **settings}).score(scene.site)
        return {score.metric: score for score in scores}, samples_of(scene.site, task)

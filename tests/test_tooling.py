"""One word for each stage of CI, wherever it is written; and files that repeat the code say the same as the code."""

import re
import runpy
import tomllib
from pathlib import Path

from prerl_spec import sdk

ROOT = Path(__file__).parent.parent
RUN = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
STAGES = set(re.findall(r"^run_(\w+)\(\)", RUN, re.MULTILINE))


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _noted(name: str) -> list[set[str]]:
    """The stages that each list of the workflow names."""
    lists = re.findall(r"stage: \[(.*)\]", _text(name))
    return [{stage for job in re.findall(r'"([^"]*)"', words) for stage in job.split()} for words in lists]


def test_the_task_runner_has_a_word_for_every_stage() -> None:
    assert set(re.findall(r'^    "(\w+)": ', _text("noxfile.py"), re.MULTILINE)) == STAGES


def test_the_workflow_runs_what_run_does_by_itself_and_the_rest_by_the_clock() -> None:
    default = re.search(r"stages=\(([a-z ]+)\)", RUN)
    assert default is not None
    pushed, weekly = _noted(".github/workflows/ci.yml")
    assert pushed == set(default[1].split())
    assert pushed | weekly == STAGES


def test_the_guide_names_every_stage() -> None:
    assert {stage for stage in STAGES if f"`{stage}`" in _text("CONTRIBUTING.md")} == STAGES


def test_the_citation_has_the_version_of_the_package() -> None:
    version = tomllib.loads(_text("pyproject.toml"))["project"]["version"]
    assert f"\nversion: {version}\n" in _text("CITATION.cff")


def test_the_reference_is_up_to_date() -> None:
    written = runpy.run_path(str(ROOT / "docs" / "write_reference.py"))["page"]()
    assert _text("docs/reference.md") == written, "run `python docs/write_reference.py`"


def test_the_tables_of_objectives_are_up_to_date() -> None:
    written = runpy.run_path(str(ROOT / "docs" / "write_objectives.py"))["page"](_text("docs/objectives.md"))
    assert _text("docs/objectives.md") == written, "run `python docs/write_objectives.py`"


def test_the_words_of_other_frameworks_are_up_to_date() -> None:
    written = runpy.run_path(str(ROOT / "docs" / "write_coming_from.py"))["page"](_text("docs/coming-from.md"))
    assert _text("docs/coming-from.md") == written, "run `python docs/write_coming_from.py`"


def test_the_reference_has_every_public_name() -> None:
    headings = re.findall(r"^### `(\w+)`$", _text("docs/reference.md"), re.MULTILINE)
    assert set(sdk.__all__) <= set(headings)
    assert len(headings) == len(set(headings))

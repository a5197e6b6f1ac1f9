"""What the README shows is what is there: its spec is valid, its objective obeys the laws, its commands are all of them."""

import re
import tomllib
from pathlib import Path
from typing import Any

from prerl_spec.cli.main import COMMANDS
from prerl_spec.compiler.resolve.resolve import resolve_text
from prerl_spec.compiler.rules.wire import diagnose
from prerl_spec.testing.laws import check_objective

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_spec_is_valid() -> None:
    spec = blocks("toml")[0]
    assert spec.startswith("spec = 1")
    assert diagnose(resolve_text(spec)) == ()


def test_the_point_is_valid_in_that_spec() -> None:
    spec, (point,) = blocks("toml")[0], [block for block in blocks("toml") if block.startswith("[phases.objective]")]
    *others, last = spec.split("[[phases]]")
    without = re.sub(r"^objective = .*\n", "", last, flags=re.MULTILINE)
    assert diagnose(resolve_text("[[phases]]".join([*others, without]) + point)) == ()


def test_the_table_of_families_has_every_preset() -> None:
    table = re.findall(r"^\| family \| \|\n((?:\|.*\n)+)", README, re.MULTILINE)
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    places = project["entry-points"]["prerl_spec.objective"]
    assert set(re.findall(r"`(\w+)`", table[0])) == {name for name, place in places.items() if ".presets." in place}


def test_the_number_of_papers_is_that_of_the_page() -> None:
    page = (Path(__file__).parent.parent / "docs" / "papers.md").read_text(encoding="utf-8")
    assert f"\n{len(re.findall('^### ', page, re.MULTILINE))} times.\n" in README


def test_the_objective_obeys_the_laws() -> None:
    (source,) = blocks("python")
    defined: dict[str, Any] = {}
    exec(compile(source, "README.md", "exec"), defined)
    check_objective(defined["Likelihood"]())


def test_the_table_has_every_command() -> None:
    rows = re.findall(r"^\| (`.*?) \| ", README, re.MULTILINE)
    named = {words.split()[0] for row in rows for words in re.findall(r"`([^`]+)`", row)}
    assert named >= set(COMMANDS)

"""What the README shows is what is there: its spec is valid, its objective obeys the laws, its commands are all of them."""

import re
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


def test_the_objective_obeys_the_laws() -> None:
    (source,) = blocks("python")
    defined: dict[str, Any] = {}
    exec(compile(source, "README.md", "exec"), defined)
    check_objective(defined["Likelihood"]())


def test_the_table_has_every_command() -> None:
    rows = re.findall(r"^\| (`.*?) \| ", README, re.MULTILINE)
    named = {words.split()[0] for row in rows for words in re.findall(r"`([^`]+)`", row)}
    assert named >= set(COMMANDS)

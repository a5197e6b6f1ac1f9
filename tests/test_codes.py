"""Diagnostic codes are values: their exit classes are those of the language, and nothing else spells one out."""

import ast
import re
from pathlib import Path

import pytest

from prerl_spec.codes import Code
from prerl_spec.errors import Diagnostic, exit_code_of

ROOT = Path(__file__).parent.parent
NUMBER = re.compile(r"\b[EW]0\d{3}\b")
OF_THE_ENVIRONMENT = {"E0304", "E0305", "E0306", "E0502", "E0503"}
EXAMPLES = {"a diagnostic code, such as E0301"}
"""Help texts that show a user what a code looks like."""


def _sources() -> list[Path]:
    rooms = (ROOT / "prerl_spec", ROOT / "components", *(ROOT / "plugins").glob("*/src"))
    return sorted(file for room in rooms for file in room.rglob("*.py") if file != ROOT / "prerl_spec" / "codes.py")


def _texts(tree: ast.Module) -> set[str]:
    """Every string of a module that is no docstring (of a module, a class, a function, or under a field)."""
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docstrings)
    return {text.value for text in texts if isinstance(text.value, str)}


@pytest.mark.parametrize("file", _sources(), ids=lambda file: str(file.relative_to(ROOT)))
def test_no_text_spells_a_code_out(file: Path) -> None:
    found = {text for text in _texts(ast.parse(file.read_text(encoding="utf-8"))) if NUMBER.search(text)}
    assert found <= EXAMPLES, "write a member of prerl_spec.codes.Code"


def test_nothing_raises_the_reserved_code() -> None:
    assert not [file for file in _sources() if "Code.RESERVED" in file.read_text(encoding="utf-8")]


@pytest.mark.parametrize("code", Code)
def test_a_code_owns_its_severity_and_exit_class(code: Code) -> None:
    alone = exit_code_of([Diagnostic(code, "a mistake")])
    wanted = 0 if code.startswith("W") else 3 if code in OF_THE_ENVIRONMENT else 4 if code == "E0501" else 1
    assert alone == code.exit_code == wanted
    assert Diagnostic(code, "a mistake").severity == ("warning" if code.startswith("W") else "error")


@pytest.mark.parametrize(
    ("codes", "exit_code"),
    [
        ((), 0),
        ((Code.UNUSED, Code.FOREIGN_BARE_NAME), 0),
        ((Code.LOCK_DRIFT, Code.NO_EFFECT), 4),
        ((Code.LOCK_DRIFT, Code.PLUGIN_API), 3),
        ((Code.LOCK_DRIFT, Code.PLUGIN_API, Code.UNKNOWN_KEY), 1),
    ],
)
def test_the_spec_goes_before_the_environment_and_that_before_drift(codes: tuple[Code, ...], exit_code: int) -> None:
    assert exit_code_of([Diagnostic(code, "a mistake") for code in codes]) == exit_code

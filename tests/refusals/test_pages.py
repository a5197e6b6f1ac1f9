"""The pages that are written from the table of refusals and the table of cards are those of the tables."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_refusals", ROOT / "docs" / "write_refusals.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_up_to_date() -> None:
    module = writer()
    assert module.PAGE.read_text(encoding="utf-8") == module.refusals_page(), "python docs/write_refusals.py"
    assert module.PLANNING.read_text(encoding="utf-8") == module.planning_page(), "python docs/write_refusals.py"

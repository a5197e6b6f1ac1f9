"""A Python file that is not on the import path as a module: what is executed is its content, not bytecode kept beside it.

Bytecode is kept by the file's second and length: after an edit within a second, code other than what was hashed could run, and
a folder would be written to that is only read.
"""

import importlib.machinery
import importlib.util
from pathlib import Path
from types import CodeType, ModuleType


class _Content(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, file: Path, source: bytes) -> None:
        super().__init__(name, str(file))
        self.source = source

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.source, self.path)


def module_of_file(name: str, file: Path, source: bytes) -> ModuleType:
    """The module of this content, not executed yet; `execute` runs it. It is not in `sys.modules`."""
    spec = importlib.util.spec_from_file_location(name, file, loader=_Content(name, file, source))
    assert spec is not None, "a loader is given"
    return importlib.util.module_from_spec(spec)


def execute(module: ModuleType) -> None:
    """Runs a module of `module_of_file`. Raises whatever it raises."""
    assert module.__spec__ is not None, "made with a spec"
    assert module.__spec__.loader is not None, "made with a loader"
    module.__spec__.loader.exec_module(module)

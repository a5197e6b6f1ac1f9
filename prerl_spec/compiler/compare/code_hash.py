"""Two hashes of a component: of its settings schema and of its code.

Comments, docstrings, blank lines and descriptions are ignored: a hash changes only if behaviour may have changed.
"""

import ast
import io
import json
import sys
import tokenize
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from prerl_spec.registry.component import Component

_KEPT = 256
"""Size of the caches of parsed sources: components share modules."""
_WORDS = frozenset({"title", "description", "examples"})


def settings_hash(component: type[Component]) -> str:
    """SHA-256 of the JSON Schema of the settings, defaults included."""
    schema = _without_words(component.model_json_schema(by_alias=True))
    return sha256(json.dumps(schema, sort_keys=True).encode()).hexdigest()


def code_hash(component: type[Component]) -> str:
    """SHA-256 of the component's module and of every module of the same package that it imports, transitively.

    Imports inside functions are included: the mathematics is often imported there.
    """
    whole = sha256()
    for name, file in sorted(_modules(component.__module__).items()):
        # A local plugin file is a module named after its path: only its file name is the same on other machines.
        title = name if "." in name else file.name
        whole.update(f"{title}\0{_code(file.read_bytes())}\0".encode())
    return whole.hexdigest()


def _without_words(schema: Any, *, of_names: bool = False) -> Any:
    """The schema without descriptive keywords; a setting may itself be called `title`."""
    if isinstance(schema, dict):
        return {
            key: _without_words(value, of_names=key in ("properties", "$defs") and not of_names)
            for key, value in schema.items()
            if of_names or key not in _WORDS
        }
    return [_without_words(item) for item in schema] if isinstance(schema, list) else schema


def _modules(start: str) -> dict[str, Path]:
    """Module -> file, following imports within the top-level package of `start`, without importing anything."""
    found: dict[str, Path] = {}
    waiting = [start]
    while waiting:
        name = waiting.pop()
        file = _file(name)
        if name not in found and file is not None:
            found[name] = file
            package = start.partition(".")[0]
            waiting += [
                m
                for m in _imported(file.read_bytes(), name, file.name == "__init__.py")
                if m.partition(".")[0] == package
            ]
    return found


def _file(module: str) -> Path | None:
    """The source file of a module, located from its package's folder; a local plugin file is already imported."""
    loaded = sys.modules.get(module)
    if loaded is not None:
        source = getattr(loaded, "__file__", None)
        return Path(source) if source is not None and source.endswith(".py") else None
    top, *rest = module.split(".")
    for folder in getattr(sys.modules.get(top), "__path__", ()):
        stem = Path(folder, *rest)
        for file in (stem.with_suffix(".py"), stem / "__init__.py"):
            if file.is_file():
                return file
    return None


@lru_cache(_KEPT)
def _imported(source: bytes, module: str, is_package: bool) -> tuple[str, ...]:
    """Absolute names of all modules that a source imports; for `from a import b` also `a.b`, which may be a module."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")
            above = above[: len(above) - node.level + is_package] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            names += [origin, *(f"{origin}.{alias.name}" for alias in node.names)]
    return tuple(names)


@lru_cache(_KEPT)
def _code(source: bytes) -> str:
    """A source without comments, docstrings and blank lines."""
    text = io.TextIOWrapper(
        io.BytesIO(source), encoding=tokenize.detect_encoding(io.BytesIO(source).readline)[0]
    ).read()
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for first, last in _docstrings(ast.parse(source)):
        lines[first - 1 : last] = [""] * (last - first + 1)
    return "\n".join(kept for line in lines if (kept := line.rstrip()))


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """First and last line of every string that is a statement."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.end_lineno or node.lineno

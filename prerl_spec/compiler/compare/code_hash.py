"""What a component is made of, as two hashes: its settings (which there are and what they allow) and its code.

Comments, docstrings, blank lines and descriptions do not count: a hash changes when behaviour may have.
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
"""Sources whose reading is kept: components share modules."""
_WORDS = frozenset({"title", "description", "examples"})


def settings_hash(component: type[Component]) -> str:
    """SHA-256 of the JSON Schema of the settings, defaults included."""
    schema = _without_words(component.model_json_schema(by_alias=True))
    return sha256(json.dumps(schema, sort_keys=True).encode()).hexdigest()


def code_hash(component: type[Component]) -> str:
    """SHA-256 of the component's module and of every module of the same package that it leads to by imports, those
    inside functions included: mathematics lies there."""
    whole = sha256()
    for name, file in sorted(_modules(component.__module__).items()):
        # A file beside a spec is a module named after its place: only its own name is the same elsewhere.
        said = name if "." in name else file.name
        whole.update(f"{said}\0{_code(file.read_bytes())}\0".encode())
    return whole.hexdigest()


def _without_words(schema: Any, *, of_names: bool = False) -> Any:
    """The schema without what is said for people; a setting may itself be called `title`."""
    if isinstance(schema, dict):
        return {
            key: _without_words(value, of_names=key in ("properties", "$defs") and not of_names)
            for key, value in schema.items()
            if of_names or key not in _WORDS
        }
    return [_without_words(item) for item in schema] if isinstance(schema, list) else schema


def _modules(start: str) -> dict[str, Path]:
    """Module -> file, from the start along imports within its top-level package; nothing is imported for it."""
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
    """The source of a module, found from its package's folder; a file beside a spec is already imported."""
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
    """Every module that a source imports, relative ones made absolute; of `from a import b` also `a.b`, which may be one."""
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
    """First and last line of every text that stands as a statement."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.end_lineno or node.lineno

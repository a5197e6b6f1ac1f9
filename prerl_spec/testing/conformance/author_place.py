"""Finds the line in an author's file that a broken law is about."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from traceback import walk_tb
from types import FunctionType

from prerl_spec.registry.component import Component, Kind

MEMBERS: dict[Kind, tuple[str, ...]] = {
    "objective": ("credit", "advantage", "terms"),
    "advantage": ("advantage",),
    "selection": ("keep",),
    "surrogate": ("loss",),
    "correction": ("weight",),
    "ramp": ("value",),
    "filter": ("keep",),
    "reward": ("reward",),
    "verifier": ("judge",),
    "schedule": ("after",),
    "optimizer": ("build",),
}
"""What a law of the kind is about if its message names no member."""

VECTORS = ("advantage_N", "weight_N")
"""The fields of `Credit` in their order, of which a law may say that it is about one."""


def place_of(component: Component, error: BaseException) -> str | None:
    """`mine.py:14, in credit()`: the line that raised the error if it is the author's, else what returns the value that the
    message is about, else a setting that it names, else the class. None where there is no source file."""
    cls = type(component)
    file = _file_of(cls)
    if file is None:
        return None
    frames = [at for one in (error.__cause__, error) if one is not None for at in walk_tb(one.__traceback__)]
    for frame, line in reversed(frames):
        if frame.f_code.co_filename == file:
            return f"{_shown(file)}:{line}, in {frame.f_code.co_name}()"
    tree, message = _tree(file), str(error)
    setting = re.search(rf"\b{re.escape(cls.__name__)}\.(\w+)(?!\()\b", message)
    if setting is not None and setting[1] in cls.model_fields:
        declared = _line_of_setting(tree, cls.__name__, setting[1])
        return None if declared is None else f"{_shown(file)}:{declared}, setting `{setting[1]}`"
    if not message.startswith(f"{cls.__name__} "):
        for name in (*re.findall(r"(\w+)\(\)", message), *MEMBERS.get(component.kind, ())):
            function = _function(cls, name)
            if function is not None and function.__code__.co_filename == file:
                return f"{_shown(file)}:{_line_of_value(tree, function, getattr(error, 'about', None))}, in {name}()"
    header = next((n.lineno for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == cls.__name__), None)
    return _shown(file) if header is None else f"{_shown(file)}:{header}, in class {cls.__name__}"


def _tree(file: str) -> ast.Module:
    """The source; empty where it cannot be read any more."""
    try:
        return ast.parse(Path(file).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return ast.Module([], [])


def _line_of_setting(tree: ast.Module, cls: str, setting: str) -> int | None:
    """The line of the class that declares a setting; None where a base class does."""
    fields = (n for c in ast.walk(tree) if isinstance(c, ast.ClassDef) and c.name == cls for n in c.body)
    named = (n for n in fields if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name))
    return next((n.lineno for n in named if isinstance(n.target, ast.Name) and n.target.id == setting), None)


def _line_of_value(tree: ast.Module, function: FunctionType, about: str | None) -> int:
    """The line of the value that a law is about: of the function's only `return`, or of the field of the Credit that it
    returns, and where that is a name, of the name's last assignment. The function's own line where it returns in several
    places."""
    first = function.__code__.co_firstlineno
    nodes = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == function.__name__]
    found = [n for n in nodes if min([n.lineno, *(d.lineno for d in n.decorator_list)]) == first]
    returns = [n for node in found for n in _own_nodes(node) if isinstance(n, ast.Return) and n.value is not None]
    if len(returns) != 1 or returns[0].value is None:
        return first
    value = returns[0].value
    if about in VECTORS and isinstance(value, ast.Call):
        place = VECTORS.index(about)
        by_name = [one.value for one in value.keywords if one.arg == about]
        by_place = value.args[place : place + 1]
        value = [*by_name, *by_place, value][0]
    if isinstance(value, ast.Name):
        return max(_assigned(found[0], value.id, before=value.lineno), default=value.lineno)
    return value.lineno


def _assigned(tree: ast.AST, name: str, *, before: int) -> Iterator[int]:
    """The lines before this one that assign to a name, or to an item of it."""
    for node in _own_nodes(tree):
        if not isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) or node.lineno >= before:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        flat = [one for target in targets for one in (target.elts if isinstance(target, ast.Tuple) else [target])]
        names = [one.value if isinstance(one, ast.Subscript) else one for one in flat]
        if any(isinstance(one, ast.Name) and one.id == name for one in names):
            yield node.lineno


def _own_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without those of functions inside it."""
    for node in ast.iter_child_nodes(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            yield node
            yield from _own_nodes(node)


def _file_of(cls: type) -> str | None:
    try:
        return inspect.getsourcefile(cls)
    except TypeError:
        return None


def _function(cls: type, name: str) -> FunctionType | None:
    found = inspect.getattr_static(cls, name, None)
    found = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
    return found if isinstance(found, FunctionType) else None


def _shown(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)

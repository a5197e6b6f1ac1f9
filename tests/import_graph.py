"""Who imports whom: rooms, floors, arrows and circles of the two packages, read from the sources without importing them.

`python -m tests.import_graph` prints a line a folder; `--circles` prints only the circles; `--root DIR` reads another
checkout. `test_house.py` holds the same graph to the order of the rooms.

A *floor* of a folder: its files lie on as many floors as its longest chain of imports has files. An *arrow* is one file
that imports another, however many names it takes, at whatever level of the file: in a function and under TYPE_CHECKING too.
"""

import argparse
import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parent.parent
PACKAGES = (Path("prerl_spec"), Path("components/prerl_components"))

Where = Literal["file", "function", "typing"]
"""At the top of a file, in a function (run when it is called), or under TYPE_CHECKING (never run)."""


@dataclass(frozen=True)
class Import:
    """One module named by one statement: `Import("prerl_spec.report.page.page", "prerl_spec.errors", 12, "file")`."""

    source: str
    target: str
    line: int
    where: Where


@dataclass(frozen=True)
class Sources:
    """The Python files of a checkout by module name; a package stands for its `__init__.py`."""

    files: Mapping[str, Path]

    @classmethod
    def read(cls, root: Path = ROOT, packages: Iterable[Path] = PACKAGES) -> "Sources":
        found: dict[str, Path] = {}
        for package in packages:
            for file in sorted((root / package).rglob("*.py")):
                parts = file.relative_to((root / package).parent).with_suffix("").parts
                found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
        return cls(found)

    def folder(self, module: str) -> str:
        """The package that a module stands in: itself, if it is one."""
        return module if self.files[module].name == "__init__.py" else module.rpartition(".")[0]

    def imports(self, module: str) -> Iterator[Import]:
        """What one module imports of ours and of strangers; `from package import module` is the module's."""
        for statement, where in _written_in(self.files[module]):
            if isinstance(statement, ast.Import):
                targets = [alias.name for alias in statement.names]
            else:
                assert statement.level == 0, f"{module}, line {statement.lineno}: relative import"
                package = statement.module or ""
                inside = [f"{package}.{alias.name}" for alias in statement.names]
                targets = [name if name in self.files else package for name in inside]
            for target in dict.fromkeys(targets):
                yield Import(module, target, statement.lineno, where)

    def graph(self) -> dict[str, set[str]]:
        """Module → modules of ours that it imports, at any level of the file."""
        return {m: {i.target for i in self.imports(m) if i.target in self.files and i.target != m} for m in self.files}


@cache
def _written_in(file: Path) -> tuple[tuple[ast.Import | ast.ImportFrom, Where], ...]:
    """The import statements of a file, which is read once."""
    return tuple(_statements(ast.parse(file.read_text(encoding="utf-8")), "file"))


def _statements(tree: ast.AST, where: Where) -> Iterator[tuple[ast.Import | ast.ImportFrom, Where]]:
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.expr):
            continue  # no statement stands in an expression, and most of a tree is expressions
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, where
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _statements(child, "function")
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for statement in child.body:
                yield from _statements(ast.Module([statement], []), "typing")
            for statement in child.orelse:
                yield from _statements(ast.Module([statement], []), where)
        else:
            yield from _statements(child, where)


def circles(graph: Mapping[str, set[str]]) -> list[tuple[str, ...]]:
    """The largest sets of modules that all reach each other, each sorted; none in a graph without a circle."""
    reach = {node: _reached(graph, node) for node in graph}
    groups = {frozenset(n for n in reach[node] if node in reach[n]) for node in graph if node in reach[node]}
    return sorted(tuple(sorted(group)) for group in groups)


def _reached(graph: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for target in graph[waiting.pop()] - seen:
            seen.add(target)
            waiting.append(target)
    return seen


def floors(graph: Mapping[str, set[str]]) -> int:
    """How many modules the longest chain of imports has; the members of a circle share a floor."""
    home = {member: circle[0] for circle in circles(graph) for member in circle}
    merged: dict[str, set[str]] = {}
    for node, targets in graph.items():
        here = home.get(node, node)
        merged.setdefault(here, set()).update({home.get(t, t) for t in targets} - {here})
    height: dict[str, int] = {}
    for node in TopologicalSorter(merged).static_order():
        height[node] = 1 + max((height[t] for t in merged[node]), default=0)
    return max(height.values(), default=0)


def within(graph: Mapping[str, set[str]], members: set[str]) -> dict[str, set[str]]:
    """The part of a graph that lies between `members`."""
    return {node: graph[node] & members for node in graph if node in members}


def rooms(graph: Mapping[str, set[str]], folder: str) -> dict[str, set[str]]:
    """A folder's graph with each sub-folder drawn as one room: its own files and the rooms in it, by their short names."""

    def room(module: str) -> str | None:
        below = module.removeprefix(folder + ".")
        return None if below == module else below.split(".")[0]

    drawn: dict[str, set[str]] = {}
    for module, targets in graph.items():
        here = room(module)
        if here is not None:
            drawn.setdefault(here, set()).update({r for t in targets if (r := room(t)) not in (None, here)})  # type: ignore[misc]
    return drawn


def _lines(sources: Sources) -> Iterator[str]:
    graph = sources.graph()
    yield f"{'folder':<46} {'files':>5} {'floors':>6} {'arrows':>6} {'in':>5} {'out':>5}  rooms below"
    for folder in sorted({sources.folder(m) for m in sources.files}):
        members = {m for m in sources.files if sources.folder(m) == folder}
        inside = within(graph, members)
        arrows = sum(len(targets) for targets in inside.values())
        entering = sum(len(targets & members) for m, targets in graph.items() if m not in members)
        leaving = sum(len(graph[m] - members) for m in members)
        below = sorted(
            {
                f.removeprefix(folder + ".").split(".")[0]
                for f in map(sources.folder, graph)
                if f.startswith(folder + ".")
            }
        )
        yield (
            f"{folder:<46} {len(members - {folder}):>5} {floors(inside):>6} {arrows:>6} {entering:>5} {leaving:>5}"
            f"  {' '.join(below)}"
        ).rstrip()
    total = sum(len(targets) for targets in graph.values())
    yield f"in all: {len(graph)} files, {floors(graph)} floors, {total} arrows, {len(circles(graph))} circles"
    yield from (f"circle: {' <-> '.join(circle)}" for circle in circles(graph))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.import_graph", description=__doc__, allow_abbrev=False)
    parser.add_argument("--root", type=Path, default=ROOT, help="a checkout of this repository (default: this one)")
    parser.add_argument("--circles", action="store_true", help="print only the circles; exit 1 if there is one")
    options = parser.parse_args(arguments)
    sources = Sources.read(options.root)
    if options.circles:
        found = circles(sources.graph())
        print("\n".join(" <-> ".join(circle) for circle in found) or "no circle")
        return 1 if found else 0
    print("\n".join(_lines(sources)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

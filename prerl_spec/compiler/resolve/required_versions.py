"""Checks `[requires]`: distribution versions, read from package metadata before any plugin is imported."""

from collections.abc import Iterator
from importlib import metadata

from prerl_spec.codes import Code
from prerl_spec.errors import Diagnostic
from prerl_spec.language.document import Scalar, Table, join_path


def unmet(root: Table) -> Iterator[Diagnostic]:
    """E0202 for an invalid specifier, E0503 for a missing distribution, E0502 for a version outside the specifier."""
    table = root.get("requires")
    if not isinstance(table, Table) or not table.entries:
        return
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # slow to import: only for specs with [requires]

    for name, entry in table.entries.items():
        node, path = entry.value, join_path("requires", name)
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            continue
        try:
            wanted = SpecifierSet(node.value)
        except InvalidSpecifier:
            message = f'"{node.value}" is not a version specifier'
            yield Diagnostic(Code.CONSTRAINT_BROKEN, message, node.span, path, 'such as ">=0.1"')
            continue
        try:
            version = metadata.version(name)
        except (metadata.PackageNotFoundError, ValueError):
            message = f"{name} is not installed"
            yield Diagnostic(Code.NOT_INSTALLED, message, entry.span, path, help=f"pip install '{name}{node.value}'")
            continue
        if not wanted.contains(version, prereleases=True):
            message = f"{name} {version} is installed, {node.value} is required"
            yield Diagnostic(Code.REQUIRED_VERSION, message, node.span, path, help=f"pip install '{name}{node.value}'")

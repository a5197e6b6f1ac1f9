"""Gives a place to what a component or a template finds wrong when data is read: it knows a path, and no file."""

from collections.abc import Iterator
from dataclasses import replace

from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.errors import Diagnostic
from prerl_spec.language.document import parent_path

MODEL = ("model.tokenizer", "model.name")
"""What a spec says about a chat template that it did not write."""


def with_place(resolved: Resolved, diagnostic: Diagnostic) -> Diagnostic:
    """The diagnostic at the value of its path, else at the nearest table around it; unchanged where it has a place."""
    if diagnostic.span is not None:
        return diagnostic
    for path in _outwards(diagnostic.path):
        if (span := resolved.value_span(path)) is not None:
            return resolved.with_definition(replace(diagnostic, span=span, path=path))
    return diagnostic


def _outwards(path: str) -> Iterator[str]:
    if path == "model":
        yield from MODEL
    while path:
        yield path
        path = parent_path(path)

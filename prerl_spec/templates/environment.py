"""The Jinja environment of templates: that of transformers' `apply_chat_template`, without transformers.

`render_jinja_template` of transformers 5.23: immutable sandbox, trimmed blocks, `{% generation %}`, `{% break %}`,
`tojson` that does not escape HTML, `raise_exception`, `strftime_now`, a `dict` and a `namespace` without dunder names.
"""

import json
from datetime import datetime
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateError, Undefined, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace


class Refused(TemplateError):
    """What a template raises with `raise_exception`: it does not take these messages."""


class GenerationBlock(Extension):
    """`{% generation %}…{% endgeneration %}` marks what the assistant wrote. Rendered, it is its body, in a scope of its
    own: what `{% set %}` sets inside is not seen outside."""

    tags = {"generation"}  # noqa: RUF012  # an instance variable in Extension

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("whole"), [], [], body).set_lineno(line)

    def whole(self, caller: Any) -> Any:
        return caller()


class TemplateDict:
    """`dict` for templates: it makes dictionaries and has no attribute of the type's."""

    def __call__(self, *args: Any, **named: Any) -> dict[Any, Any]:
        return dict(*args, **named)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


class TemplateNamespace(Namespace):
    """`namespace` for templates: names that begin with an underscore cannot be set."""

    def __init__(*args: Any, **named: Any) -> None:  # `namespace(self=…)` is allowed
        self, rest = args[0], args[1:]
        values = dict(*rest, **named)
        for name in values:
            _require_public(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _require_public(name)
        Namespace.__setitem__(self, name, value)


def _require_public(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"an attribute of a namespace begins with an underscore: {name!r}")


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: Any) -> None:
    raise Refused(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)


def _environment(undefined: type[Undefined]) -> Environment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, loopcontrols], undefined=undefined
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    environment.globals["dict"] = TemplateDict()
    environment.globals["namespace"] = TemplateNamespace
    return environment


CHAT = _environment(Undefined)
"""Chat templates may read variables that are not passed and expect them to be empty."""

ROW = _environment(StrictUndefined)
"""In a row template an undefined variable is a misspelt column: ignoring it would silently cut the question."""

"""Row templates, `template = "{{ problem }}"` of a data set: Jinja over a row's columns, all of which must be there."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError, nodes

from prerl_spec.codes import Code
from prerl_spec.errors import Diagnostic, SpecInvalid
from prerl_spec.templates.environment import ROW
from prerl_spec.templates.renderer import RENDERER, Rendered, TemplateFault


def template_fault(template: str) -> str | None:
    """The syntax error of a row template, or None if it parses. Nothing of it is evaluated: Jinja computes constant
    expressions, of any size, when it compiles."""
    try:
        parsed = _parsed(template)
    except TemplateError as error:
        return str(error)
    except RecursionError:
        return "it is nested too deeply"
    for kind, known in ((nodes.Filter, ROW.filters), (nodes.Test, ROW.tests)):
        for node in parsed.find_all(kind):
            if node.name not in known:
                return f"no {kind.__name__.lower()} named {node.name!r} (line {node.lineno})"
    return None


def fill_all(template: str, rows: Sequence[Mapping[str, Any]]) -> list[Rendered]:
    """Each row's rendering, up to a final fault."""
    try:
        read = {name.name for name in _parsed(template).find_all(nodes.Name)}
    except (TemplateError, RecursionError):
        read = None  # the rendering says what is wrong
    # Of a row with long columns, only those that the template reads travel.
    each = [row if read is None else {key: value for key, value in row.items() if key in read} for row in rows]
    return RENDERER.render("row", template, each)


def fill_template(template: str, fields: Mapping[str, Any]) -> str:
    """Renders a Jinja template with a row's columns. Raises SpecInvalid (E0202) if the template does not parse or render,
    or reads a column that the row does not have."""
    outcome = fill_all(template, [fields])[0]
    if isinstance(outcome, TemplateFault):
        raise SpecInvalid([Diagnostic(Code.CONSTRAINT_BROKEN, str(outcome))])
    return outcome


@lru_cache(maxsize=64)
def _parsed(template: str) -> nodes.Template:
    return ROW.parse(template)

"""Builds the diagnostic of a violated rule: carets under the value written last, labels at the others."""

from collections.abc import Iterator, Sequence
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.served import Served
from prerl_spec.errors import Diagnostic, Label
from prerl_spec.registry.component import Fact


def use_place(resolved: Resolved, component: str) -> str:
    """The path of a component's name: `sampler.use`, or `sampler` in the short form."""
    written_out = f"{component}.use"
    return written_out if resolved.is_written(written_out) else component


def setting_places(resolved: Resolved, owner: str, component: Any, setting: str) -> Iterator[tuple[str, Any]]:
    """The path and value of a component's setting, for `at_last_written`.

    A default is reported together with the name of its component. `terms[1].use` is the component in a slot.
    """
    inner, _, last = setting.rpartition(".")
    if inner and last == "use":
        yield use_place(resolved, f"{owner}.{inner}"), None
        return
    if setting != "use":
        yield f"{owner}.{setting}", getattr(component, setting, None)
    if setting == "use" or not resolved.is_written(f"{owner}.{setting}"):
        yield use_place(resolved, owner), None


def place_behind(resolved: Resolved, served: Served[object], fact: Fact) -> tuple[str, Any]:
    """The setting that decides a fact about a component, if the spec writes it; else the component's name."""
    assert served.built is not None, f"the component at {served.path} is invalid: no rule may read it"
    setting = served.built.component.setting_behind(fact)
    if setting in served.built.written:
        return f"{served.path}.{setting}", getattr(served.built.component, setting)
    return use_place(resolved, served.path), None


def at_last_written(
    resolved: Resolved, code: Code, message: str, places: Sequence[tuple[str, Any]], *, help: str | None = None
) -> Diagnostic:
    """A diagnostic about several settings, each (path, value), with its span at the one written last.

    The other written settings become labels, defaults become notes.
    """
    written = sorted({path for path, _ in places if resolved.is_written(path)}, key=resolved.order)
    defaults = [(path, value) for path, value in places if path not in written]
    primary = written[-1] if written else places[0][0]
    labels = [
        Label(span, f"`{_setting(path)}` is set here")
        for path in written[:-1]
        if (span := resolved.value_span(path)) is not None
    ]
    return Diagnostic(
        code,
        message,
        resolved.value_span(primary),
        path=primary,
        labels=tuple(labels),
        help=help,
        notes=tuple(
            f"`{_setting(path)}` is {_toml(value)} by default" for path, value in defaults if value is not None
        ),
    )


def _setting(path: str) -> str:
    return path.rsplit(".", 1)[-1]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)

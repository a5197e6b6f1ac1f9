"""Two alternative spec validators as baselines, built as strictly as possible: pydantic models, and confection.

Both are generated from this project's settings models, with more type information than most users would write: every
setting has its type, bounds and choices. They lack only what the benchmark compares.
"""

import inspect
import json
import re
import tomllib
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.language.document import plain, split_path
from prerl_spec.language.spec import PhaseSpec, Section, Spec
from prerl_spec.registry.component import Component
from prerl_spec.registry.entry_points import installed, load
from prerl_spec.registry.kind_names import KINDS
from prerl_spec.registry.settings import Setting, settings_of

Judge = Callable[[Any], str | None]
"""A spec (its text, or a confection config) -> the error message, None if it is accepted."""


class AnyComponent(BaseModel):
    """The most that a strict model can require of a component from any plugin: a name, and settings."""

    model_config = ConfigDict(strict=True, extra="allow")
    use: str


def pydantic_model(component: Callable[[Setting], Any]) -> Judge:
    """The grammar as strict, closed pydantic models over tomllib; `component` returns the type of a component slot."""
    phase = _with_components(PhaseSpec, component)
    spec = _with_components(Spec, component, phases=(tuple[phase, ...], ()))  # type: ignore[valid-type]

    def judge(text: str) -> str | None:
        try:
            # Via JSON: in Python mode strict models reject a list for a tuple field.
            spec.model_validate_json(json.dumps(tomllib.loads(text), default=str))
        except (tomllib.TOMLDecodeError, ValidationError) as error:
            return str(error)
        return None

    return judge


def open_component(setting: Setting) -> Any:
    """`use` with any settings: open to components of any plugin."""
    return str | AnyComponent


def closed_component(setting: Setting) -> Any:
    """A discriminated union of the installed components, each with its settings model."""
    assert setting.slot is not None, "only component slots have this type"
    return _closed(setting.slot.kind, frozenset())


def _closed(kind: Any, around: frozenset[str]) -> Any:
    """Nested slots are closed too, except recursive ones (a sum of sums)."""
    models = []
    classes = _classes(kind)
    if not classes or kind in around:
        return AnyComponent
    for name, cls in classes.items():
        slots: dict[str, Any] = {}
        for setting in (s for s in settings_of(cls).values() if s.slot is not None):
            one = _closed(setting.slot.kind, around | {kind})  # type: ignore[union-attr]
            whole = tuple[one, ...] if setting.slot.many else one  # type: ignore[union-attr, valid-type]
            slots[setting.attribute] = (whole, ...) if setting.required else (whole | None, None)
        use: Any = (Literal[name], ...)
        origin: Any = (str, Field("", alias="from"))
        models.append(create_model(f"Closed_{name}", __base__=cls, use=use, origin=origin, **slots))
    tables = Annotated[Union[tuple(models)], Field(discriminator="use")] if len(models) > 1 else models[0]  # noqa: UP007
    return Union[Literal[tuple(classes)], tables]  # noqa: UP007


def _classes(kind: Any) -> dict[str, type[Component]]:
    registry = installed()
    return {name: load(registry.providers(kind, name)[0]) for name in registry.names(kind)}


def _with_components(model: type[Section], component: Callable[[Setting], Any], **others: Any) -> type[BaseModel]:
    """The section with new types for its component slots and for the fields in `others`."""
    fields: dict[str, Any] = dict(others)
    for setting in settings_of(model).values():
        if setting.slot is None:
            continue
        one = component(setting)
        whole = dict[str, one] if setting.named else tuple[one, ...] if setting.slot.many else one  # type: ignore[valid-type]
        fields[setting.attribute] = (whole, ...) if setting.required else (whole | None, None)
    return create_model(f"Open{model.__name__}", __base__=model, **fields)


# --- confection ------------------------------------------------------------------------------------------------------


def confection_judge() -> Judge:
    """Registered functions with typed arguments, for phases and sequences as well; core tables by a closed schema, checked
    separately (`resolve` with a schema would silently remove unknown sections). Raises ImportError."""
    from confection import Config, ConfigValidationError, Schema, registry

    def closed(name: str, annotations: Mapping[str, Any], defaults: Mapping[str, Any]) -> type:
        config = {"extra": "forbid", "arbitrary_types_allowed": True}
        return type(name, (Schema,), {"model_config": config, "__annotations__": dict(annotations), **defaults})

    core = settings_of(Spec)
    loose = {k: s for k, s in core.items() if _is_loose(s)}
    general = closed("General", {k: s.annotation for k, s in loose.items()}, _defaults(loose))
    tables: dict[str, Any] = {GENERAL: general}
    for key, setting in core.items():
        if key not in loose:
            inner = settings_of(setting.section) if setting.section and not setting.takes_list else None
            tables[key] = closed(key, {k: s.annotation for k, s in inner.items()}, _defaults(inner)) if inner else dict
    layout = closed("Layout", tables, {k: {} for k in tables if k not in (GENERAL, "run", "model")})
    registry.phase = {"phase": _typed("phase", settings_of(PhaseSpec))}
    registry.sequence = {"sequence": lambda *items: list(items)}
    for kind in KINDS:
        setattr(registry, kind, {name: _typed(name, settings_of(cls)) for name, cls in _classes(kind).items()})

    def judge(config: Any) -> str | None:
        try:
            text = config if isinstance(config, str) else Config(config).to_str()
            written = Config().from_str(text)
            written.validate(layout)
            registry.resolve(written)
        except ConfigValidationError as error:
            return "\n".join(f"{' -> '.join(map(str, e.get('loc', ())))}: {e.get('msg')}" for e in error.errors or ())
        except Exception as error:  # any exception counts as a rejection
            return str(error)
        return None

    return judge


GENERAL = "general"
"""Section for a spec's top-level values: in a confection config every value belongs to a section."""


def _is_loose(setting: Setting) -> bool:
    return setting.slot is None and setting.section is None and not setting.takes_table


def _defaults(settings: Mapping[str, Setting]) -> dict[str, Any]:
    return {s.attribute: s.default for s in settings.values() if not s.required}


def _typed(name: str, settings: Mapping[str, Setting]) -> Callable[..., Any]:
    """A function whose parameters are these settings, with their types and defaults."""

    def build(**given: Any) -> dict[str, Any]:
        return given

    def annotation(setting: Setting) -> Any:
        return Any if setting.slot is not None else _with_lists(setting.annotation)

    build.__name__ = name
    parameters = [
        inspect.Parameter(
            s.attribute,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty
            if s.required
            else list(s.default)
            if type(s.default) is tuple
            else s.default,
            annotation=annotation(s),
        )
        for s in settings.values()
    ]
    build.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    build.__annotations__ = {p.name: p.annotation for p in parameters}
    return build


def _with_lists(annotation: Any) -> Any:
    """The type with tuples replaced by lists: a config has no tuples."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return Annotated[_with_lists(arguments[0]), *arguments[1:]]
    if origin is tuple:
        return list[_with_lists(arguments[0])]  # type: ignore[misc]
    if origin in (Union, types.UnionType):
        return Union[tuple(_with_lists(a) for a in arguments)]  # noqa: UP007
    return annotation


def confection_config(resolved: Resolved) -> dict[str, Any]:
    """The spec as a confection config: `use` as `@kind`, lists of tables as arguments of a registered sequence."""

    def block(value: Any, path: str) -> Any:
        built = resolved.built.get(path)
        if built is not None:
            table = {"use": value} if isinstance(value, str) else value
            inner = {k: block(v, f"{path}.{k}") for k, v in table.items() if k != "use"}
            return {f"@{built.kind}": table["use"], **inner}
        if isinstance(value, dict):
            inner = {k: block(v, f"{path}.{k}" if path else k) for k, v in value.items()}
            return {"@phase": "phase", **inner} if re.fullmatch(r"phases\[\d+\]", path) else inner
        if isinstance(value, list) and (path == "phases" or f"{path}[0]" in resolved.built):
            return {"@sequence": "sequence", "*": {f"item{i}": block(v, f"{path}[{i}]") for i, v in enumerate(value)}}
        return value

    config = dict(block(plain(resolved.root), ""))
    loose = [key for key, setting in settings_of(Spec).items() if _is_loose(setting) and key in config]
    return {GENERAL: {key: config.pop(key) for key in loose}, **config}


def holder_in_config(config: dict[str, Any], path: str) -> tuple[dict[str, Any] | list[Any], Any]:
    """The container and key in the confection config of the value at a spec's path."""
    if path in config[GENERAL]:
        return config[GENERAL], path
    holder: Any = {"": config}
    key: Any = ""
    for step in split_path(path):
        holder = holder[key]
        if isinstance(step, int) and isinstance(holder, dict):
            holder, step = holder["*"], f"item{step}"
        elif step == "use":
            step = next(k for k in holder if k.startswith("@"))
        key = step
    return holder, key


def twice_in_config(config: dict[str, Any], key: str) -> str:
    """A config's text with the first line of a key duplicated."""
    from confection import Config

    text = str(Config(config).to_str())
    line = next(written for written in text.split("\n") if written.startswith(f"{key} = "))
    return text.replace(line, f"{line}\n{line}", 1)

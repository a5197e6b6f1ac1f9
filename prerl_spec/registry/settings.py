"""Describes the settings of a model, and turns pydantic's validation errors into codes, places and messages.

Unknown and missing keys are not reported here: they need the whole spec (`compiler/resolve/resolve.py`).
"""

import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined

from prerl_spec.codes import Code
from prerl_spec.language.document import Array, Node, Scalar, Table
from prerl_spec.language.spec import Part, Section
from prerl_spec.registry.component import Kind, PassedThrough, Secret, Slot, SpecPath
from prerl_spec.text_forms import IN_WORDS


@dataclass(frozen=True)
class Setting:
    """One field of a settings model, as a spec writes it."""

    key: str
    attribute: str
    annotation: Any
    required: bool
    default: Any
    slot: Slot | None
    named: bool
    """A table of named components (`data`)."""
    section: type[BaseModel] | None
    """The model of a core table, or of each table of a list of them."""
    marks: frozenset[type]
    choices: tuple[str, ...]
    """Words of a closed set of choices, in order of declaration."""
    examples: tuple[Any, ...] = ()
    """Values that its author names as good ones."""

    @property
    def is_path(self) -> bool:
        return SpecPath in self.marks

    @property
    def is_secret(self) -> bool:
        return Secret in self.marks

    @property
    def handed_on(self) -> bool:
        return PassedThrough in self.marks

    @property
    def takes_table(self) -> bool:
        """Whether a table that is not a component is accepted."""
        return any(_is_table(a) for a in _branches(self.annotation))

    @property
    def takes_list(self) -> bool:
        return any((get_origin(a) or a) in (tuple, list) for a in _branches(self.annotation))

    @property
    def takes_tuple(self) -> bool:
        """Whether a list must be converted to a tuple."""
        return any((get_origin(a) or a) is tuple for a in _branches(self.annotation))

    @property
    def takes_text(self) -> bool:
        """Whether a text other than the fixed words is accepted."""
        return any(a is str for a in _branches(self.annotation))

    @property
    def takes_number(self) -> bool:
        return any(a in (int, float) for a in _branches(self.annotation))

    @property
    def takes_bool(self) -> bool:
        return any(a is bool for a in _branches(self.annotation))

    @property
    def takes_value(self) -> bool:
        """Whether a slot accepts a value in place of a component: a fixed word, or a number."""
        return self.slot is not None and bool(self.choices or self.takes_number)

    def holds_component(self, node: Node) -> bool:
        """Whether what is written here is to be read as a component. Where a number is the other possibility, a component
        is always a table; where a fixed word is, any other text names a component."""
        if self.slot is None:
            return False
        if not self.takes_value or isinstance(node, Table) or (isinstance(node, Array) and node.of_headers):
            return True
        if self.takes_number:
            return False
        return not (isinstance(node, Scalar) and node.value in self.choices)

    @property
    def only_choices(self) -> bool:
        """Whether only fixed words are accepted."""
        return all(get_origin(a) is Literal for a in _branches(self.annotation))

    @property
    def wanted(self) -> str:
        """The accepted types, in words: "a number or `off`"."""
        words = [_in_words(a) for a in _branches(self.annotation)]
        if self.slot is not None:
            words = [f"a {self.slot.kind}" if word == "a component" else word for word in words]
        return " or ".join(dict.fromkeys(w for w in words if w)) or "another value"


@cache
def settings_of(model: type[BaseModel]) -> Mapping[str, Setting]:
    """Key -> setting, in order of declaration."""
    found: dict[str, Setting] = {}
    for attribute, info in model.model_fields.items():
        key = info.alias or attribute
        annotation = _annotation(info)
        slots = [m for m in marks_of(annotation) if isinstance(m, Slot)]
        parts = [m for m in marks_of(annotation) if isinstance(m, Part)]
        if parts:
            slots = [Slot(cast(Kind, parts[0].kind), many=parts[0].form == "list")]
        default = info.get_default(call_default_factory=True) if not info.is_required() else None
        found[key] = Setting(
            key=key,
            attribute=attribute,
            annotation=annotation,
            required=info.is_required(),
            default=None if default is PydanticUndefined else default,
            slot=slots[0] if slots else None,
            named=any(p.form == "named" for p in parts),
            section=next(_sections(annotation), None),
            marks=frozenset(type(m) for m in marks_of(annotation) if isinstance(m, SpecPath | Secret | PassedThrough)),
            choices=tuple(dict.fromkeys(_choices(annotation))),
            examples=tuple(info.examples or ()),
        )
    return found


RENAMED = "renamed"
"""The type of a validator's error on a value that has another name now; its context has `ways` and `help`."""


@dataclass(frozen=True)
class SettingFault:
    """A value that a settings model rejects: `steps` are the keys and indices that lead to it."""

    code: Literal[Code.WRONG_TYPE, Code.CONSTRAINT_BROKEN, Code.NOT_A_CHOICE, Code.RENAMED]
    steps: tuple[str | int, ...]
    message: str
    at_key: bool = False
    choices: tuple[str, ...] = ()
    wanted: str = ""
    """The accepted types, in words, if the type is wrong."""
    ways: tuple[str, ...] = ()
    """What to write instead of a former name, the new name first."""
    help: str | None = None
    pattern: str = ""
    """What a text does not match, if that is all that is wrong with it."""


def validate(model: type[BaseModel], values: Mapping[str, Any]) -> tuple[BaseModel | None, list[SettingFault]]:
    """The model's instance, or None with every refusal; missing keys are not refusals."""
    try:
        return model.model_validate(dict(values)), []
    except ValidationError as error:
        details = error.errors(include_url=False)
    return None, _refusals(model, values, details)


def _refusals(model: type[BaseModel], values: Mapping[str, Any], details: list[ErrorDetails]) -> list[SettingFault]:
    """One refusal per place: pydantic reports every branch of a union, but a value is wrong only once."""
    places: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for detail in details:
        if detail["type"] != "missing" or len(detail["loc"]) > 1:
            places.setdefault(_steps(values, detail["loc"]), []).append(detail)
    settings = settings_of(model)
    refusals: list[SettingFault] = []
    for steps, found in places.items():
        goes_deeper = any(steps != other and other[: len(steps)] == steps for other in places)
        if goes_deeper and all(_says_less_than_an_item(d) for d in found):
            continue  # an item's error is more specific than "not a text", or than the number of valid items
        setting = settings.get(str(steps[0])) if steps else None
        value = _value(values, steps)
        refusals.append(_refusal(steps, setting, value, found))
    return refusals


def _refusal(
    steps: tuple[str | int, ...], setting: Setting | None, value: Any, found: list[ErrorDetails]
) -> SettingFault:
    name = f"`{next((s for s in reversed(steps) if isinstance(s, str)), '')}`" if steps else "the table"
    choices = setting.choices if setting is not None else ()
    if former := next((d for d in found if d["type"] == RENAMED), None):
        context = former["ctx"]
        return SettingFault(Code.RENAMED, steps, former["msg"], ways=tuple(context["ways"]), help=context["help"])
    broken = [d for d in found if not _is_type_error(d)]
    rules = [d for d in broken if d["type"] != "literal_error"]
    at_key = any(d["loc"][-1:] == ("[key]",) for d in found)
    takes_words = any(not _is_type_error(d) for d in found)
    fits_no_pattern = all(d["type"].startswith("string_") for d in rules)
    if isinstance(value, str) and choices and takes_words and fits_no_pattern:
        if setting is not None and (setting.takes_number or setting.takes_bool) and _looks_like_value(value):
            return SettingFault(
                Code.WRONG_TYPE, steps, f"{name} must be {setting.wanted}, not {seen_as(value)}", wanted=setting.wanted
            )
        other = (
            f" and does not match {rules[0]['ctx']['pattern']}"
            if rules and "pattern" in rules[0].get("ctx", {})
            else ""
        )
        return SettingFault(
            Code.NOT_A_CHOICE, steps, f"{shown(value)} is not a choice of {name}{other}", choices=choices
        )
    if setting is not None and setting.only_choices:
        return SettingFault(Code.NOT_A_CHOICE, steps, f"{shown(value)} is not a choice of {name}", choices=choices)
    if rules:
        pattern = str(rules[0].get("ctx", {}).get("pattern", ""))
        return SettingFault(Code.CONSTRAINT_BROKEN, steps, _broken_rule(name, value, rules), at_key, pattern=pattern)
    wanted = setting.wanted if setting is not None and len(steps) == 1 else _wanted(found)
    return SettingFault(Code.WRONG_TYPE, steps, f"{name} must be {wanted}, not {seen_as(value)}", at_key, wanted=wanted)


_LIMITS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}


def _broken_rule(name: str, value: Any, rules: list[ErrorDetails]) -> str:
    rule = rules[0]
    kind, context = rule["type"], rule.get("ctx", {})
    if kind in _LIMITS:
        words, key = _LIMITS[kind]
        return f"{name} must be {words} {context[key]}, not {shown(value)}"
    if kind == "finite_number":
        return f"{name} must be a finite number, not {shown(value)}"
    if kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        form = f"be {IN_WORDS[pattern]}" if pattern in IN_WORDS else f"match {pattern}"
        return f"{name} must {form}, not {shown(value)}"
    if kind in ("too_short", "string_too_short"):
        return f"{name} must not be empty" if context.get("min_length") == 1 else f"{name} is too short"
    if kind in ("too_long", "string_too_long"):
        return f"{name} is too long"
    if kind == "missing":
        return f"{name} has too few items"
    if kind in ("value_error", "assertion_error"):
        message = str(context.get("error", rule["msg"]))
        return f"{name}: {message}" if name != "the table" else message
    return f"{name}: {rule['msg'][:1].lower()}{rule['msg'][1:]}"


def shown(value: Any) -> str:
    """A value as TOML would write it, shortened."""
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, str):
        text = '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    elif isinstance(value, Mapping):
        return "a table"
    elif isinstance(value, list | tuple):
        return "a list"
    else:
        text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def seen_as(found: Any) -> str:
    """A value, or the node that holds it, described by its type: a quoted number is a text."""
    if isinstance(found, Scalar):
        found = found.value
    if isinstance(found, Array | Table):
        return "a list" if isinstance(found, Array) else "a table"
    return f"the text {shown(found)}" if isinstance(found, str) else shown(found)


def _steps(values: Any, location: tuple[int | str, ...]) -> tuple[str | int, ...]:
    """pydantic's location without the names of union branches: only keys and indices of the values."""
    steps: list[str | int] = []
    at = values
    for step in location:
        is_key = isinstance(at, Mapping) and step in at
        is_index = isinstance(at, list | tuple) and isinstance(step, int) and step < len(at)
        if is_key or is_index:
            at = at[step]
            steps.append(step)
    return tuple(steps)


def _value(values: Any, steps: tuple[str | int, ...]) -> Any:
    for step in steps:
        values = values[step]
    return values


def _is_type_error(detail: ErrorDetails) -> bool:
    kind = detail["type"]
    return kind.endswith(("_type", "_parsing", "_from_float", "_attributes_type")) or kind in (
        "is_instance_of",
        "none_required",
        "model_type",
        "int_from_float",
    )


def _says_less_than_an_item(detail: ErrorDetails) -> bool:
    return _is_type_error(detail) or detail["type"] in ("literal_error", "too_short")


def _looks_like_value(text: str) -> bool:
    return text in ("true", "false") or re.fullmatch(r"[+-]?[0-9._]+(e[+-]?\d+)?", text) is not None


def _annotation(info: FieldInfo) -> Any:
    """The annotation with the metadata that pydantic stripped from its outside."""
    annotation: Any = info.annotation
    for mark in info.metadata:
        annotation = Annotated[annotation, mark]
    return annotation


def marks_of(annotation: Any) -> Iterator[Any]:
    """Every piece of metadata anywhere in an annotation."""
    yield from getattr(annotation, "__metadata__", ())
    for argument in get_args(annotation) if get_origin(annotation) is not Literal else ():
        yield from marks_of(argument)


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections(argument)


def _branches(annotation: Any) -> Iterator[Any]:
    """The alternatives of a union, without metadata; a Literal stays whole."""
    if hasattr(annotation, "__metadata__"):
        yield from _branches(annotation.__origin__)
    elif get_origin(annotation) in (Union, types.UnionType):
        for argument in get_args(annotation):
            yield from _branches(argument)
    elif annotation is not type(None):
        yield annotation


def _is_table(annotation: Any) -> bool:
    origin = get_origin(annotation) or annotation
    return isinstance(origin, type) and issubclass(origin, Mapping)


_ALTERNATION = re.compile(r"(?:\^|\\A)\((?:\?:)?([^()]*(?:\([^()]*\)[^()]*)*)\)(?:\$|\\Z)")


def _choices(annotation: Any) -> Iterator[str]:
    """Fixed words: of Literals, and of patterns that are alternations (`^(whole|after:.+)$` has `whole`)."""
    if get_origin(annotation) is Literal:
        yield from (a for a in get_args(annotation) if isinstance(a, str))
        return
    for mark in getattr(annotation, "__metadata__", ()):
        pattern = getattr(mark, "pattern", None)
        if pattern is None:
            pattern = next((getattr(m, "pattern", None) for m in getattr(mark, "metadata", ())), None)
        if isinstance(pattern, str) and (found := _ALTERNATION.fullmatch(pattern)):
            yield from (w for w in found[1].split("|") if re.fullmatch(r"[A-Za-z0-9_-]+", w))
    for argument in get_args(annotation):
        yield from _choices(argument)


def _in_words(annotation: Any) -> str:
    origin = get_origin(annotation) or annotation
    if origin is Literal:
        return " or ".join(f'"{a}"' for a in get_args(annotation))
    if not isinstance(origin, type):
        return ""
    for kind, words in (
        (bool, "true or false"),
        (int, "a whole number"),
        (float, "a number"),
        (str, "a text"),
        (tuple, "a list"),
        (list, "a list"),
        (Mapping, "a table"),
        (BaseModel, "a component"),
    ):
        if issubclass(origin, kind):
            return words
    return ""


def _wanted(found: list[ErrorDetails]) -> str:
    words = {
        "string_type": "a text",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "bool_type": "true or false",
        "tuple_type": "a list",
        "list_type": "a list",
        "dict_type": "a table",
        "mapping_type": "a table",
        "literal_error": "",
    }
    types_named = " or ".join(dict.fromkeys(filter(None, (words.get(d["type"], "another value") for d in found))))
    return types_named or "one of its choices"

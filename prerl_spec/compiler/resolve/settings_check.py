"""Validates each table against its model: unknown keys, missing keys, then values; core tables first."""

import json
import math
import os
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from prerl_spec.codes import Code
from prerl_spec.compiler.resolve.component_names import RESERVED, Declarations, Declared
from prerl_spec.compiler.resolve.findings import Findings
from prerl_spec.compiler.resolve.foreign.lookup import foreign_value
from prerl_spec.compiler.resolve.foreign.word import ForeignValue
from prerl_spec.compiler.resolve.foreign_homes import linked
from prerl_spec.compiler.resolve.near_phases import near_phases
from prerl_spec.compiler.resolve.unknown_keys import Keys
from prerl_spec.errors import Diagnostic, Label, Span, Suggestion
from prerl_spec.language.compose import names_component
from prerl_spec.language.document import (
    Array,
    Entry,
    Invalid,
    Node,
    Scalar,
    Table,
    holds_invalid,
    join_path,
    parts,
    plain,
    walk,
)
from prerl_spec.language.lexing import number_meant
from prerl_spec.language.overrides import below
from prerl_spec.language.spec import LANGUAGE_VERSION, PhaseSpec, RunSpec, Spec, header_of
from prerl_spec.language.suggest import fold, nearest
from prerl_spec.registry.component import Component
from prerl_spec.registry.entry_points import PluginFault, load
from prerl_spec.registry.plugin_contract import blame_plugin, check_declared_types
from prerl_spec.registry.settings import Setting, SettingFault, seen_as, settings_of, shown, validate
from prerl_spec.text_forms import made_to_match
from prerl_spec.views import Conditional


class Check(Findings):
    """One validation pass over a composed tree; fills `components`, `written`, `diagnostics` and `poisoned`."""

    def __init__(self, root: Table, declarations: Declarations, folders: Mapping[str, Path], has_gaps: bool) -> None:
        super().__init__(poisoned=set(declarations.poisoned))
        self.root = root
        self.declarations = declarations
        self.declared = declarations.found
        self.folders = folders
        self.has_gaps = has_gaps
        self.components: dict[str, Component] = {}
        self.written: dict[str, frozenset[str]] = {}
        self.start = root.span
        self.keys = Keys(declarations)

    def run(self) -> Spec:
        values = self.section(self.root, Spec, "", self.start)
        self.diagnostics = linked(self.diagnostics, self.keys.foreign.elsewhere, self.root, self.declared)
        self._version()
        self._something_to_do()
        spec = _valid_part(Spec, values)
        assert isinstance(spec, Spec), "`_valid_part` returns an instance of its model"
        return spec

    # --- core tables -------------------------------------------------------------------------------------------------

    def section(self, table: Table, model: type[BaseModel], path: str, anchor: Span | None) -> dict[str, Any]:
        """The valid values of a core table, by attribute."""
        settings = settings_of(model)
        misspelt = self.unknown(table, settings, path, None)
        values: dict[str, Any] = {}
        for key, entry in table.entries.items():
            setting = settings.get(key)
            where = join_path(path, key)
            if setting is None:
                continue
            if isinstance(entry.value, Invalid):
                self.poisoned.add(where)
            elif setting.holds_component(entry.value):
                assert setting.slot is not None
                self.part(setting, entry.value, where)
                wrong_form = where in self.declarations.poisoned and (setting.named or setting.slot.many)
                if not wrong_form:
                    values[setting.attribute] = self.without_strays(entry.value, where)
            elif setting.section is not None:
                found = self.nested(setting, entry, where)
                if found is not None:
                    values[setting.attribute] = found
            elif holds_invalid(entry.value):
                self.poisoned.add(where)
            elif not self.stray(setting, entry, where):
                values[setting.attribute] = self.plain(setting, entry.value)
        self.missing(table, settings, misspelt, path, anchor)
        plain_keys = {s.attribute for s in settings.values() if s.slot is None and s.section is None}
        return self.held(model, table, values, plain_keys, path)

    def without_strays(self, node: Node, path: str) -> Any:
        """The plain value of a slot, without the keys of a table of named components at which none is meant."""
        value, strays = plain(node), self.declarations.strays
        is_table = isinstance(value, dict) and strays
        return {k: v for k, v in value.items() if join_path(path, k) not in strays} if is_table else value

    def held(
        self, model: type[BaseModel], table: Table, values: dict[str, Any], keys: set[str], path: str
    ) -> dict[str, Any]:
        """The values that the model accepts; reports each one that it rejects."""
        by_key = {
            s.key: values[s.attribute] for s in settings_of(model).values() if s.attribute in values.keys() & keys
        }
        _, refusals = validate(model, by_key)
        for refusal in refusals:
            self.refused(refusal, table, path)
            setting = settings_of(model).get(str(refusal.steps[0])) if refusal.steps else None
            if setting is not None:
                values.pop(setting.attribute, None)
                self.poisoned.add(join_path(path, setting.key))
        return values

    def nested(self, setting: Setting, entry: Entry, path: str) -> Any:
        """The values of a core table, or of a list of core tables; None for the wrong form."""
        assert setting.section is not None, f"{setting.key} is not a table"
        node = entry.value
        if setting.takes_list:
            return self.list_of_sections(setting, entry, path)
        if isinstance(node, Table):
            values = self.section(node, setting.section, path, node.header or entry.span)
            return _valid_part(setting.section, values)
        if isinstance(node, Array) and node.of_headers:
            self.one_table(setting, entry, path)
        else:
            self.wrong_type(path, f"`{setting.key}` must be a table", node, entry)
        return None

    def one_table(self, setting: Setting, entry: Entry, path: str) -> None:
        message = f"`{setting.key}` is one table, not a list of tables"
        self.fail(Code.TABLE_OR_LIST, path, message, entry.span, caret=f"write `[{header_of(path)}]`")

    def list_of_sections(self, setting: Setting, entry: Entry, path: str) -> Any:
        assert setting.section is not None, f"{setting.key} is not a table"
        node = entry.value
        if (unknown := below(node)) is not None:
            self.no_table(f"`{setting.key}` is a list of tables", unknown, path)
            return None
        if isinstance(node, Table):
            span = node.span if node.form == "inline" else (node.name or entry.span)
            caret = f"write `[[{setting.key}]]`, which begins each table of the list"
            self.fail(
                Code.TABLE_OR_LIST, path, f"`{setting.key}` is a list of tables, not one table", span, caret=caret
            )
            return None
        if not isinstance(node, Array):
            caret = f"write `[[{setting.key}]]`, which begins each table of the list"
            self.wrong_type(path, f"`{setting.key}` must be a list of tables", node, entry, caret)
            return None
        found = []
        for index, item in enumerate(node.items):
            where = join_path(path, index)
            if isinstance(item, Table):
                values = self.section(item, setting.section, where, item.header or entry.span)
                found.append(_valid_part(setting.section, values))
            elif isinstance(item, Invalid):
                self.poisoned.add(where)
            else:
                self.wrong_type(where, f"`{setting.key}` holds tables", item, entry)
        if setting.section is PhaseSpec:
            self.unique_ids(node, path)
        return tuple(found)

    def wrong_type(self, path: str, message: str, node: Node, entry: Entry, caret: str = "") -> None:
        code = Code.SET_VALUE if isinstance(node, Scalar) and node.bare else Code.WRONG_TYPE
        self.fail(code, path, f"{message}, not {seen_as(node)}", node.span or entry.span, caret=caret)

    def no_table(self, what: str, unknown: Entry, path: str) -> None:
        """Reports a `--set` path below a value that is not a table."""
        message = f"{what}: it has no `{unknown.key}`"
        hint = f"no `[[{path}]]` is written here: --overlay can add one" if path == "phases" else None
        self.fail(Code.OVERRIDE_PATH, join_path(path, unknown.key), message, unknown.span, poison=path, help=hint)

    def unique_ids(self, phases: Array, path: str) -> None:
        first: dict[str, Scalar] = {}
        for index, item in enumerate(phases.items):
            named = item.get("id") if isinstance(item, Table) else None
            if not isinstance(named, Scalar) or not isinstance(named.value, str):
                continue
            if named.value in first:
                other = first[named.value].span
                labels = (Label(other, "first used here"),) if other else ()
                where = join_path(join_path(path, index), "id")
                self.fail(
                    Code.DUPLICATE_PHASE_ID, where, f"phase id `{named.value}` is used twice", named.span, labels=labels
                )
            else:
                first[named.value] = named

    def part(self, setting: Setting, node: Node, path: str) -> Any:
        """Builds the component, or the components, under a key; None if any of them is invalid."""
        if path in self.poisoned:
            return None
        if setting.named and isinstance(node, Table):
            for name in node.entries:
                self.component(join_path(path, name))
            return None
        if setting.slot is not None and setting.slot.many and isinstance(node, Array):
            items = [self.component(join_path(path, index)) for index in range(len(node.items))]
            if any(item is None for item in items):
                self.poisoned.add(path)
                return None
            return tuple(items)
        return self.component(path)

    # --- components ----------------------------------------------------------------------------------------------------

    def component(self, path: str) -> Component | None:
        """Builds the component declared at the path; None if any of its settings is invalid."""
        declared = self.declared.get(path)
        if declared is None:
            self.poisoned.add(path)
            return None
        settings = settings_of(declared.component)
        misspelt = self.unknown(declared.table, settings, path, declared)
        values: dict[str, Any] = {}
        holds = True
        for key, entry in declared.table.entries.items():
            setting = settings.get(key)
            where = join_path(path, key)
            if setting is None or key in RESERVED:
                continue
            if setting.holds_component(entry.value) and not isinstance(entry.value, Invalid):
                found = self.part(setting, entry.value, where)
                holds = holds and found is not None
                values[key] = found
            elif holds_invalid(entry.value) or self.stray(setting, entry, where):
                self.poisoned.add(where)
                holds = False
            else:
                values[key] = self.plain(setting, entry.value)
        written = frozenset(values)
        for key, setting in settings.items():
            if setting.slot is not None and setting.slot.default is not None and key not in declared.table.entries:
                found = self.component(join_path(path, key))
                holds = holds and found is not None
                values[key] = found
        absent = self.missing(declared.table, settings, misspelt, path, declared.anchor, declared)
        holds = holds and not absent and not misspelt
        known = {k: v for k, v in values.items() if v is not None}
        try:
            component, refusals = self.built(declared, known)
        except PluginFault as fault:
            where = path if declared.table.span is declared.use_span else join_path(path, "use")
            self.fail(fault.code, where, fault.message, declared.use_span, help=fault.help, poison=path)
            return None
        self.deprecated(declared)
        for refusal in refusals:
            if refusal.steps or holds:  # rules over several settings need all of them
                self.refused(refusal, declared.table, path, declared.anchor, declared)
        self.written[path] = written
        if component is None or not holds:
            self.poisoned.add(path)
            return None
        self.components[path] = component
        return component

    def built(self, declared: Declared, values: Mapping[str, Any]) -> tuple[Component | None, list[SettingFault]]:
        """The component, or why its settings are rejected. Raises PluginFault where the plugin's own code fails."""
        entry = declared.entry
        with blame_plugin(entry.name, entry.distribution):
            component, refusals = validate(declared.component, values)
        if component is None:
            return None, refusals
        assert isinstance(component, Component), f"{declared.component} is not a component"
        check_declared_types(component, entry.name, entry.distribution, Conditional())
        return component, refusals

    def deprecated(self, declared: Declared) -> None:
        for key, hint in declared.component.deprecated.items():
            if key in declared.table.entries:
                message = f"`{key}` of `{declared.use}` is deprecated"
                span, path = declared.table.entries[key].span, join_path(declared.path, key)
                self.diagnostics.append(Diagnostic(Code.DEPRECATED, message, span, path, help=hint))

    def stray(self, setting: Setting, entry: Entry, path: str) -> bool:
        """Reports a value that this setting cannot hold (component, list of tables, secret, nan); True if it did."""
        node = entry.value
        is_component = isinstance(node, Table) and names_component(node)
        if not (is_component or setting.takes_table) and (unknown := below(node)) is not None:
            self.no_table(f"`{setting.key}` is {setting.wanted}", unknown, path)
            return True
        if is_component and not setting.takes_table:
            if setting.only_choices:
                self.fail(
                    Code.NOT_A_CHOICE, path, f"`{setting.key}` is a choice, not a component", node.span or entry.span
                )
            else:
                self.fail(Code.NO_SUCH_SLOT, path, f"`{setting.key}` is not a component slot", entry.span)
            return True
        if isinstance(node, Array) and node.of_headers and setting.takes_table:
            self.one_table(setting, entry, path)
            return True
        strays = [(where, part) for where, part in walk(node, path) if isinstance(part, Scalar)]
        for where, part in strays:
            if part.reference == "secret" and not setting.is_secret:
                help = "only secret settings accept `${secret:NAME}`"
                self.fail(
                    Code.MISPLACED_SECRET, where, f"`{setting.key}` does not accept a secret", part.span, help=help
                )
            elif isinstance(part.value, float) and not math.isfinite(part.value):
                self.fail(Code.CONSTRAINT_BROKEN, where, f"`{setting.key}` must be finite, not {part.value}", part.span)
        return any(where in self.poisoned for where, _ in strays)

    def plain(self, setting: Setting, node: Node) -> Any:
        """The value in the model's form: lists as tuples, absolute paths, environment variables as TOML values."""
        for part in parts(node):
            if isinstance(part, Scalar) and part.reference == "env" and not setting.takes_text:
                part.value = _as_toml(str(part.value))
        value = self._absolute(node) if setting.is_path else plain(node)
        return tuple(value) if isinstance(value, list) and setting.takes_tuple else value

    def _absolute(self, node: Node) -> Any:
        if isinstance(node, Scalar) and isinstance(node.value, str) and node.value and node.span:
            folder = self.folders.get(node.span.file, Path())
            return os.path.normpath(folder.absolute() / os.path.expanduser(node.value))
        if isinstance(node, Array):
            return [self._absolute(item) for item in node.items]
        if isinstance(node, Table):
            return {key: self._absolute(entry.value) for key, entry in node.entries.items()}
        return plain(node)

    # --- keys ----------------------------------------------------------------------------------------------------------

    def unknown(self, table: Table, settings: Mapping[str, Setting], path: str, declared: Declared | None) -> set[str]:
        """Reports every unknown key of the table; returns the absent keys that were probably meant."""
        found, meant = self.keys.unknown(table, settings, path, declared)
        self.diagnostics += found
        self.poisoned |= {d.path for d in found} | {join_path(path, key) for key in meant}
        return meant

    def missing(
        self,
        table: Table,
        settings: Mapping[str, Setting],
        meant: set[str],
        path: str,
        anchor: Span | None,
        declared: Declared | None = None,
    ) -> bool:
        """Whether a required key is missing; reports each one, unless a misspelt key was meant as it."""
        absent = [s for s in settings.values() if s.required and s.key not in table.entries]
        for setting in absent:
            where = join_path(path, setting.key)
            self.poisoned.add(where)
            if setting.key in meant or table.has_gap or (not path and self.has_gaps):
                continue
            noun = "table" if setting.section is not None or (not path and setting.slot) else "key"
            if setting.key == "run":
                self.fail(Code.MISSING_KEY, "run.name", "missing key `run.name`", anchor)
                continue
            message, hint = f"missing {noun} `{setting.key}`", _how_to_write(setting)
            notes = near_phases(self.root, table, path)
            if declared is not None and table.span is declared.use_span:  # the short form, a string
                hint = f"write `{written_out(declared.use, absent)}`" if hint is None else hint
            if declared is not None and path.endswith("]"):  # the carets are under the whole list
                notes = (f"`{declared.use}` requires it",)
            self.fail(Code.MISSING_KEY, where, message, anchor, help=hint, notes=notes)
        return bool(absent)

    # --- values --------------------------------------------------------------------------------------------------------

    def refused(
        self,
        refusal: SettingFault,
        table: Table,
        path: str,
        anchor: Span | None = None,
        declared: Declared | None = None,
    ) -> None:
        """Reports a rejected value at its exact place."""
        where, node, entry = path, None, None
        at: Node = table
        for step in refusal.steps:
            where = join_path(where, step)
            if isinstance(at, Table) and isinstance(step, str) and step in at.entries:
                entry = at.entries[step]
                node = at = entry.value
            elif isinstance(at, Array) and isinstance(step, int) and step < len(at.items):
                node = at = at.items[step]
        span = (entry.span if refusal.at_key and entry else None) or (node.span if node else None)
        span = span or (entry.span if entry else None) or anchor or table.header
        code = (
            Code.SET_VALUE
            if isinstance(node, Scalar) and node.bare and refusal.code == Code.WRONG_TYPE
            else refusal.code
        )
        close = nearest(str(node.value), refusal.choices) if isinstance(node, Scalar) else ()
        caret = f"did you mean {' or '.join(shown(c) for c in close)}?" if close else ""
        choices = " or ".join(shown(c) for c in refusal.choices)
        suggestions = tuple(Suggestion(f"did you mean {shown(c)}?", shown(c)) for c in close)
        notes: tuple[str, ...] = ()
        foreign = _foreign_value(refusal, node)
        if foreign is not None and not any(fold(str(node.value)) == fold(c) for c in close if isinstance(node, Scalar)):
            ours = shown(foreign.ours) if refusal.choices else foreign.ours
            caret = foreign.sentence(shown(node.value) if isinstance(node, Scalar) else "", ours)
            suggestions = (Suggestion(caret, ours),)
            notes = (foreign.note,) if foreign.note else ()
        if not suggestions and (meant := _meant(refusal, node)) is not None:
            caret = f"write `{meant}`"
            suggestions = (Suggestion(caret, meant),)
        if refusal.ways:
            caret = f"it is now {shown(refusal.ways[0])}"
            suggestions = tuple(Suggestion(f"write {shown(way)}", shown(way)) for way in refusal.ways)
        hint = f"choices: {choices}" if choices else refusal.help
        if hint is None and not suggestions and declared is not None and len(refusal.steps) == 1:
            hint = self.what_would_be_right(refusal, node, declared)
        self.fail(code, where, refusal.message, span, caret=caret, help=hint, notes=notes, suggestions=suggestions)

    def what_would_be_right(self, refusal: SettingFault, node: Node | None, declared: Declared) -> str | None:
        """The author's hint on a value out of bounds; how a component is written where a number may stand instead."""
        key = str(refusal.steps[0])
        setting = settings_of(declared.component).get(key)
        if refusal.code == Code.CONSTRAINT_BROKEN:
            return declared.component.hints.get(key)
        if setting is None or setting.slot is None or not setting.takes_number:
            return None
        registry, kind = self.declarations.registry, setting.slot.kind
        word = str(node.value) if isinstance(node, Scalar) else ""
        for name in (*nearest(word, registry.names(kind)), *registry.names(kind))[:1]:
            with suppress(PluginFault):
                needed = settings_of(load(registry.providers(kind, name)[0])).values()
                return f"a {kind} is a table: write `{written_out(name, [s for s in needed if s.required])}`"
        return None

    def _version(self) -> None:
        node = self.root.get("spec")
        if isinstance(node, Scalar) and type(node.value) is int and node.value != LANGUAGE_VERSION:
            message = f"language version {node.value} is not understood, only version {LANGUAGE_VERSION} is"
            meant = Suggestion(f"write `spec = {LANGUAGE_VERSION}`", str(LANGUAGE_VERSION))
            self.fail(Code.LANGUAGE_VERSION, "spec", message, node.span, caret=meant.message, suggestions=(meant,))

    def _something_to_do(self) -> None:
        written = {"phases", "evaluate"} & (self.root.entries.keys() | {p for p in self.poisoned if "." not in p})
        empty = all(isinstance(n := self.root.get(k), Array) and not n.items for k in written if k in self.root.entries)
        if (not written or (empty and written <= self.root.entries.keys())) and not self.has_gaps:
            self.fail(
                Code.MISSING_KEY,
                "phases",
                "missing table `[[phases]]`",
                self.start,
                help="write `[[phases]]` to train, or `[[evaluate]]` to evaluate only",
            )


def _valid_part(model: type[BaseModel], values: dict[str, Any]) -> Any:
    """The model's instance from valid values, defaults for the rest; None for required keys that are missing."""
    required = {s.attribute: None for s in settings_of(model).values() if s.required}
    if model is Spec:
        required["run"] = RunSpec.model_construct(name="")  # type: ignore[assignment]
    return model.model_construct(**{**required, **values})


def _as_toml(text: str) -> Any:
    """The text as a number or boolean if it is one; environment variables are strings, settings need not be."""
    try:
        value = tomllib.loads(f"v = {text}")["v"]
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text


def _foreign_value(refusal: SettingFault, node: Node | None) -> ForeignValue | None:
    """What another framework means by a value that is no choice here, or out of bounds."""
    keys = [step for step in refusal.steps if isinstance(step, str)]
    if refusal.code not in (Code.NOT_A_CHOICE, Code.CONSTRAINT_BROKEN) or not keys or not isinstance(node, Scalar):
        return None
    found = foreign_value(keys[-1], node.value)
    fits = found is not None and (not refusal.choices or found.ours in refusal.choices)
    return found if fits else None


def _meant(refusal: SettingFault, node: Node | None) -> str | None:
    """The corrected form of a value of the wrong type or form, None if there is none.

    A number or boolean without quotes, a string in a list, `.5` of the command line as 0.5; of a name that has the wrong
    form, the right one.
    """
    if refusal.pattern and isinstance(node, Scalar) and isinstance(node.value, str) and not node.reference:
        name = made_to_match(refusal.pattern, node.value)
        return None if name is None else shown(name)
    if (
        refusal.code != Code.WRONG_TYPE
        or not isinstance(node, Scalar)
        or not isinstance(node.value, str)
        or node.reference
    ):
        return None
    if "list" in refusal.wanted:  # brackets around a string do not make a list of numbers
        return f"[{shown(node.value)}]" if isinstance(_as_toml(node.value), str) else None
    for word in (node.value, number_meant(node.value)):
        value = None if word is None else _as_toml(word)
        is_bool, is_int = isinstance(value, bool), isinstance(value, int)
        fits = is_bool if "true" in refusal.wanted else not is_bool and (is_int or "whole" not in refusal.wanted)
        if word is not None and fits and isinstance(value, int | float) and math.isfinite(value):
            return word.strip()
    return None


def written_out(use: str, settings: Iterable[Setting]) -> str:
    """A component as an inline table, its settings left open: `{ use = "fixed_steps", steps = ... }`."""
    return f"{{ {', '.join([f'use = {shown(use)}', *(f'{s.key} = ...' for s in settings)])} }}"


def _how_to_write(setting: Setting) -> str | None:
    if setting.key == "spec":
        return f"`spec = {LANGUAGE_VERSION}` names the language version"
    if setting.slot is not None:
        one = shown(setting.examples[0]) if setting.examples else '{ use = "..." }'
        written = f"write `{setting.key} = {f'[{one}]' if setting.slot.many else one}`"
        other = ", or another name" if setting.examples else ""
        return f"{written}{other}: `prerl-spec components list --kind {setting.slot.kind}` shows all"
    if setting.examples:
        return f"write `{setting.key} = {json.dumps(setting.examples[0])}`, for example"
    return None

"""Installed components from package metadata alone: one entry-point group per kind; nothing is imported until named."""

import importlib
import os
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import metadata
from typing import TYPE_CHECKING, Any

from prerl_spec import __version__
from prerl_spec.codes import Code
from prerl_spec.registry.kind_names import KINDS as KINDS
from prerl_spec.registry.kind_names import Kind

if TYPE_CHECKING:
    from prerl_spec.registry.component import Component

OWN_DISTRIBUTION = "prerl-spec"
NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?")


@dataclass(frozen=True)
class Entry:
    """One line of a distribution's entry points: `Entry("objective", "grpo", "prerl_components…:Grpo", …)`."""

    kind: Kind
    name: str
    value: str
    """module:Class"""
    distribution: str
    distribution_version: str

    @property
    def is_own(self) -> bool:
        """Whether it is a built-in, registered by this distribution."""
        return normalized(self.distribution) == OWN_DISTRIBUTION

    @property
    def is_foreign_bare(self) -> bool:
        """Whether another distribution registers a bare name, which is then ignored."""
        return not self.is_own and "." not in self.name


class PluginFault(Exception):
    """A named component that cannot be used: E0304 (import fails), E0305 (contradicts its entry point) or E0306 (other API)."""

    def __init__(self, code: Code, message: str, *, help: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.help = code, message, help


class Registry:
    """The entries of all kinds, in the order of the metadata."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.entries = tuple(dict.fromkeys(entries))

    @cached_property
    def _by_name(self) -> Mapping[tuple[Kind, str], tuple[Entry, ...]]:
        found: dict[tuple[Kind, str], tuple[Entry, ...]] = {}
        for entry in self.entries:
            key = entry.kind, entry.name
            found[key] = (*found.get(key, ()), entry)
        return found

    def providers(self, kind: Kind, name: str) -> tuple[Entry, ...]:
        """Every distribution's entry of that name, foreign bare names excluded."""
        return tuple(e for e in self._by_name.get((kind, name), ()) if not e.is_foreign_bare)

    def ignored(self, kind: Kind, name: str) -> tuple[Entry, ...]:
        """Foreign entries that register the bare name, which are ignored."""
        return tuple(e for e in self._by_name.get((kind, name), ()) if e.is_foreign_bare)

    def kinds_of(self, name: str) -> tuple[Kind, ...]:
        """The kinds under which the name is provided."""
        return tuple(k for k in KINDS if self.providers(k, name))

    def all_names(self) -> tuple[str, ...]:
        """Names that a spec may use for a component of any kind."""
        return tuple(dict.fromkeys(e.name for e in self.entries if not e.is_foreign_bare))

    def names(self, kind: Kind) -> tuple[str, ...]:
        """Names that a spec may use for the kind, built-ins first."""
        entries = [e for e in self.entries if e.kind == kind and not e.is_foreign_bare]
        return tuple(dict.fromkeys(e.name for e in sorted(entries, key=lambda e: not e.is_own)))


def installed(path: list[str] | None = None) -> Registry:
    """The registry of this interpreter (or of the given folders).

    A distribution whose metadata cannot be read is skipped; one that is found twice (an editable install beside a wheel)
    counts once, the first on the path. Of several named prerl-spec, the one whose version is running counts: an older one
    that remains on the path must not hide the built-ins.
    """
    found: dict[str, list[Entry]] = {}
    folders = dict.fromkeys(sys.path if path is None else path)
    for entries in (entries for folder in folders for entries in _entries_in(folder, _time_of_change(folder))):
        name = normalized(entries[0].distribution)
        is_running = name == OWN_DISTRIBUTION and entries[0].distribution_version == __version__
        if name not in found or (is_running and found[name][0].distribution_version != __version__):
            found[name] = entries
    return Registry(entry for entries in found.values() for entry in entries)


@cache
def _entries_in(folder: str, time_of_change: int | None) -> tuple[list[Entry], ...]:
    """The components of each distribution in a folder that has any; read again only after the folder has changed, as
    `importlib.metadata` does, since to read them all takes a tenth of what a plan takes."""
    return tuple(filter(None, map(_entries, metadata.distributions(path=[folder]))))


def _time_of_change(folder: str) -> int | None:
    try:
        return os.stat(folder or ".").st_mtime_ns
    except OSError:
        return None


def _entries(distribution: metadata.Distribution) -> list[Entry]:
    """Its components; none if its metadata cannot be read, which must not break a spec that does not name it."""
    try:
        text = distribution.read_text("entry_points.txt")
        if text is None or "prerl_spec." not in text:
            return []
        if "Name" not in distribution.metadata:
            return []
        name, version = distribution.metadata["Name"], distribution.version
        points = list(distribution.entry_points)
    except (OSError, ValueError, TypeError, KeyError):
        return []
    groups: dict[str, Kind] = {f"prerl_spec.{kind}": kind for kind in KINDS}
    return [
        Entry(groups[p.group], p.name, _target(p), name, str(version))
        for p in points
        if p.group in groups and NAME.fullmatch(p.name)
    ]


def _target(point: metadata.EntryPoint) -> str:
    """ "module:attribute" of an entry point, without the blanks and extras that its syntax allows; a value that is not of
    this syntax unchanged."""
    try:
        return f"{point.module}:{point.attr}" if point.attr else point.module
    except AttributeError:  # the standard library's pattern does not match
        return point.value


def normalized(distribution: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def namespaced(distribution: str, name: str) -> str:
    """The name that an author is to register in place of a bare one: `acme.fancy` for `fancy` of prerl-acme."""
    namespace = re.sub(r"[^a-z0-9_]+", "_", normalized(distribution).removeprefix("prerl-"))
    return f"{namespace}.{re.sub(r'[^a-z0-9_]+', '_', name.lower())}"


def load(entry: Entry) -> "type[Component]":
    """Imports the component's class and checks it against its entry point. Raises PluginFault."""
    module, _, attribute = entry.value.partition(":")
    try:
        # Output of a module during its import must not mix with a command's results on stdout.
        with redirect_stdout(sys.stderr):
            found: Any = importlib.import_module(module)
            for name in filter(None, attribute.split(".")):
                found = getattr(found, name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # A plugin's module may raise anything; the author of the spec needs its cause, not our traceback.
        message = f"`{entry.name}` of {entry.distribution} cannot be imported"
        raise PluginFault(Code.PLUGIN_IMPORT_FAILED, message, help=f"cause: {cause_of(error)}") from error
    component = _checked_declaration(entry, found)
    if not entry.is_own:
        _NAMES.setdefault(component, set()).add(entry.name)
    return component


def name_of(cls: type) -> str | None:
    """The name by which a spec knows an author's class: of what has been loaded under one name in this process."""
    names = _NAMES.get(cls, ())
    return next(iter(names)) if len(names) == 1 else None


_NAMES: dict[type, set[str]] = {}
"""An author's class -> the names of its entries. For messages only: a component does not know what it is called."""


_WITHOUT_ANNOTATION = re.compile(r"A non-annotated attribute was detected: `(\w+) = (.*?)`\.")
"""How pydantic refuses `min_group = 2` in the body of a component, which is no setting and looks like one."""


def cause_of(error: BaseException) -> str:
    """The error of a plugin's code, on one line: "RuntimeError: the disk is full"."""
    bare = _WITHOUT_ANNOTATION.match(str(error))
    if bare is not None:
        return (
            f"`{bare[1]} = {bare[2]}` has no type: a fact of the class is written `{bare[1]}: ClassVar[...] = {bare[2]}`, a "
            "setting has a type and a Field(description=...)"
        )
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")


def _checked_declaration(entry: Entry, found: Any) -> "type[Component]":
    # Settings models import pydantic, which takes as long as the rest of a listing.
    from prerl_spec.registry.component import API, Component

    where = f"`{entry.name}` of {entry.distribution} {entry.distribution_version}"
    if not isinstance(found, type) or not issubclass(found, Component):
        raise PluginFault(
            Code.PLUGIN_DECLARATION,
            f"{where} is not a component",
            help=f"{entry.value} must be a subclass of Component",
        )
    if found.api != API:
        hint = "update the plugin" if isinstance(found.api, int) and found.api < API else "update prerl-spec"
        raise PluginFault(Code.PLUGIN_API, f"{where} is written for component API {found.api}, not {API}", help=hint)
    kind = getattr(found, "kind", None)
    if kind != entry.kind:
        declared = f"declares kind {kind!r}" if kind else "declares no kind"
        raise PluginFault(
            Code.PLUGIN_DECLARATION,
            f"{where} is registered as {entry.kind} but {declared}",
            help="fix the entry point in the plugin's metadata",
        )
    loosened = [key for key, wanted in Component.model_config.items() if found.model_config.get(key) != wanted]
    if loosened:
        message = f"the settings model of {where} overrides {', '.join(loosened)} of Component"
        raise PluginFault(Code.PLUGIN_DECLARATION, message, help="remove them from the plugin's model_config")
    if type(found.version) is not int or found.version < 1:
        raise PluginFault(
            Code.PLUGIN_DECLARATION, f"{where} has behaviour version {found.version!r}", help="versions start at 1"
        )
    return found

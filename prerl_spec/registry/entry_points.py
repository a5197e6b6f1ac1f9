"""What is installed, from package metadata alone: one entry-point group a kind, and nothing imported until it is named."""

import importlib
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cached_property
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
        """Whether it is a built-in: listed by this distribution."""
        return normalized(self.distribution) == OWN_DISTRIBUTION

    @property
    def is_foreign_bare(self) -> bool:
        """Whether another distribution claims a bare name, which is then ignored."""
        return not self.is_own and "." not in self.name


class PluginFault(Exception):
    """A named component that cannot be used: E0304 (import fails), E0305 (at odds with its entry) or E0306 (other API)."""

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
        """Every distribution's entry of that name that counts: foreign bare ones do not."""
        return tuple(e for e in self._by_name.get((kind, name), ()) if not e.is_foreign_bare)

    def ignored(self, kind: Kind, name: str) -> tuple[Entry, ...]:
        """Foreign entries that claim the bare name."""
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
    """The shelf of this interpreter (or of the given folders). A distribution whose metadata cannot be read is skipped;
    one that is found twice (an editable install beside a wheel) counts once, the first on the path. Of several that call
    themselves prerl-spec it is the one of the version that runs: an older one left on the path must not hide the built-ins.
    """
    found: dict[str, list[Entry]] = {}
    for distribution in metadata.distributions() if path is None else metadata.distributions(path=path):
        entries = _entries(distribution)
        if not entries:
            continue
        name = normalized(entries[0].distribution)
        is_running = name == OWN_DISTRIBUTION and entries[0].distribution_version == __version__
        if name not in found or (is_running and found[name][0].distribution_version != __version__):
            found[name] = entries
    return Registry(entry for entries in found.values() for entry in entries)


def _entries(distribution: metadata.Distribution) -> list[Entry]:
    """Its components; none where its metadata cannot be read: that must not break a spec which does not name it."""
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
        Entry(groups[p.group], p.name, p.value, name, str(version))
        for p in points
        if p.group in groups and NAME.fullmatch(p.name)
    ]


def normalized(distribution: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def load(entry: Entry) -> "type[Component]":
    """Imports the component's class and holds it against its entry. Raises PluginFault."""
    module, _, attribute = entry.value.partition(":")
    try:
        # What a module prints while it is imported does not belong among a command's results.
        with redirect_stdout(sys.stderr):
            found: Any = importlib.import_module(module)
            for name in filter(None, attribute.split(".")):
                found = getattr(found, name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # Anything can go wrong in a stranger's module; whatever it is, the spec's author needs its cause, not ours.
        message = f"`{entry.name}` of {entry.distribution} cannot be imported"
        raise PluginFault(Code.PLUGIN_IMPORT_FAILED, message, help=f"its own cause: {cause_of(error)}") from error
    return _held_against(entry, found)


def cause_of(error: BaseException) -> str:
    """What went wrong in a stranger's code, on one line: "RuntimeError: the disk is full"."""
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")


def _held_against(entry: Entry, found: Any) -> "type[Component]":
    # Settings models come with pydantic, which takes as long as all the rest of a listing.
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
        raise PluginFault(
            Code.PLUGIN_API, f"{where} is written for component API {found.api}, here is {API}", help=hint
        )
    kind = getattr(found, "kind", None)
    if kind != entry.kind:
        said = f"declares kind {kind!r}" if kind else "declares no kind"
        raise PluginFault(
            Code.PLUGIN_DECLARATION, f"{where} is listed as {entry.kind} but {said}", help="hint the plugin's metadata"
        )
    loosened = [key for key, wanted in Component.model_config.items() if found.model_config.get(key) != wanted]
    if loosened:
        message = f"the settings of {where} are not held as strictly as every component's: {', '.join(loosened)}"
        raise PluginFault(Code.PLUGIN_DECLARATION, message, help="its author takes them out of its model_config")
    if type(found.version) is not int or found.version < 1:
        raise PluginFault(
            Code.PLUGIN_DECLARATION, f"{where} has behaviour version {found.version!r}", help="versions start at 1"
        )
    return found

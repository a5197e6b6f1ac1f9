"""Components in Python files beside a spec: a class in `[plugins] files` becomes `local.NAME`, its name in snake case."""

import hashlib
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType

from prerl_spec.codes import Code
from prerl_spec.registry.component import Component
from prerl_spec.registry.entry_points import KINDS, Entry, PluginFault, cause_of
from prerl_spec.registry.file_module import execute, module_of_file

NAMESPACE = "local"


def local_entries(file: Path) -> list[Entry]:
    """Runs the file and lists its components; their version is the SHA-256 of its content.

    Raises PluginFault (E0304) with the cause.
    """
    try:
        source = file.read_bytes()
    except OSError as error:
        raise PluginFault(
            Code.PLUGIN_IMPORT_FAILED, f"{file.name} cannot be read", help=(error.strerror or "").lower()
        ) from error
    module = _module(file, source)
    content = hashlib.sha256(source).hexdigest()
    entries: list[Entry] = []
    for name, found in vars(module).items():
        if not isinstance(found, type) or not issubclass(found, Component) or found.__module__ != module.__name__:
            continue
        kind = getattr(found, "kind", None)
        if kind in KINDS and not name.startswith("_"):
            entries.append(Entry(kind, f"{NAMESPACE}.{_snake(name)}", f"{module.__name__}:{name}", file.name, content))
    if not entries:
        raise PluginFault(
            Code.PLUGIN_IMPORT_FAILED,
            f"{file.name} defines no component",
            help="a component is a subclass of Component",
        )
    return entries


def _module(file: Path, source: bytes) -> ModuleType:
    """The file as a module named after its content, so that an edited file becomes a new module."""
    name = f"prerl_local_{file.stem}_{hashlib.sha256(str(file.absolute()).encode() + source).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    module = module_of_file(name, file, source)
    sys.modules[name] = module
    try:
        with redirect_stdout(sys.stderr):
            execute(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # Anything can go wrong in a user's file; its author needs the cause, not a traceback of prerl-spec.
        del sys.modules[name]
        message = f"{file.name} cannot be imported"
        raise PluginFault(Code.PLUGIN_IMPORT_FAILED, message, help=f"cause: {cause_of(error)}") from error
    return module


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()

"""Resolves a spec file into typed, built components: read, compose, override, interpolate, declare, check. No torch.

Every stage collects all errors; failed paths are poisoned, and only checks that depend on them are skipped.
"""

import os
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path

from prerl_spec.codes import Code
from prerl_spec.compiler.content_hash import fingerprint
from prerl_spec.compiler.resolve.component_names import Declared, declare
from prerl_spec.compiler.resolve.foreign_keys import with_foreign_word
from prerl_spec.compiler.resolve.required_versions import unmet
from prerl_spec.compiler.resolve.resolved import Built, Resolved, in_file_order
from prerl_spec.compiler.resolve.secret_literals import secret_literals
from prerl_spec.compiler.resolve.settings_check import Check
from prerl_spec.errors import Diagnostic, Span, UsageError
from prerl_spec.language.arms import arms
from prerl_spec.language.compose import Composition, compose
from prerl_spec.language.document import Array, Scalar, Table, join_path, walk
from prerl_spec.language.interpolate import interpolate
from prerl_spec.language.overrides import as_override_mistake, override
from prerl_spec.language.secrets import exposed_secrets
from prerl_spec.language.spec import Spec
from prerl_spec.language.toml import read, read_text
from prerl_spec.registry.entry_points import Entry as RegistryEntry
from prerl_spec.registry.entry_points import PluginFault, Registry, installed
from prerl_spec.registry.local import NAMESPACE, local_entries
from prerl_spec.registry.plugin_contract import blame_plugin
from prerl_spec.registry.settings import settings_of


def resolve(
    file: Path,
    *,
    sets: Sequence[str] = (),
    unsets: Sequence[str] = (),
    overlays: Sequence[Path] = (),
    local_code: bool = False,
    last_in_arms: str = "",
) -> Resolved:
    """Resolves a spec file and validates all settings. `last_in_arms` is a text merged over every arm of its study.

    Errors inside the spec become diagnostics. Raises UsageError for a file that cannot be read, or an entry of `sets`
    without a value.
    """
    if file.is_dir():
        raise UsageError(f"{file} is a folder", hint="name the spec file in it")
    try:
        data = file.read_bytes()
    except OSError as error:
        hint = f"write --set {file}" if "=" in file.name and file.suffix != ".toml" else "name a spec file"
        raise UsageError(f"{file} cannot be read: {error.strerror}", hint=hint) from error
    composition = compose(read(data, str(file)), file.parent, overlays)
    override(composition, sets, unsets)
    return _resolve(composition, file, local_code, installed(), last_in_arms=last_in_arms)


def resolve_text(
    text: str,
    file: str = "spec.toml",
    *,
    registry: Registry | None = None,
    sets: Sequence[str] = (),
    unsets: Sequence[str] = (),
    overlays: Sequence[Path] = (),
    below: str = "",
    local_code: bool = False,
) -> Resolved:
    """The same for a text in memory (relative paths are resolved from the folder of `file`). The paths of `sets` begin at
    the table `below`."""
    composition = compose(read_text(text, file), Path(file).parent, overlays)
    override(composition, sets, unsets, below)
    return _resolve(composition, Path(file), local_code, registry or installed())


def _resolve(
    composition: Composition,
    file: Path,
    local_code: bool,
    registry: Registry,
    *,
    is_arm: bool = False,
    last_in_arms: str = "",
) -> Resolved:
    main = composition.documents[0]
    overlaid = [] if is_arm else list(arms(composition, last_in_arms))
    root = composition.root
    root.span = Span(main.file, 1, 1, 1, 2)
    references = interpolate(root, [document.root for document in composition.documents])
    requirements = list(unmet(root))
    plugin_files, plugin_faults = _local_files(root, composition.folders, local_code)
    registry = Registry([*registry.entries, *(entry for entries in plugin_files.values() for entry in entries)])
    declarations = declare(root, Spec, registry, frozenset({NAMESPACE}) if plugin_faults else frozenset())
    check = Check(root, declarations, composition.folders, composition.has_gaps)
    spec = check.run()
    code_files, code_faults = _code_of_settings(check, declarations.found, root, local_code)
    literals = secret_literals(root, declarations.found, composition.documents)
    lost_parent = composition.lost_parent or "extends" in check.poisoned
    unread_lines = {(d.span.file, d.span.line) for d in composition.diagnostics if d.span is not None}
    undefined = [d for target, d in references.undefined if target not in check.poisoned]
    found = [
        *(with_foreign_word(d) for d in composition.diagnostics),
        *references.diagnostics,
        *undefined,
        *requirements,
        *plugin_faults,
        *code_faults,
        *declarations.diagnostics,
        *check.diagnostics,
        *literals.diagnostics(),
        *(d for d in exposed_secrets(root) if d.path not in literals.places),
    ]
    resolved_arms = {name: _resolve(arm, file, local_code, registry, is_arm=True) for name, arm in overlaid}
    for arm in resolved_arms.values():
        literals |= arm.literals
    resolved = Resolved(
        file=file,
        source_text=literals.masked_source(main.file, main.text),
        spec=spec,
        built={path: _built(path, declarations.found, check) for path in check.components},
        diagnostics=in_file_order(
            [
                as_override_mistake(d)
                for d in found
                if not (lost_parent and _may_be_inherited(d)) and not _is_form_of_unread(d, unread_lines)
            ],
            list(composition.sources),
        ),
        poisoned=frozenset(check.poisoned),
        root=root,
        sources={name: literals.masked_source(name, text) for name, text in composition.sources.items()},
        layers=tuple(composition.layers),
        origins=dict(origins_of(root)),
        has_gaps=composition.has_gaps or lost_parent,
        secrets=references.secrets,
        literals=literals,
        plugin_files={str(file): entries[0].distribution_version for file, entries in plugin_files.items()},
        code_files=code_files,
        arms=resolved_arms,
    )
    defined = [resolved.with_definition(literals.masked_diagnostic(d)) for d in resolved.diagnostics]
    own = _without_referenced_secrets(defined)
    of_arms = [d for name, arm in resolved.arms.items() for d in new_in_arm(name, arm.diagnostics, own)]
    return replace(resolved, diagnostics=in_file_order([*own, *of_arms], list(composition.sources)))


def _without_referenced_secrets(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Reports a misplaced secret where it is written, not at every reference to it."""
    places = {d.span for d in found if d.code == Code.MISPLACED_SECRET}
    return [d for d in found if d.code != Code.MISPLACED_SECRET or not any(label.span in places for label in d.labels)]


def _may_be_inherited(diagnostic: Diagnostic) -> bool:
    """Whether it reports something missing that an unreadable parent may define."""
    return diagnostic.of_absence or diagnostic.code in (Code.MISSING_KEY, Code.UNSET_NOT_INHERITED)


def _is_form_of_unread(diagnostic: Diagnostic, unread_lines: Set[tuple[str, int]]) -> bool:
    """Whether it reports `[x]` for `[[x]]`, or the reverse, at a header that already has a bracket error."""
    span = diagnostic.span
    from_header = diagnostic.code == Code.TABLE_OR_LIST and diagnostic.path != ""
    return from_header and span is not None and (span.file, span.line) in unread_lines


def new_in_arm(name: str, found: Sequence[Diagnostic], known: Sequence[Diagnostic]) -> Iterator[Diagnostic]:
    """The errors, and the secrets written as they are, of this study arm alone, each with a note that names the arm."""
    places = {(d.code, d.span, d.message) for d in known}
    for diagnostic in found:
        is_told = diagnostic.severity == "error" or diagnostic.code == Code.EXPOSED_SECRET
        if is_told and (diagnostic.code, diagnostic.span, diagnostic.message) not in places:
            yield replace(diagnostic, notes=(*diagnostic.notes, f"in arm `{name}` of the study"))


def _local_files(
    root: Table, folders: Mapping[str, Path], local_code: bool
) -> tuple[dict[Path, list[RegistryEntry]], list[Diagnostic]]:
    """The components of `[plugins] files` by file, and a diagnostic for each file not allowed, missing or failing."""
    plugins = root.get("plugins")
    files = plugins.get("files") if isinstance(plugins, Table) else None
    found: dict[Path, list[RegistryEntry]] = {}
    faults: list[Diagnostic] = []
    for index, item in enumerate(files.items if isinstance(files, Array) else []):
        if not isinstance(item, Scalar) or not isinstance(item.value, str):
            continue
        try:
            if not local_code:
                message = f"`{item.value}` is Python code, which this command may not run"
                raise PluginFault(Code.PLUGIN_IMPORT_FAILED, message, help="--local-code allows it")
            folder = folders[item.span.file] if item.span else Path()
            file = (folder / os.path.expanduser(item.value)).absolute()
            found[file] = local_entries(file)
        except PluginFault as fault:
            path = f"plugins.files[{index}]"
            faults.append(Diagnostic(fault.code, fault.message, item.span, path, help=fault.help))
    return found, faults


def _code_of_settings(
    check: Check, declared: Mapping[str, Declared], root: Table, local_code: bool
) -> tuple[dict[str, str], list[Diagnostic]]:
    """The files whose code the components' settings run, each with its SHA-256, and a diagnostic for each setting that may
    not run it."""
    files: dict[str, str] = {}
    faults: list[Diagnostic] = []
    for path, component in check.components.items():
        entry = declared[path].entry
        try:
            with blame_plugin(entry.name, entry.distribution):
                found = component.local_code()
        except PluginFault as fault:
            faults.append(Diagnostic(fault.code, fault.message, declared[path].use_span, path, help=fault.help))
            continue
        nodes = dict(walk(root)) if found else {}
        for code in found:
            files |= {file: fingerprint(Path(file)) for file in code.files}
            if not local_code:
                where, setting = f"{path}.{code.setting}", code.setting.partition("[")[0]
                message = f"`{setting}` names code, which this command may not run: {code.what}"
                node = nodes.get(where) or nodes.get(join_path(path, setting))
                span = declared[path].use_span if node is None else node.span
                faults.append(
                    Diagnostic(Code.PLUGIN_IMPORT_FAILED, message, span, where, help="--local-code allows it")
                )
    return files, faults


def _built(path: str, declared: Mapping[str, Declared], check: Check) -> Built:
    """The record of a component with valid settings, and of the components in its slots."""
    found = declared[path]
    slots: dict[str, Built | tuple[Built, ...]] = {}
    for key, setting in settings_of(found.component).items():
        where, entry = f"{path}.{key}", found.table.entries.get(key)
        if setting.slot is not None and setting.slot.many and entry is not None and isinstance(entry.value, Array):
            slots[key] = tuple(_built(f"{where}[{i}]", declared, check) for i in range(len(entry.value.items)))
        elif where in declared:
            slots[key] = _built(where, declared, check)
    return Built(
        kind=found.kind,
        use=found.use,
        distribution=found.entry.distribution,
        distribution_version=found.entry.distribution_version,
        version=found.component.version,
        component=check.components[path],
        written=check.written[path],
        slots=slots,
        entry_value=found.entry.value,
    )


def origins_of(root: Table) -> Iterator[tuple[str, str]]:
    """Path and origin, such as "dsrl.toml:43", of every value written in a tree."""
    for path, node in walk(root):
        if isinstance(node, Table) and node.short is not None and node.short.span is not None:
            yield join_path(path, "use"), f"{node.short.span.file}:{node.short.span.line}"
        if not isinstance(node, Table | Array) and node.span is not None:
            yield path, f"{node.span.file}:{node.span.line}"

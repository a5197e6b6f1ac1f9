"""Scaffolds a plugin distribution around the components of a Python file, for `plugin new NAME --from FILE`."""

import ast
import json
import keyword
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from prerl_spec.cli.authors.new_plugin import (
    FILES,
    SPEC,
    Written,
    entry_points,
    filled,
    named,
    namespace_of,
    write_files,
)
from prerl_spec.errors import EnvironmentUnmet, UsageError
from prerl_spec.registry.component import Component
from prerl_spec.registry.entry_points import Entry, PluginFault, load
from prerl_spec.registry.kind_names import Kind
from prerl_spec.registry.local import NAMESPACE, local_entries
from prerl_spec.testing.conformance.branches import Unguessable, built_in_name, example_settings
from prerl_spec.testing.conformance.light_import import HEAVY

IN_SPEC: Mapping[Kind, tuple[str, str]] = {
    "objective": ("objective", "@it@"),
    "advantage": ("objective", '{ use = "policy_gradient", advantage = @it@ }'),
    "selection": ("objective", '{ use = "policy_gradient", advantage = "group_std", selection = [@it@] }'),
    "surrogate": ("objective", '{ use = "policy_gradient", advantage = "group_std", surrogate = @it@ }'),
    "correction": ("objective", '{ use = "policy_gradient", advantage = "group_std", correction = @it@ }'),
    "ramp": ("objective", '{ use = "grpo", coefficient = @it@ }'),
    "view": ("objective", '{ use = "policy_gradient", advantage = "group_mean", view = @it@ }'),
    "verifier": ("verifier", "@it@"),
    "data": ("data", "@it@"),
    "schedule": ("schedule", "@it@"),
    "optimizer": ("optimizer", "@it@"),
    **{kind: ("more", f"{kind}s = [@it@]") for kind in ("reward", "filter", "probe")},
}
"""Kind -> the line of the generated spec that uses a component, by the key of the template."""

CALLS: Mapping[Kind, str] = {
    "verifier": "check_verifier({it}, right={cls}.right_example, wrong={cls}.wrong_example)",
    "schedule": "check_schedule({it}, reward_mean=0.5)",
    "view": "check_view({it}, Codec.of_tokenizer(byte_tokenizer()))",
}
"""Kind -> the call that tests a component by the laws, for kinds whose laws need more than the component."""

IMPORTS: Mapping[Kind, Sequence[str]] = {
    "view": ("from prerl_spec.sdk import Codec", "from prerl_spec.testing.tiny import byte_tokenizer")
}
"""Kind -> what its call needs beside."""


def write_plugin_from(name: str, parent: Path, source: Path) -> Written:
    """Writes a distribution whose module is the file, unchanged, with an entry point and a test for each of its components,
    and a spec that trains with the first. Runs the file.

    Raises UsageError for an invalid name, an existing folder, and a component of a kind that no spec of the template uses;
    EnvironmentUnmet for a file that cannot be imported.
    """
    try:
        entries = local_entries(source.absolute())
    except PluginFault as fault:
        raise EnvironmentUnmet(f"{fault.code}: {fault.message}", hint=fault.help) from fault
    unfit = [e for e in entries if e.kind not in IN_SPEC]
    if unfit:
        raise UsageError(
            f"{source}: `plugin new --from` has no tests for a component of kind {unfit[0].kind}, {unfit[0].name}",
            hint=f"it takes: {', '.join(IN_SPEC)}; move the others to a file of their own",
        )
    stem = source.stem if source.stem.isidentifier() and not keyword.iskeyword(source.stem) else "component"
    text, names, first = source.read_text(encoding="utf-8"), named(name), entries[0]
    own = {e.name: f"{namespace_of(name)}.{e.name.removeprefix(NAMESPACE + '.')}" for e in entries}
    key, line = IN_SPEC[first.kind]
    settings = _settings(first)
    used = line.replace("@it@", _inline({"use": own[first.name], **settings}, short=first.kind != "ramp"))
    placeholders = {
        **SPEC,
        key: _in_template(key, used, {"use": own[first.name], **settings}),
        **names,
        "readme": {"data": f"data.train = {used}", "more": f"[[phases]]\n{used}"}.get(key, f"{key} = {used}"),
        "kind": first.kind,
        "what": f"The {' and the '.join(f'{e.kind} `{own[e.name]}`' for e in entries)}",
        "entry_points": entry_points([(e.kind, own[e.name], f"{names['module']}.{stem}:{_class(e)}") for e in entries]),
    }
    texts = {
        FILES[template].format(**placeholders): filled(template, placeholders)
        for template in ("pyproject.toml", "README.md", "package.py", "py.typed", "spec.toml")
    }
    texts[f"src/{names['module']}/{stem}.py"] = text
    texts[f"tests/test_{stem}.py"] = _tests(names["module"], stem, entries)
    folder, files = write_files(name, parent, texts)
    renamed = ", ".join(f"`{old}` is `{new}` in it" for old, new in own.items())
    return Written(folder, files, f"{source} is its module, unchanged: {renamed}.", tuple(_notes(source, text, own)))


def _class(entry: Entry) -> str:
    return entry.value.partition(":")[2]


def _settings(entry: Entry) -> dict[str, Any]:
    """Valid values of the required settings; none where they cannot be guessed, which the tests and the check then tell."""
    try:
        return example_settings(load(entry))
    except (PluginFault, Unguessable, ValidationError):
        return {}


def _required(component: Component) -> dict[str, Any]:
    return {key: getattr(component, key) for key, info in type(component).model_fields.items() if info.is_required()}


def _inline(value: Any, *, short: bool = True) -> str:
    """TOML for a setting; a component that needs no settings is its name, where that is allowed."""
    if isinstance(value, Component):
        value = {"use": built_in_name(value), **_required(value)}
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    if not isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False)
    if short and list(value) == ["use"]:
        return json.dumps(value["use"])
    return "{ " + ", ".join(f"{key} = {_inline(inner)}" for key, inner in value.items()) + " }"


def _in_template(key: str, used: str, table: Mapping[str, Any]) -> str:
    """The text of a placeholder of the spec's template, where a verifier has a table of its own, and `more` is a line."""
    if key == "verifier":
        use, *others = (f"{name} = {_inline(value)}" for name, value in table.items())
        return "\n".join([use.removeprefix("use = "), *others])
    return f"{used}\n" if key == "more" else used


def _tests(module: str, stem: str, entries: Sequence[Entry]) -> str:
    """A file with one test for each component: that it obeys the laws of its kind."""
    imported = {f"from {module}.{stem} import {', '.join(sorted(map(_class, entries)))}"}
    checks = ", ".join(sorted({f"check_{e.kind}" for e in entries}))
    ours = {
        f"from prerl_spec.testing.laws import {checks}",
        *(line for e in entries for line in IMPORTS.get(e.kind, ())),
    }
    tests = []
    for entry in entries:
        settings = _settings(entry)
        ours |= {line for value in settings.values() for line in _classes(value)}
        it = f"{_class(entry)}({', '.join(f'{key}={_code(value)}' for key, value in settings.items())})"
        call = CALLS.get(entry.kind, f"check_{entry.kind}({{it}})").format(it=it, cls=_class(entry))
        name = entry.name.removeprefix(NAMESPACE + ".")
        tests.append(f"\n\ndef test_{name}_obeys_the_laws_of_its_kind() -> None:\n    {call}\n")
    head = '"""Each component against the laws of its kind. A case computed by hand belongs beside it."""'
    return "\n".join([head, "", *sorted(imported), "", *sorted(ours)]) + "\n" + "".join(tests)


def _code(value: Any) -> str:
    """Python for a setting."""
    if isinstance(value, tuple):
        return "(" + "".join(f"{_code(one)}, " for one in value) + ")"
    if not isinstance(value, Component):
        return repr(value)
    return f"{type(value).__name__}({', '.join(f'{key}={_code(inner)}' for key, inner in _required(value).items())})"


def _classes(value: Any) -> Iterator[str]:
    """The imports that the code of a setting needs."""
    for one in value if isinstance(value, tuple) else (value,):
        if isinstance(one, Component):
            yield f"from {type(one).__module__} import {type(one).__name__}"
            for inner in _required(one).values():
                yield from _classes(inner)


def _notes(source: Path, text: str, own: Mapping[str, str]) -> Iterator[str]:
    """What an author has to change by hand: heavy imports, packages to depend on, names that the file itself uses."""
    tree = ast.parse(text)
    for line, package in _imported(tree.body):
        if package in HEAVY:
            yield f"{source}:{line} imports {package} at its top: move it into the functions that need it, `validate` must not"
    known = {*sys.stdlib_module_names, *HEAVY, "numpy", "pydantic", "prerl_spec"}
    for package in dict.fromkeys(p for _, p in _imported(ast.walk(tree)) if p not in known):
        yield f"{source} imports {package}: add its distribution to `dependencies` of pyproject.toml"
    written = {n.value: n.lineno for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    for old in own.keys() & written.keys():
        yield f"{source}:{written[old]} names `{old}`: in the distribution it is `{own[old]}`"


def _imported(nodes: Any) -> Iterator[tuple[int, str]]:
    """Line and top-level package of each import among the nodes."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module.partition(".")[0]

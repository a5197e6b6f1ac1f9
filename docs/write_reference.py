"""Writes docs/reference.md from `prerl_spec.sdk`: every public name with its signature and docstring, read from the sources.

`python docs/write_reference.py` brings the page up to date; `tests/test_tooling.py` fails while it is not. Sources are
parsed, not imported: annotations stand as they are written, and torch is not needed.
"""

import ast
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

ROOT = Path(__file__).parent.parent
SDK = ROOT / "prerl_spec" / "sdk.py"
PAGE = ROOT / "docs" / "reference.md"
HEAD = """# Reference: `prerl_spec.sdk`

Component API {api}: every name that component authors import, and the Protocol of every kind. `docs/write_reference.py` writes
this page from the docstrings: edit those. [objectives.md](objectives.md) and [components.md](components.md) show the names at
work, [vocabulary.md](vocabulary.md) defines the terms and the axis letters."""
SECTIONS = {
    "prerl_spec.registry.component": "Declaring a component",
    "prerl_spec.registry": "Bases of a kind: subclass them in place of `Component`",
    "prerl_spec.registry.kinds": "One Protocol a kind, and what the engine hands to a component",
    "prerl_spec.needs": "Vectors and credit",
    "prerl_spec.views": "Views",
    "prerl_spec.statistics": "Baselines that leave exactly 0",
    "prerl_spec.types": "Prompts, attempts, steps, scores",
    "prerl_spec.text": "Text and tokens",
    "prerl_spec.prompts": "Questions and prompts",
    "prerl_spec.templates": "Templates",
    "prerl_spec.json_lines": "JSON Lines files",
    "prerl_spec.errors": "Errors and diagnostics",
    "prerl_spec.codes": "Diagnostic codes",
}
"""Module, or room for all its other modules -> the heading of its names; in the order of the page."""


KINDS = "prerl_spec.registry.kinds"
"""Its Protocols are shown whole, imported by authors or not: they are what the engine asks of each kind."""


def page() -> str:
    """The whole page, as it should stand in docs/reference.md."""
    modules = _modules_of_names()
    for file in sorted((ROOT / KINDS.replace(".", "/")).glob("*.py")):
        module = f"{KINDS}.{file.stem}"
        modules |= {node.name: module for node in _tree(module).body if isinstance(node, ast.ClassDef)}
    parts = [HEAD.format(api=_api())]
    for section, title in SECTIONS.items():
        parts.append(f"\n## {title}\n")
        for module in dict.fromkeys(modules.values()):
            if _section(module) == section:
                names = [name for name, where in modules.items() if where == module]
                parts += _of_module(module, names)
    return "\n".join(parts)


def _modules_of_names() -> dict[str, str]:
    """Each name of the sdk -> the module that defines it."""
    tree = ast.parse(SDK.read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def _section(module: str) -> str:
    return module if module in SECTIONS else module.rpartition(".")[0]


def _api() -> int:
    """The API's number, from the line that sets it."""
    for node in _tree("prerl_spec.registry.component").body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "API":
            return int(ast.literal_eval(node.value))
    raise AssertionError("prerl_spec/registry/component.py sets no API")


def _tree(module: str) -> ast.Module:
    return ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text(encoding="utf-8"))


def _of_module(module: str, names: list[str]) -> Iterator[str]:
    """The entries of a module's names, in the order of its source."""
    for node, doc in _with_docs(_tree(module).body):
        if isinstance(node, ast.ClassDef) and node.name in names:
            yield from _of_class(node)
        elif isinstance(node, ast.FunctionDef) and node.name in names:
            yield f"### `{node.name}`\n\n```python\n{_signature(node)}\n```\n\n{ast.get_docstring(node) or ''}\n"
        elif (target := _assigned(node)) in names:
            yield f"### `{target}`\n\n```python\n{_formatted(node)}\n```\n\n{doc}\n"


def _formatted(node: ast.stmt) -> str:
    """A statement with double quotes, as the formatter would have it on the page."""
    written = ast.unparse(node)
    return written if '"' in written else written.replace("'", '"')


def _of_class(node: ast.ClassDef) -> Iterator[str]:
    bases = ", ".join(map(ast.unparse, node.bases))
    frozen = "@dataclass(frozen=True)\n" if any("frozen=True" in ast.unparse(d) for d in node.decorator_list) else ""
    yield f"### `{node.name}`\n\n```python\n{frozen}class {node.name}{f'({bases})' if bases else ''}\n```\n"
    if said := ast.get_docstring(node):
        yield f"{said}\n"
    members = [_member(child, doc) for child, doc in _with_docs(node.body)]
    if shown := [member for member in members if member is not None]:
        yield "\n".join(shown) + "\n"


def _member(node: ast.stmt, doc: str) -> str | None:
    """A public field, property or method as a list item; None for what is neither."""
    if isinstance(node, ast.FunctionDef):
        written, doc = _signature(node), ast.get_docstring(node) or ""
        if any("property" in ast.unparse(d) for d in node.decorator_list):
            written = f"{node.name}: {ast.unparse(node.returns) if node.returns else 'Any'}"
        name = node.name
    elif (name := _assigned(node) or "") and name != "model_config":
        written = ast.unparse(node)
    if not name or name.startswith("_") or name == "model_config":
        return None
    lines = f"- `{' '.join(written.split())}`{'  ' if doc else ''}\n{doc}".rstrip().splitlines()
    return "\n".join([lines[0], *(f"  {line}".rstrip() for line in lines[1:])])


def _signature(node: ast.FunctionDef) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{node.name}({ast.unparse(node.args)}){returns}"


def _assigned(node: ast.stmt) -> str | None:
    """The name that a statement assigns or annotates."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id
    return None


def _with_docs(body: list[ast.stmt]) -> Iterator[tuple[ast.stmt, str]]:
    """Each statement with the text that stands under it, as fields have it."""
    for node, following in zip(body, [*body[1:], None], strict=True):
        under = following.value if isinstance(following, ast.Expr) else None
        text = under.value if isinstance(under, ast.Constant) else None
        yield node, cleandoc(text) if isinstance(text, str) else ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

"""The public interface as a table of lines: names of the sdk, protocols of the kinds, laws, and groups of entry points.

`python -m tests.registry.api_table > tests/registry/api_1.txt` writes it anew, to add what is new: nothing may be lost.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

from prerl_spec import sdk
from prerl_spec.registry.component import Component
from prerl_spec.registry.kind_names import KINDS
from prerl_spec.registry.kind_protocols import PROTOCOLS
from prerl_spec.testing import laws


def api_table() -> list[str]:
    """Every line of the table, in order: "sdk Need.view: View"."""
    lines = [line for name in sorted(sdk.__all__) for line in _lines(f"sdk {name}", getattr(sdk, name))]
    for kind in KINDS:
        lines += [f"entry points prerl_spec.{kind}", *_lines(f"kind {kind}", PROTOCOLS[kind])]
    for name in sorted(laws.__all__):
        lines += _lines(f"law {name}", getattr(laws, name))
    return lines


def _lines(name: str, found: Any) -> Iterator[str]:
    if inspect.isclass(found) and found.__module__.startswith("prerl_spec"):
        yield f"{name}: class"
        yield from (f"{name}.{member}" for member in _members(found).values())
    elif inspect.isfunction(found):
        yield f"{name}{_signature(_parsed(found))}"
    else:
        yield f"{name}: {found if isinstance(found, int) else 'alias'}"


def _members(cls: type) -> dict[str, str]:
    """Name -> line of each public member of a class and its bases of ours, a subclass's own first; what it has from
    `Component` stands there."""
    found: dict[str, str] = {}
    for one in cls.__mro__:
        if not one.__module__.startswith("prerl_spec") or (one is Component and cls is not Component):
            continue
        for node in _parsed(one).body:
            for name, line in _member(node):
                if not name.startswith("_"):
                    found.setdefault(name, line)
    return dict(sorted(found.items()))


def _member(node: ast.stmt) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.FunctionDef):
        is_property = any("property" in ast.unparse(d) for d in node.decorator_list)
        returns = ast.unparse(node.returns) if node.returns is not None else "?"
        yield node.name, f"{node.name}: {returns}" if is_property else f"{node.name}{_signature(node)}"
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        default = " = …" if node.value is not None and not _is_required(node.value) else ""
        yield node.target.id, f"{node.target.id}: {ast.unparse(node.annotation)}{default}"
    elif isinstance(node, ast.Assign):
        yield from ((t.id, f"{t.id} = …") for t in node.targets if isinstance(t, ast.Name))


def _is_required(value: ast.expr) -> bool:
    """Whether `Field(…)` gives no default."""
    if not isinstance(value, ast.Call) or ast.unparse(value.func) != "Field":
        return False
    return not value.args and not any(k.arg in ("default", "default_factory") for k in value.keywords)


def _signature(node: Any) -> str:
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    return f"({ast.unparse(node.args)}){returns}"


def _parsed(found: Any) -> Any:
    return ast.parse(textwrap.dedent(inspect.getsource(found))).body[0]


if __name__ == "__main__":
    print("\n".join(api_table()))

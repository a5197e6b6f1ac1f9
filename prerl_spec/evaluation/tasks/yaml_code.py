"""Finds the code that a folder of lm-eval YAML files would run, by lm-eval's own reading of them, without running any.

lm-eval runs code at the tag `!function` (a function of a Python file beside the YAML, else of any importable module), in the
folder's own files and in those that they `include`, wherever these lie. Two further values run code of others: the data
builder `pandas`, which reads pickles, and a prompt of the package `promptsource`. Files of lm-eval itself are not counted: the
evaluator names that package. Templates are no code here: they run in a sandbox (see strange_code.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

FUNCTION = "!function"
_PYTHON = "tag:yaml.org,2002:python/"
"""Tags by which PyYAML's full loader, lm-eval's where libyaml is missing, hands out Python objects."""


@dataclass
class YamlCode:
    """What a folder would run: one line a place, and the files that hold it (absolute; YAML files outside the folder too)."""

    places: list[str] = field(default_factory=list)
    files: dict[str, None] = field(default_factory=dict)


def code_of_folder(folder: Path) -> YamlCode:
    """The code that the YAML files of a folder run; files that cannot be read or parsed, which lm-eval skips, run none."""
    found = YamlCode()
    top = folder.expanduser()
    if not top.is_dir():
        return found
    own = _lm_eval_folder()
    pending, seen = [file.resolve() for file in sorted(top.glob("**/*.yaml"))], set[Path]()
    while pending:
        file = pending.pop(0)
        if file in seen or (own is not None and file.is_relative_to(own)):
            continue
        seen.add(file)
        tree = _parsed(file)
        if tree is None:
            continue
        name = file.relative_to(top.resolve()) if file.is_relative_to(top.resolve()) else file
        for what, source in _code_in(tree, file):
            found.places.append(f"{name} {what}")
            found.files |= dict.fromkeys(str(one) for one in (source, file) if one is not None)
        pending += [one for one in _included(tree, file) if one.is_file()]
    return found


def _lm_eval_folder() -> Path | None:
    """The installed lm-eval's folder, found without importing it."""
    spec = find_spec("lm_eval")
    return None if spec is None or spec.origin is None else Path(spec.origin).resolve().parent


def _parsed(file: Path) -> Any:
    """The graph of nodes with their resolved tags, from the same parser as lm-eval's; None for a file without one."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        with file.open("rb") as stream:
            return yaml.compose(stream, Loader=loader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return None


def _nodes(tree: Any) -> Iterator[Any]:
    """Every node once: an alias is the node that it names."""
    pending, seen = [tree], set[int]()
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        if isinstance(node.value, list):
            for item in reversed(node.value):
                pending += reversed(item) if isinstance(item, tuple) else (item,)


def _code_in(tree: Any, file: Path) -> Iterator[tuple[str, Path | None]]:
    """Each place that runs code, in words, with the Python file that holds the code, where there is one."""
    for node in _nodes(tree):
        if node.tag == FUNCTION:
            yield _function(str(node.value), file.parent)
        elif str(node.tag).startswith(_PYTHON):
            yield f"makes a Python object of the tag `{str(node.tag).removeprefix('tag:yaml.org,2002:')}`", None
        elif isinstance(node.value, list):
            for key, value in (item for item in node.value if isinstance(item, tuple)):
                if key.value == "dataset_path" and value.value == "pandas":
                    yield "reads pickles, which run code: `dataset_path: pandas`", None
                elif key.value == "use_prompt" and str(value.value).startswith("promptsource:"):
                    yield "imports the package `promptsource`", None


def _function(name: str, folder: Path) -> tuple[str, Path | None]:
    module, _, _ = name.rpartition(".")
    source = (folder / f"{module.replace('.', '/')}.py").resolve()
    if source.is_file():
        return f"runs `{name}` of {source.name}", source
    return f"runs `{name}` of the importable module `{module}`", None


def _included(tree: Any, file: Path) -> Iterator[Path]:
    """The files that its top level includes, as lm-eval finds them; merge keys and aliases count as written out."""
    pending, seen = [tree], set[int]()
    while pending:
        node = pending.pop()
        if id(node) in seen or not isinstance(node.value, list):
            continue
        seen.add(id(node))
        for key, value in (item for item in node.value if isinstance(item, tuple)):
            if str(key.tag) == "tag:yaml.org,2002:merge":
                pending += value.value if str(value.tag).endswith(":seq") else [value]
            elif key.value == "include":
                names = value.value if isinstance(value.value, list) else [value]
                for name in names:
                    if isinstance(name, tuple):
                        continue
                    path = Path(str(name.value))
                    yield (path if path.is_absolute() else file.parent / path).expanduser().resolve()

"""Reads the YAML of lm-eval's tasks without importing lm-eval: whole files, or only what an index of names needs.

As in lm-eval, a file's `include` is read first and its own keys win; `!function` is kept as its text, and nothing is run.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

NAMING = ("task", "group", "class", "tag", "include")
"""Keys that an index of names needs."""

_TOP = re.compile(r"^([\"']?)(task|group|class|tag|include)\1[ \t]*:(?:[ \t]+(.*))?$", re.MULTILINE)
_ITEM = re.compile(r"[ \t]*-[ \t]+(.+)")
_PLAIN = re.compile(r"[A-Za-z_][\w./+()-]*(?: [\w./+()-]+)*")
_QUOTED = re.compile(r"'([^'\n]*)'|\"([^\"\\\n]*)\"")
_NO_TEXT = frozenset({"true", "false", "yes", "no", "on", "off", "null", "none", "y", "n"})


def read_task(file: Path) -> dict[str, Any]:
    """The configuration with everything that it includes. Raises OSError, ValueError for what lm-eval would not read."""
    return dict(_merged(str(file.resolve()), frozenset(), _whole, {}))


def naming_keys(file: str, known: dict[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    """Of that configuration the keys of `NAMING`; `known` holds what files include. Raises as `read_task`."""
    return _merged(file, frozenset(), _naming, known)


def _naming(file: str) -> Mapping[str, Any]:
    with open(file, encoding="utf-8") as text:
        found = _at_a_glance(text.read())
    return _whole(file) if found is None else found


def _merged(
    file: str,
    above: frozenset[str],
    read: Callable[[str], Mapping[str, Any]],
    known: dict[str, Mapping[str, Any]],
) -> Mapping[str, Any]:
    if file in above:
        raise ValueError(f"{file} includes itself")
    own = read(file)
    if "include" not in own:
        return own
    found: dict[str, Any] = {}
    includes = own["include"]
    for name in includes if isinstance(includes, list) else [includes]:
        path = os.path.normpath(os.path.join(os.path.dirname(file), name))
        if path not in known:
            inner = _merged(path, above | {file}, read, known)
            known[path] = {key: value for key, value in inner.items() if key != "task_list"}
        found.update(known[path])
    found.update(own)
    del found["include"]
    return found


def _whole(file: str) -> Mapping[str, Any]:
    import yaml

    try:
        tree = yaml.load(Path(file).read_bytes(), Loader=_loader())
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{file}: {error}") from error
    if not isinstance(tree, dict):
        raise ValueError(f"{file} is not a table")
    return tree


def _loader() -> Any:
    """A safe loader that takes `!function` for a text."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # one of two classes
        pass

    Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))
    return Loader


def _at_a_glance(text: str) -> Mapping[str, Any] | None:
    """The naming keys of a file whose top level writes them plainly, a line each; None where only a parser can tell."""
    if text[:1] in ("{", "%", "\ufeff") or "\n<<" in text or text.startswith("<<") or "\n---" in text:
        return None
    found: dict[str, Any] = {}
    for match in _TOP.finditer(text):
        key, written = match[2], (match[3] or "").strip()
        value = list(_items(text, match.end())) if not written or written.startswith("#") else _value(written)
        if value is None or (isinstance(value, list) and None in value):
            if key == "task" and value and isinstance(value, list):
                value = [part for part in value if part is not None]  # members of a group, read in full when wanted
            elif key == "class":
                value = written
            else:
                return None
        if value == []:
            return None
        found[key] = value
    return found


def _items(text: str, start: int) -> Iterator[str | None]:
    """The items of a block list that begins on the next line."""
    for line in text[start:].split("\n")[1:]:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        item = _ITEM.fullmatch(line)
        if item is None:
            if line[:1] in (" ", "\t"):
                yield None  # a continued item, or a table
                continue
            return
        found = _value(item[1])
        yield found if isinstance(found, str) else None


def _value(written: str) -> str | list[str] | None:
    """A plain or quoted text, or a list of them on one line; None for all else."""
    written = written.split(" #", 1)[0].strip()
    if written.startswith("[") and written.endswith("]"):
        parts = [_value(part.strip()) for part in written[1:-1].split(",") if part.strip()]
        texts = [part for part in parts if isinstance(part, str)]
        return texts if texts and len(texts) == len(parts) else None
    if quoted := _QUOTED.fullmatch(written):
        return quoted[1] if quoted[1] is not None else quoted[2]
    if _PLAIN.fullmatch(written) and written.lower() not in _NO_TEXT:
        return written
    return None

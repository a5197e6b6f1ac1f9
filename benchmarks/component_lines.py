"""Lines of a component, by kind: its class, and the file that it stands in.

    python -m benchmarks.component_lines

Lines that are not blank, docstrings and comments included. Presets share a file with their family; what a component imports
from another file is not counted.
"""

import inspect
import statistics
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

GROUP = "prerl_spec."


def filled(text: str) -> int:
    return sum(bool(line.strip()) for line in text.splitlines())


def row(kind: str, classes: Mapping[str, int], files: Mapping[str, int]) -> str:
    largest, longest = max(classes, key=lambda use: classes[use]), max(files, key=lambda name: files[name])
    of_class = f"{statistics.median(classes.values()):.0f} | {classes[largest]} {largest}"
    of_file = f"{statistics.median(files.values()):.0f} | {files[longest]} {longest}"
    return f"| {kind} | {len(classes)} | {of_class} | {of_file} |"


def main() -> None:
    classes: dict[str, dict[str, int]] = {}
    files: dict[str, dict[str, int]] = {}
    for entry in metadata.distribution("prerl-spec").entry_points:
        if entry.group.startswith(GROUP):
            kind, component = entry.group.removeprefix(GROUP), entry.load()
            file = Path(inspect.getfile(component))
            classes.setdefault(kind, {})[entry.name] = filled(inspect.getsource(component))
            files.setdefault(kind, {})[f"{file.parent.name}/{file.name}"] = filled(file.read_text())
    print("| kind | number | median class | largest class | median file | longest file |")
    print("| --- | ---: | ---: | --- | ---: | --- |")
    for kind in sorted(classes):
        print(row(kind, classes[kind], files[kind]))
    together: dict[str, int] = {f"{kind} {use}": n for kind, found in classes.items() for use, n in found.items()}
    print(row("all", together, {name: n for found in files.values() for name, n in found.items()}))


if __name__ == "__main__":
    main()

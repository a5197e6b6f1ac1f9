"""Imports declarations in a process where heavy packages cannot be imported, as `validate` does in a light install.

`python -m prerl_spec.testing.conformance.light_import` reads entries as JSON from stdin and writes the fault of each.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from prerl_spec.registry.component import Component, Wiring
from prerl_spec.registry.entry_points import Entry, PluginFault, load
from prerl_spec.testing.conformance.branches import Unguessable, example_settings
from prerl_spec.testing.conformance.findings import Finding

HEAVY = ("torch", "transformers", "datasets", "lm_eval", "vllm", "accelerate", "peft", "math_verify", "scipy", "sympy")


class Blocker(MetaPathFinder):
    """Blocks every import of a heavy package, as if it were not installed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in HEAVY:
            raise ModuleNotFoundError(
                f"a declaration must not import {fullname}: import it where it is used", name=fullname
            )
        return None


def check_light_import(entries: Sequence[Entry]) -> list[Finding]:
    """One finding per component: whether its declaration imports without any heavy package, and how long that takes."""
    request = json.dumps([[e.kind, e.name, e.value, e.distribution, e.distribution_version] for e in entries])
    done = subprocess.run(
        [sys.executable, "-m", "prerl_spec.testing.conformance.light_import"],
        input=request,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    results = json.loads(done.stdout) if done.returncode == 0 else [[done.stderr.strip()[-500:], 0.0]] * len(entries)
    return [
        Finding(f"{entry.kind} {entry.name}", "light import", "broken", fault)
        if fault
        else Finding(f"{entry.kind} {entry.name}", "light import", "held", f"no heavy package, {seconds:.2f} s")
        for entry, (fault, seconds) in zip(entries, results, strict=True)
    ]


def _declare(cls: type[Component]) -> None:
    """Makes the calls of `validate` and `plan` on a component. Raises ImportError if one needs a heavy package."""
    try:
        component: Any = cls.model_validate(example_settings(cls))
    except (Unguessable, ValidationError):
        return  # reported by the check of its settings
    for declaration in (component.consumes, component.provides, component.prerequisites):
        declaration()
    list(component.check(Wiring(written=frozenset())))
    for part in component.parts() if component.kind == "objective" and hasattr(component, "parts") else ():
        part.needs(), part.reads()


def main() -> None:
    """The blocked process."""
    sys.meta_path.insert(0, Blocker())
    results: list[tuple[str | None, float]] = []
    for fields in json.load(sys.stdin):
        begin, fault = time.perf_counter(), None
        try:
            _declare(load(Entry(*fields)))
        except PluginFault as found:
            fault = f"{found.message}; {found.help}" if found.help else found.message
        except ImportError as error:
            fault = f"a declaration that `validate` reads fails: {error}"
        results.append((fault, time.perf_counter() - begin))
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()

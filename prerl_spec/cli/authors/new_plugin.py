"""Writes a distribution for `plugin new` from the templates beside this file: one component of a kind, to start from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from prerl_spec.errors import UsageError

TEMPLATES = Path(__file__).parent / "plugin_template"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "package.py": "src/{module}/__init__.py",
    "py.typed": "src/{module}/py.typed",
    "{kind}.py": "src/{module}/{kind}.py",
    "test_{kind}.py": "tests/test_{kind}.py",
    "spec.toml": "specs/{name}.toml",
}
"""Template -> where it is written."""

SPEC = {
    "data": '{ use = "arithmetic_chains", steps = [1, 1] }',
    "verifier": '"math_verify"',
    "objective": '{ use = "grpo", aggregation = "token_mean" }',
    "schedule": '{ use = "fixed_steps", steps = 3 }',
    "optimizer": '{ use = "adamw", lr = 1e-4 }',
    "more": "",
}
"""What the phase of the written spec is made of, where the new component is not."""


@dataclass(frozen=True)
class Start:
    """The component that a kind begins with: its class, what it does, and where it stands in a spec."""

    cls: str
    does: str
    shown: str
    """In the README."""
    spec: Mapping[str, str] = field(default_factory=dict)
    """In place of what SPEC has under the same key."""

    @property
    def component(self) -> str:
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.cls).lower()


STARTS = {
    "objective": Start(
        "Likelihood",
        "raises log P(y|x) of right responses",
        '[phases.objective]\nuse = "@use@"\ncoefficient = 1.0',
        {"objective": '"@use@"'},
    ),
    "verifier": Start(
        "LastNumber",
        "takes the last number of a response for its answer",
        '[verifier]\nuse = "@use@"\ntolerance = 0.0',
        {"verifier": '"@use@"'},
    ),
    "reward": Start(
        "Brevity",
        "lets long responses cost something",
        '[[rewards]]\nuse = "@use@"\nprice = 0.01',
        {"more": 'rewards = [{ use = "@use@", price = 0.01 }]\n'},
    ),
    "filter": Start(
        "Unsolved",
        "drops prompts that are nearly solved",
        '[[filters]]\nuse = "@use@"\nmost = 0.75',
        {"more": 'filters = [{ use = "@use@", most = 0.75 }]\n'},
    ),
    "data": Start(
        "Additions",
        "asks for sums",
        '[data.train]\nuse = "@use@"\nlargest = 9',
        {"data": '{ use = "@use@", largest = 9 }'},
    ),
    "probe": Start(
        "Repetition",
        "measures how much responses repeat themselves",
        '[[probes]]\nuse = "@use@"\nn = 3',
        {"more": 'probes = [{ use = "@use@", n = 3 }]\n'},
    ),
    "schedule": Start(
        "UntilReward",
        "ends a phase that is good enough",
        '[phases.schedule]\nuse = "@use@"\nreward = 0.9',
        {"schedule": '{ use = "@use@", steps = 3 }'},
    ),
    "optimizer": Start(
        "Sgd",
        "is stochastic gradient descent with momentum",
        '[optimizer]\nuse = "@use@"\nlr = 0.1',
        {"optimizer": '{ use = "@use@", lr = 0.1 }'},
    ),
}
"""Kind -> what `plugin new --kind` writes."""


@dataclass(frozen=True)
class Written:
    """What was written: the distribution's folder, its files, the name of its component in a spec, and the start."""

    folder: Path
    files: tuple[Path, ...]
    component: str
    start: Start


def write_plugin(name: str, parent: Path, kind: str = "objective") -> Written:
    """Raises UsageError for a name that no distribution can have, and for a folder that is there already."""
    if not NAME.fullmatch(name) or name in ("prerl-spec", "prerl"):
        raise UsageError(f"`{name}` is no name for a plugin", hint="write lower-case words with hyphens: prerl-acme")
    folder = parent / name
    if folder.exists():
        raise UsageError(f"{folder} is there already", hint="choose another name, or --in another folder")
    words = _words(name, kind)
    files: list[Path] = []
    for template, place in FILES.items():
        text = (TEMPLATES / f"{template.format(**words)}.template").read_text(encoding="utf-8")
        for key, value in words.items():
            text = text.replace(f"@{key}@", value)
        file = folder / place.format(**words)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{file} cannot be written: {error.strerror}", hint="choose another folder") from error
        files.append(file)
    return Written(folder, tuple(files), words["use"], STARTS[kind])


def _words(name: str, kind: str) -> dict[str, str]:
    """What stands between @ in a template; `use` is last, because others hold it."""
    start, namespace = STARTS[kind], name.removeprefix("prerl-").replace("-", "_")
    return {
        **SPEC,
        **start.spec,
        "readme": start.shown,
        "name": name,
        "module": name.replace("-", "_"),
        "namespace": namespace,
        "kind": kind,
        "Article": "An" if kind[0] in "aeiou" else "A",
        "class": start.cls,
        "component": start.component,
        "use": f"{namespace}.{start.component}",
    }

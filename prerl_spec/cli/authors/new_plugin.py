"""Scaffolds a plugin distribution for `plugin new`: one component of a kind, from the templates in `plugin_template/`."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prerl_spec.errors import UsageError
from prerl_spec.situations import writing

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
"""Template -> path of the generated file."""

SPEC = {
    "data": '{ use = "arithmetic_chains", steps = [1, 1] }',
    "verifier": '"math_verify"',
    "objective": '{ use = "grpo", aggregation = "token_mean" }',
    "schedule": '{ use = "fixed_steps", steps = 3 }',
    "optimizer": '{ use = "adamw", lr = 1e-4 }',
    "more": "",
}
"""Components of the generated spec's training phase, other than the new one."""


@dataclass(frozen=True)
class Start:
    """The example component of a kind: its class, what it does, and how a spec selects it."""

    cls: str
    does: str
    readme: str
    """TOML excerpt for the README."""
    spec: Mapping[str, str] = field(default_factory=dict)
    """Overrides of SPEC, by key."""

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
    "advantage": Start(
        "AboveQuantile",
        "measures rewards from a quantile of their group",
        '[phases.objective]\nuse = "policy_gradient"\nadvantage = { use = "@use@", quantile = 0.5 }',
        {"objective": '{ use = "policy_gradient", advantage = "@use@" }'},
    ),
    "selection": Start(
        "Beginning",
        "trains the beginning of each response",
        '[phases.objective]\nuse = "policy_gradient"\nadvantage = "group_std"\nselection = [{ use = "@use@", share = 0.5 }]',
        {"objective": '{ use = "policy_gradient", advantage = "group_std", selection = ["@use@"] }'},
    ),
    "surrogate": Start(
        "Quadratic",
        "penalises ratios in place of a clip",
        '[phases.objective]\nuse = "policy_gradient"\nadvantage = "group_std"\nsurrogate = { use = "@use@", width = 0.2 }',
        {"objective": '{ use = "policy_gradient", advantage = "group_std", surrogate = "@use@" }'},
    ),
    "correction": Start(
        "Damped",
        "weighs tokens by a power of their importance weight",
        '[phases.objective]\nuse = "policy_gradient"\nadvantage = "group_std"\ncorrection = { use = "@use@", power = 0.5 }',
        {"objective": '{ use = "policy_gradient", advantage = "group_std", correction = "@use@" }'},
    ),
    "ramp": Start(
        "Halving",
        "halves a coefficient every few steps",
        '[phases.objective]\nuse = "grpo"\ncoefficient = { use = "@use@", start = 1.0, every = 10 }',
        {"objective": '{ use = "grpo", coefficient = { use = "@use@", every = 1 } }'},
    ),
    "verifier": Start(
        "LastNumber",
        "extracts the last number of a response as its answer",
        '[verifier]\nuse = "@use@"\ntolerance = 0.0',
        {"verifier": '"@use@"'},
    ),
    "reward": Start(
        "Brevity",
        "penalises long responses",
        '[[rewards]]\nuse = "@use@"\nprice = 0.01',
        {"more": 'rewards = [{ use = "@use@", price = 0.01 }]\n'},
    ),
    "filter": Start(
        "Unsolved",
        "drops groups that are nearly solved",
        '[[filters]]\nuse = "@use@"\nmost = 0.75',
        {"more": 'filters = [{ use = "@use@", most = 0.75 }]\n'},
    ),
    "data": Start(
        "Additions",
        "generates addition questions",
        '[data.train]\nuse = "@use@"\nlargest = 9',
        {"data": '{ use = "@use@", largest = 9 }'},
    ),
    "probe": Start(
        "Repetition",
        "measures repetition within responses",
        '[[probes]]\nuse = "@use@"\nn = 3',
        {"more": 'probes = [{ use = "@use@", n = 3 }]\n'},
    ),
    "schedule": Start(
        "UntilReward",
        "ends a phase at a target mean reward",
        '[phases.schedule]\nuse = "@use@"\nreward = 0.9',
        {"schedule": '{ use = "@use@", steps = 3 }'},
    ),
    "optimizer": Start(
        "Sgd",
        "implements stochastic gradient descent with momentum",
        '[optimizer]\nuse = "@use@"\nlr = 0.1',
        {"optimizer": '{ use = "@use@", lr = 0.1 }'},
    ),
}
"""Kind -> the component that `plugin new --kind` generates."""


@dataclass(frozen=True)
class Written:
    """A generated distribution: its folder, its files, and what its component is."""

    folder: Path
    files: tuple[Path, ...]
    says: str
    notes: tuple[str, ...] = ()
    """What is left for its author to do before the checks pass."""


def write_plugin(name: str, parent: Path, kind: str = "objective") -> Written:
    """Writes the distribution to `parent/name`. Raises UsageError for an invalid name and for an existing folder."""
    placeholders = _placeholders(name, kind)
    texts = {
        place.format(**placeholders): filled(template.format(**placeholders), placeholders)
        for template, place in FILES.items()
    }
    folder, files = write_files(name, parent, texts)
    return Written(folder, files, f"The {kind} `{placeholders['use']}` {STARTS[kind].does}.")


def filled(template: str, placeholders: Mapping[str, str]) -> str:
    """A template with its `@placeholder@`s replaced, in their order: the text of one may contain later ones."""
    text = (TEMPLATES / f"{template}.template").read_text(encoding="utf-8")
    for key, value in placeholders.items():
        text = text.replace(f"@{key}@", value)
    return text


def write_files(name: str, parent: Path, texts: Mapping[str, str]) -> tuple[Path, tuple[Path, ...]]:
    """Writes the texts, by their paths in the distribution, to `parent/name`, and returns the folder and the files.

    Raises UsageError for an invalid name and for an existing folder.
    """
    if not NAME.fullmatch(name) or name in ("prerl-spec", "prerl"):
        raise UsageError(
            f"`{name}` is not a valid plugin name", hint="use lower-case words joined by hyphens: prerl-acme"
        )
    folder = parent / name
    if os.path.lexists(folder):
        raise UsageError(f"{folder} already exists", hint="choose another name, or another folder with --in")
    for place, text in texts.items():
        file = folder / place
        with writing(file, "choose another folder with --in"):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    return folder, tuple(folder / place for place in texts)


def named(name: str) -> dict[str, str]:
    """The placeholders that a distribution's name decides."""
    return {"name": name, "module": name.replace("-", "_"), "namespace": namespace_of(name)}


def namespace_of(name: str) -> str:
    """`acme` for prerl-acme."""
    return name.removeprefix("prerl-").replace("-", "_")


def _placeholders(name: str, kind: str) -> dict[str, str]:
    """Placeholder -> text, for `@placeholder@` in a template; `use` is last because other values contain it."""
    start = STARTS[kind]
    use = f"{namespace_of(name)}.{start.component}"
    return {
        **SPEC,
        **start.spec,
        **named(name),
        "readme": start.readme,
        "kind": kind,
        "what": f"{'An' if kind[0] in 'aeiou' else 'A'} {kind}",
        "class": start.cls,
        "component": start.component,
        "entry_points": entry_points([(kind, use, f"{name.replace('-', '_')}.{kind}:{start.cls}")]),
        "use": use,
    }


def entry_points(entries: Sequence[tuple[str, str, str]]) -> str:
    """The tables of a pyproject.toml for these (kind, name in a spec, module:Class)."""
    tables = dict.fromkeys(kind for kind, _, _ in entries)
    return "\n".join(
        f'[project.entry-points."prerl_spec.{table}"]\n'
        + "".join(f'"{use}" = "{value}"\n' for kind, use, value in entries if kind == table)
        for table in tables
    )

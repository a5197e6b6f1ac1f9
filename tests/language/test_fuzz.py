"""Broken specs of all kinds: every one ends in diagnostics that can be shown, never in a traceback."""

import json
import random
import time
from pathlib import Path

import pytest

from prerl_spec.cli.shared.diagnostics import as_github, as_json, as_text
from prerl_spec.compiler.resolve.resolve import resolve, resolve_text
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.wire import diagnose
from tests.language.cases import BASE
from tests.language.specs import LONG, SHORT

SPECS = [BASE, *(s.read_text("utf-8") for s in sorted((Path(__file__).parents[2] / "specs").glob("*.toml")))]
PIECES = [
    "\n[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    '"',
    "'",
    '"""',
    "'''",
    "=",
    ",",
    ".",
    "#",
    "\\",
    "\n",
    "\r",
    "\t",
    "\x00",
    "null",
    "nan",
    "inf",
    "true",
    "017",
    "1e",
    ".5",
    '""',
    "[]",
    "{}",
    "${",
    "${vars.x}",
    "${env:X}",
    "$${\n${secret:X}",
    "use",
    "from",
    "spec",
    "extends",
    "unset",
    "vars",
    "phases",
    "[phases]",
    "[[phases]]",
    "[[evaluate]]",
    "[study.arms.a]",
    "[data]",
    '"use"',
    "grpo\n@0",
    "0",
    "-1",
    "9999999999999999999999",
    "1e400",
    "2024-01-01",
    "é",
    "\ufeff",
    "𝒳",
    'use="lora"',
    'extends=["x"]',
    'unset=["run.name"]',
    "phases=[]",
    "data=5\n",
]


def broken(chance: random.Random, text: str) -> str:
    """A good spec with some characters, lines or pieces taken out, doubled, swapped or put in."""
    for _ in range(chance.randint(1, 6)):
        at, other = sorted(chance.choices(range(len(text) + 1), k=2))
        lines = text.split("\n")
        line = chance.randrange(len(lines))
        match chance.randrange(6):
            case 0:
                text = text[:at] + text[at + chance.randint(1, 3) :]
            case 1 | 2:
                text = text[:at] + chance.choice(PIECES) + text[at:]
            case 3:
                lines.insert(chance.randrange(len(lines)), lines[line])
                text = "\n".join(lines)
            case 4:
                del lines[line]
                text = "\n".join(lines)
            case _:
                text = text[:at] + text[other : other + 10] + text[at:]
    return text


def check_one(seed: int) -> None:
    chance = random.Random(seed)
    shown(resolve_text(broken(chance, chance.choice(SPECS)), "fuzz.toml"))


def shown(resolved: Resolved) -> None:
    """Diagnoses and shows in every form."""
    found = diagnose(resolved)
    json.loads(as_json(found))
    as_github(found)
    as_text(found, resolved.sources)


PATHS = [
    "run.seed",
    "optimizer.lr",
    "optimizer.use",
    "phases.a.objective",
    "phases[0].objective.use",
    "phases",
    "phases[0]",
    "phases.prune.id",
    "evaluate[0]",
    "evaluate",
    "data",
    "data.train",
    "vars.x",
    "study.arms.hi.optimizer.lr",
    "sampler.stop",
    "a..b",
    "",
    "[0]",
    "x[",
    "'",
    "phases[99]",
    "model.adapter.rank",
    "extends",
    "unset",
    "spec",
    "requires.prerl-spec",
    "plugins.files",
    "model.config.x.y",
]
VALUES = [
    "1",
    "x",
    '"',
    "[",
    "{}",
    "{ use = 5 }",
    "[]",
    '"${vars.x}"',
    "nan",
    "${run.name}",
    "=",
    '{ use = "grpo" }',
    "-1",
    "1e999",
    "null",
    "\udc80",
    "[[1]]",
    "a.toml",
]
CHILD = """\
extends = ["base.toml"]
spec = 1
unset = ["{path}"]
{phases}
[study]
seeds = [0]
[study.arms.hi]
optimizer.lr = 1
[study.arms]
lo = "other.toml"
"""


def check_composed(seed: int, folder: Path) -> None:
    """A broken child of a broken parent, with arms, an overlay, and options that lead anywhere."""
    chance = random.Random(seed)
    phases = LONG[LONG.index("[[phases]]") :] if chance.random() < 0.5 else ""
    child = CHILD.format(path=chance.choice(PATHS), phases=phases)
    texts = {
        "fuzz.toml": broken(chance, child) if chance.random() < 0.7 else child,
        "base.toml": broken(chance, chance.choice((SHORT, LONG))),
        "other.toml": broken(chance, 'extends = ["base.toml"]\noptimizer.lr = 3\n'),
    }
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    sets = [f"{chance.choice(PATHS)}={chance.choice(VALUES)}" for _ in range(chance.randint(0, 3))]
    unsets = [chance.choice(PATHS) for _ in range(chance.randint(0, 2))]
    overlays = [folder / "other.toml"] if chance.random() < 0.3 else []
    shown(resolve(folder / "fuzz.toml", sets=sets, unsets=unsets, overlays=overlays))


def test_broken_families_of_specs_never_end_in_a_traceback(tmp_path: Path) -> None:
    for seed in range(100):
        check_composed(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(20))
def test_two_thousand_broken_families_never_end_in_a_traceback(block: int, tmp_path: Path) -> None:
    for seed in range(100 + block * 100, 200 + block * 100):
        check_composed(seed, tmp_path)


@pytest.mark.parametrize("block", range(5))
def test_a_broken_spec_never_ends_in_a_traceback(block: int) -> None:
    for seed in range(block * 100, block * 100 + 100):
        check_one(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(100))
def test_ten_thousand_broken_specs_never_end_in_a_traceback(block: int) -> None:
    for seed in range(1000 + block * 100, 1000 + block * 100 + 100):
        check_one(seed)


@pytest.mark.parametrize(
    "mistakes",
    [
        "\n".join(f"weight_decay_{i} = {i}" for i in range(1000)),
        "\n".join("= 1" for _ in range(1000)),
        "\n".join('a line of prose, with "quotes and [brackets' for _ in range(1000)),
        "\n".join(f"steps_{i} = 0{i}" for i in range(1000)),
    ],
    ids=["unknown keys", "no keys", "prose", "bad numbers"],
)
def test_a_thousand_mistakes_stay_under_two_seconds(mistakes: str) -> None:
    start = time.process_time()
    found = diagnose(resolve_text(BASE.replace("lr = 1e-6", f"lr = 1e-6\n{mistakes}"), "many.toml"))
    assert len(found) >= 1000
    assert time.process_time() - start < 2

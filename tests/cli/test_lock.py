"""`lock`, `lock --check` and `run --locked`: what drifts is refused field by field, what only looks different is not."""

import importlib
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from prerl_spec.cli.shared.locked import compile_locked, pins
from prerl_spec.cli.specs.explain import PAGES
from prerl_spec.compiler.compare.lock import lock_file, make_lock, read_lock
from prerl_spec.compiler.compile import check_spec
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.registry.entry_points import installed
from tests.compiler.specs import TINY, written

Says = Callable[..., tuple[int, str, str]]


@pytest.fixture
def says(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Says:
    """Runs a command without a hub: its exit code, stdout and stderr."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        return (code, *capsys.readouterr())

    return run


@pytest.fixture
def locked(tmp_path: Path, says: Says) -> Path:
    """A spec with its lock."""
    spec = written(tmp_path, TINY)
    assert says("lock", spec)[0] == 0
    return spec


def bend(spec: Path, good: str, bad: str) -> None:
    text = spec.read_text(encoding="utf-8")
    assert good in text
    spec.write_text(text.replace(good, bad, 1), encoding="utf-8")


def test_a_lock_of_the_same_spec_is_the_same_file(locked: Path, says: Says) -> None:
    first = lock_file(locked).read_bytes()
    assert says("lock", "--check", locked)[0] == 0
    assert says("lock", locked)[0] == 0
    assert lock_file(locked).read_bytes() == first
    assert list(json.loads(first)) == sorted(json.loads(first))


def test_a_lock_says_nothing_of_the_place_where_it_was_made(locked: Path, says: Says, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = Path(shutil.copy(locked, elsewhere))
    shutil.copy(lock_file(locked), elsewhere)
    code, _, err = says("lock", "--check", moved)
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("good", "bad", "said", "at"),
    [
        ("seed = 3", "seed = 4", "`run.seed` is 4, locked is 3", "seed = 4"),
        ("lr = 1e-4", "lr = 2e-4", "`phases.prune.optimizer.lr` is 0.0002, locked is 0.0001", "lr = 2e-4"),
        (
            "coefficient = 0.01",
            "coefficient = 0.5",
            "`phases.prune.objective.coefficient` is 0.5, locked is 0.01",
            "0.5",
        ),
        (
            "documents_per_step = 32",
            "documents_per_step = 31",
            "`phases.pretrain.documents_per_step` is 31",
            "documents_per_step",
        ),
        (
            'use = "exact_match"',
            'use = "math_verify"',
            '`verifier.use` is "math_verify", locked is "exact_match"',
            "math_verify",
        ),
        (
            "max_new_tokens = 60",
            "max_new_tokens = 61",
            "`sampler.max_new_tokens` is 61, locked is 60",
            "max_new_tokens",
        ),
        ('part = "easy"', 'part = "hard"', '`data.easy.part` is "hard", locked is "easy"', '"hard"'),
        ("limit = 10", "", '`evaluate[0].limit` is "off", locked is 10', 'use = "holdout"'),
    ],
)
def test_drift_is_told_field_by_field_at_its_place(
    good: str, bad: str, said: str, at: str, locked: Path, says: Says
) -> None:
    bend(locked, good, bad)
    code, _, err = says("lock", "--check", locked)
    assert code == 4
    assert f"error[E0501]: {said}" in err
    line = locked.read_text(encoding="utf-8").partition(at)[0].count("\n") + 1
    assert f"{locked}:{line}:" in err


def test_a_setting_that_serves_every_phase_is_told_once(locked: Path, says: Says) -> None:
    bend(locked, "max_new_tokens = 60", "max_new_tokens = 61")
    assert says("lock", "--check", locked)[2].count("max_new_tokens` is") == 1


def test_a_component_that_gave_way_to_another_is_told_by_its_name_alone(locked: Path, says: Says) -> None:
    bend(locked, 'use = "marginal_nsr"\ncoefficient = 0.01', 'use = "grpo"')
    err = says("lock", "--check", locked)[2]
    assert re.findall(r"error\[E0501\]: `phases\.prune\.objective\.(\w+)`", err) == ["use"]


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("spec = 1\n", "spec = 1  # a comment\n"),
        ("group_size = 4", "group_size = 4\ntemperature = 1"),
        ("every = 10", "every = 5"),
        ('output_dir = "runs"', 'output_dir = "elsewhere"'),
    ],
)
def test_another_text_of_the_same_meaning_is_told_and_no_drift(good: str, bad: str, locked: Path, says: Says) -> None:
    bend(locked, good, bad)
    code, _, err = says("lock", "--check", locked)
    assert code == 0
    assert f"{locked.name} has changed since it was locked, its meaning has not" in err
    assert "E0501" not in err


def test_another_version_with_the_same_hashes_is_a_warning(locked: Path, says: Says) -> None:
    lock = json.loads(lock_file(locked).read_text())
    lock["distributions"]["torch"] = "1.0"
    lock_file(locked).write_text(json.dumps(lock))
    code, _, err = says("lock", "--check", locked)
    assert code == 0
    assert re.search(r"warning: torch is .+, locked is 1\.0", err)


ACME = """
from typing import ClassVar
from prerl_spec.sdk import Component
{imports}
class Judge(Component):
    kind: ClassVar = "verifier"
    strictness: int = {default}
    num_workers: ClassVar = 1
    seconds_allowed: ClassVar = 1.0
    memory_bytes: ClassVar = 1 << 30
    def provides(self): return frozenset({{"reward[binary]"}})
    def judge(self, response, gold):
        from acme_lock_judge.rule import right
        return right(response, gold)
    def check_gold(self, gold): return None
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed distribution whose verifier keeps its rule in a module of its own."""
    site = tmp_path / "site"
    package, info = site / "acme_lock_judge", site / "acme_judge-1.0.dist-info"
    package.mkdir(parents=True)
    info.mkdir()
    (package / "__init__.py").write_text("")
    (package / "judge.py").write_text(ACME.format(imports="", default=1))
    (package / "rule.py").write_text("def right(response, gold):\n    return response == gold\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-judge\nVersion: 1.0\n")
    entry = "[prerl_spec.verifier]\nacme.judge = acme_lock_judge.judge:Judge\n"
    (info / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield package
    forget()


def forget() -> None:
    for name in [m for m in sys.modules if m.startswith("acme_lock_judge")]:
        del sys.modules[name]
    importlib.invalidate_caches()


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("rule.py", "def right(response, gold):\n    return response in gold\n", "the code of `acme.judge`"),
        ("judge.py", ACME.format(imports="", default=2), "`verifier.strictness` is 2, locked is 1"),
        ("judge.py", ACME.format(imports="import math", default=1), "the code of `acme.judge`"),
        (
            "judge.py",
            ACME.format(imports="from pydantic import Field", default="Field(default=1, ge=0)"),
            "the settings of `acme.judge` at `verifier` changed since it was locked",
        ),
        ("rule.py", '"""Words."""\n\ndef right(response, gold):  # why\n    return response == gold\n', None),
    ],
    ids=["another rule", "another default", "another import", "another bound", "other words"],
)
def test_a_component_whose_code_has_changed_is_drift(
    file: str, text: str, said: str | None, plugin: Path, tmp_path: Path, says: Says
) -> None:
    assert "acme.judge" in installed().names("verifier")
    spec = written(tmp_path, TINY.replace('use = "exact_match"', 'use = "acme.judge"'))
    assert says("lock", spec)[0] == 0
    forget()
    (plugin / file).write_text(text)
    code, _, err = says("lock", "--check", spec)
    assert code == (0 if said is None else 4), err
    assert said is None or said in err


LOCAL = """
from prerl_spec.sdk import BinaryVerifier

class MyJudge(BinaryVerifier):
    def judge(self, response, gold): return response == gold
"""


def test_a_file_beside_the_spec_is_locked_by_its_code_wherever_it_lies(tmp_path: Path, says: Says) -> None:
    text = TINY.replace('use = "exact_match"', 'use = "local.my_judge"') + '[plugins]\nfiles = ["mine.py"]\n'
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        written(tmp_path / name, LOCAL, "mine.py")
    here, there = (written(tmp_path / name, text) for name in ("here", "there"))
    assert says("lock", here, "--local-code")[0] == 0
    shutil.copy(lock_file(here), lock_file(there))
    code, _, err = says("lock", "--check", there, "--local-code")
    assert (code, err) == (0, "")
    bend(there.parent / "mine.py", "response == gold", "gold in response")
    code, _, err = says("lock", "--check", there, "--local-code")
    assert code == 4
    assert "the code of `local.my_judge` at `verifier` changed since it was locked" in err


def test_run_locked_refuses_before_it_takes_a_folder(
    locked: Path, says: Says, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bend(locked, "seed = 3", "seed = 4")
    code, _, err = says("run", "--locked", locked)
    assert code == 4
    assert "E0501" in err
    assert not (tmp_path / "runs").exists()


def test_run_locked_without_a_lock_is_a_usage_error(tmp_path: Path, says: Says) -> None:
    spec = written(tmp_path, TINY)
    assert says("run", "--locked", spec)[0] == 2
    assert says("lock", "--check", spec)[0] == 2
    assert not lock_file(spec).exists()


def test_a_file_that_is_no_lock_is_a_usage_error(tmp_path: Path, says: Says) -> None:
    spec = written(tmp_path, TINY)
    lock_file(spec).write_text("[]")
    assert says("lock", "--check", spec)[0] == 2


def test_hub_names_are_pinned_by_what_the_cache_knows(
    tmp_path: Path, says: Says, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    reference = tmp_path / "hub" / "models--acme--tiny" / "refs" / "main"
    reference.parent.mkdir(parents=True)
    reference.write_text("a" * 40)
    spec = written(
        tmp_path,
        'spec = 1\nrun.name = "scores"\nmodel = { use = "hf_causal", name = "acme/tiny" }\n'
        'data.train = { use = "hf_dataset", path = "acme/rows" }\n'
        '[[evaluate]]\nuse = "holdout"\ndata = "train"\nverifier = "exact_match"\n',
    )
    code, _, err = says("lock", spec)
    assert code == 0
    assert "warning: dataset acme/rows@main is not pinned, unknown: HF_HUB_OFFLINE is set" in err
    assert "acme/rows@main is not pinned" in says("lock", "--check", spec)[2]
    resolved, _ = check_spec(spec)
    lock = read_lock(lock_file(spec))
    assert lock is not None
    assert lock.revisions["model acme/tiny@main"] == "a" * 40
    assert pins(resolved, lock) == (f'model.revision="{"a" * 40}"',)
    pinned, _ = check_spec(spec, sets=pins(resolved, lock))
    assert make_plan(pinned).model.settings["revision"] == "a" * 40
    assert make_lock(resolved, make_plan(resolved), ask=False).digest == lock.digest
    compiled = compile_locked(spec, {"sets": ("run.seed=0",)}, locked=False, update=False)
    value = next(v for v in compiled.plan.values if v.path == "model.revision")
    assert (value.resolved, value.origin) == ("a" * 40, str(lock_file(spec)))
    assert compiled.graph.plan == compiled.plan.as_json()
    assert f"plan {compile_locked(spec, {}, locked=False, update=False).plan.digest[:12]}" in says("plan", spec)[1]


def test_the_page_of_e0501_shows_what_it_says(tmp_path: Path, says: Says) -> None:
    page = (PAGES / "E0501.md").read_text(encoding="utf-8")
    bad, good = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert says("lock", written(tmp_path, good))[0] == 0
    assert says("lock", "--check", written(tmp_path, good))[0] == 0
    code, _, err = says("lock", "--check", written(tmp_path, bad))
    assert (code, err.count("error[E0501]")) == (4, 1)


def test_a_run_follows_its_lock_or_says_that_it_does_not(locked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    followed = compile_locked(locked, {}, locked=True, update=False)
    lock = read_lock(lock_file(locked))
    assert lock is not None
    assert (followed.plan.digest, capsys.readouterr().err) == (lock.digest, "")
    bend(locked, "seed = 3", "seed = 4")
    other = compile_locked(locked, {}, locked=False, update=False)
    said = capsys.readouterr().err
    assert other.plan.digest != lock.digest
    assert "changed since the lock: `run.seed` is 4, locked is 3" in said
    assert "is out of date" in said
    assert read_lock(lock_file(locked)) == lock, "a plain run writes no lock"


def test_update_lock_writes_it_first(locked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    bend(locked, "seed = 3", "seed = 4")
    compiled = compile_locked(locked, {}, locked=False, update=True)
    lock = read_lock(lock_file(locked))
    assert lock is not None
    assert lock.digest == compiled.plan.digest

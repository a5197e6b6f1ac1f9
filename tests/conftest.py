"""No test, and no process that a test starts, loads a pickle from a file, a download or a verifier (promise G9)."""

import gc
import os
import sys
import tempfile
from pathlib import Path

import pytest

AUDIT = Path(__file__).parent / "audit"
LONGEST = (
    "tests/testing/test_built_ins.py",
    "tests/engine/test_launch.py",
    "tests/testing/test_conformance.py::test_what_plugin_new_writes_of_every_kind",
    "tests/cli/test_fetch.py",
    "tests/engine/test_sharding.py",
    "tests/test_smoke.py",
    "tests/cli/test_interrupt.py",
    "tests/study/test_killed.py",
)
FOUND = "PRERL_SPEC_TEST_PICKLES"
WATCHES = pytest.StashKey[Path]()
"""Where what was found is written, in the configuration of the run of pytest that watches."""


def pytest_configure(config: pytest.Config) -> None:
    """Watches this process and, through their environment, all that it starts: also the workers of pytest-xdist.

    Where the machine's default is to keep no bytecode, some hundred children would compile the package anew, .2 to .8 s
    each: they keep it here, except where faults are planted (tests/mutants), since those change files within a second.
    """
    if os.environ.get("PYTHONDONTWRITEBYTECODE") != "planted":
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        sys.dont_write_bytecode = False
    os.fsync = _unsynced
    if FOUND in os.environ:
        return
    handle, os.environ[FOUND] = tempfile.mkstemp(prefix="prerl-pickles-")
    os.close(handle)
    config.stash[WATCHES] = Path(os.environ[FOUND])
    os.environ["PYTHONPATH"] = os.pathsep.join([str(AUDIT), *filter(None, [os.environ.get("PYTHONPATH")])])
    sys.path.insert(0, str(AUDIT))
    try:
        sys.modules.pop("sitecustomize", None)
        __import__("sitecustomize")
    finally:
        sys.path.remove(str(AUDIT))


def _unsynced(descriptor: int) -> None:
    """In place of `os.fsync`: a test can see that it is called, and what it does only by a power failure; the suite calls it
    some 15,000 times, for 3 ms each on a common disk."""
    os.fstat(descriptor)  # raises OSError where fsync would: for a descriptor that is closed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first: begun last, it would leave the other process of pytest-xdist without work."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def pytest_collection_finish() -> None:
    """What was imported stays, and no longer costs each `gc.collect` of a test .4 s."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails a run of pytest in which a pickle was loaded: the outermost, of those that run within each other."""
    found = session.config.stash.get(WATCHES, None)
    if found is None:
        return
    pickles = found.read_text(encoding="utf-8")
    found.unlink()
    if pickles:
        print(f"\npickles were loaded, which promise G9 rules out:\n{pickles}", file=sys.stderr)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

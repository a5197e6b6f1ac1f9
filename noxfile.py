"""One word for each stage of CI: `nox -l` lists them, `nox -s lint types` runs two. The stages themselves stand in .ci/run."""

import nox

STAGES = {
    "test": "the README's test command: a fresh environment, then the default test suite",
    "lint": "ruff check and ruff format --check",
    "types": "mypy --strict on both packages",
    "specs": "every shipped spec validates and plans; docs/evidence.md follows from the kept studies",
    "light": "the install without extras, on each Python from 3.11 to 3.13 that is there",
    "plugins": "plugins as wheels, and a new one of every kind, in a fresh environment",
    "vllm": "the tests that need vLLM, on its CPU build",
    "torture": "a tiny run crashed before every storage operation, killed at random, its files damaged",
    "wheel": "the wheel alone runs smoke, no checkout on the path",
    "oldest": "weekly: smoke and the component tests on the oldest versions allowed",
    "mutants": "weekly: every planted fault is seen by its tests",
}

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "specs"]


def _session(stage: str, what: str) -> None:
    def run(session: nox.Session) -> None:
        session.run(".ci/run", stage, external=True)

    run.__doc__ = what
    nox.session(run, name=stage)


for _stage, _what in STAGES.items():
    _session(_stage, _what)

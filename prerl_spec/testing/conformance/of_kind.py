"""Runs the laws of a component's kind; heavy, because it imports torch."""

import io
import os
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from prerl_spec.compiler.estimates.prerequisites import check_prerequisites
from prerl_spec.compiler.hardware import detect_hardware
from prerl_spec.errors import RunFailed
from prerl_spec.registry.component import Component
from prerl_spec.registry.kinds.model import ModelSite
from prerl_spec.testing import laws
from prerl_spec.testing.conformance.in_a_worker import check_in_a_worker
from prerl_spec.testing.laws.judging import check_verdict
from prerl_spec.testing.tiny import byte_tokenizer, tiny_loaded
from prerl_spec.text import Codec

NUM_ROWS = 20
OF_THEIR_OWN = (
    *("adapter", "objective", "advantage", "selection", "surrogate", "correction", "ramp"),
    *("optimizer", "filter", "reward", "probe"),
)
"""Kinds whose laws need nothing but the component."""


class NotTried(Exception):
    """The reason why the laws could not be tried."""


def check_laws(component: Component, *, is_default: bool) -> None:
    """Raises AssertionError if a law is broken, NotTried if a prerequisite is missing, and what the component raises.

    `is_default` is False for a component with a setting at another value than its default.
    """
    output = io.StringIO()
    # Output of libraries must not mix with the findings on stdout.
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(output), redirect_stderr(output):
        opened = component.for_trial(Path(folder))
        try:
            if isinstance(opened, str):
                raise NotTried(opened)
            _raise_unmet(opened)
        except NotTried:
            laws.check_component(component)
            raise
        _check_kind(opened, is_default=is_default)


def _raise_unmet(component: Component) -> None:
    for need in check_prerequisites((("", r) for r in component.prerequisites()), detect_hardware()):
        if need.met is False:
            raise NotTried(f"it needs the {need.what} {need.name}, {need.found} ({need.hint})")


def _check_kind(component: Component, *, is_default: bool) -> None:
    kind = component.kind
    if kind == "verifier":
        _check_verifier(component, is_default)
    elif kind == "data":
        laws.check_data(component, rows=NUM_ROWS)
    elif kind == "view":
        laws.check_view(component, Codec.of_tokenizer(byte_tokenizer()))
    elif kind == "sampler":
        laws.check_sampler(component, tiny_loaded())
    elif kind == "model":
        with tempfile.TemporaryDirectory() as folder:
            byte_tokenizer().save_pretrained(folder)
            laws.check_model(component, ModelSite(seed=0, device="cpu", tokenizer_folder=lambda name: Path(folder)))
    elif kind == "tracker":
        _check_tracker(component)
    elif kind == "schedule":
        try:
            laws.check_schedule(component, reward_mean=0.5)
        except RunFailed as error:
            raise NotTried(f"it reads a metric that the test does not measure: {error.message}") from error
    elif kind in OF_THEIR_OWN:
        getattr(laws, f"check_{kind}")(component)
    else:
        laws.check_component(component)
        raise NotTried(f"there are no laws for {kind}s beyond those of every component")


def _check_verifier(component: Any, is_default: bool) -> None:
    """Tests a verifier with its own two pairs (response, gold)."""
    ports = component.provides()
    assert any(p.startswith("reward[") for p in ports), (
        f"provides() is {sorted(ports)}: a verifier provides `reward[binary]` or `reward[scalar]`, which objectives require"
    )
    right, wrong = getattr(component, "right_example", None), getattr(component, "wrong_example", None)
    if right is None or wrong is None:
        raise AssertionError(
            "a verifier must define right_example and wrong_example: ClassVar[tuple[str, str]] = (response, gold answer)"
        )
    if is_default:
        check_in_a_worker(component, [right, wrong])  # first: nothing ends a verifier that hangs in this process
        laws.check_verifier(component, right=right, wrong=wrong)
        return
    laws.check_component(component)
    for response, gold in (right, wrong):
        check_verdict(component, response, gold)


def _check_tracker(component: Component) -> None:
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as around, tempfile.TemporaryDirectory() as folder:
        os.chdir(around)
        try:
            laws.check_tracker(component, Path(folder))
        finally:
            os.chdir(before)

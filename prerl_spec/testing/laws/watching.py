"""The laws of views, probes and trackers: they observe and change nothing."""

import math
import re
from pathlib import Path
from typing import Any

from accelerate.tracking import GeneralTracker

from prerl_spec.needs import Layout, View
from prerl_spec.registry.component import Component
from prerl_spec.registry.kinds.watching import Probe, Tracker
from prerl_spec.testing.laws.component import check_component
from prerl_spec.testing.steps import made_documents, made_step
from prerl_spec.text import Codec
from prerl_spec.types import Attempt, Outcome, Prompt, Segment

_WORD = re.compile(r"[a-z][a-z0-9_]*")


def check_view(component: Component, codec: Codec) -> None:
    """A view is a value: equal settings are equal views; its context is never empty and stays in the vocabulary."""
    check_component(component)
    named: Any = component
    twin: Any = type(component).model_validate(component.settings())
    view: View = named
    assert hash(view) == hash(twin), "equal settings have unequal hashes: forwards would be computed twice"
    assert view == twin, "equal settings make unequal views: forwards would be computed twice"
    assert _WORD.fullmatch(view.name), f"name is {view.name!r}: a lower-case word for metrics and plans"
    hint = Segment((4, 2), author="environment", trained=False)
    attempt = Attempt((Segment((3, 1)), hint, Segment((2,))), "3142", "eos")
    prompt = Prompt("train", 0, "2+2?", "4", context=(1, 2, 3))
    for answered in (attempt, Attempt((), "", "length")):
        _check_layout(view, prompt, answered, codec)


def _check_layout(view: View, prompt: Prompt, attempt: Attempt, codec: Codec) -> None:
    layout = view.lay(prompt, attempt, codec)
    assert isinstance(layout, Layout), f"lay() returns a {type(layout).__name__}, not a Layout"
    assert isinstance(layout.context, tuple), f"the context is a {type(layout.context).__name__}, not a tuple"
    assert layout.context, "the context is empty: the first response token would have no context"
    ids = (*layout.context, *(token for segment in layout.segments for token in segment.tokens))
    assert all(0 <= token < codec.vocab_size for token in ids), f"lay() returns ids outside the vocabulary: {ids}"
    trained = [t for s in layout.segments if s.trained for t in s.tokens]
    assert trained == [t for s in attempt.segments if s.trained for t in s.tokens], (
        "lay() changes the trained tokens: every view must score the same ones"
    )
    assert view.lay(prompt, attempt, codec) == layout, "lay() returns another layout when called again: it must be pure"


def check_probe(component: Component) -> None:
    """A probe returns finite numbers under lower-case names, also for an empty step and for documents."""
    check_component(component)
    named: Any = component
    probe: Probe = named
    assert probe.every >= 1, f"every is {probe.every}"
    steps = [made_step([]), made_documents((3, 1)), made_step([[1.0, 0.0], [Outcome.TIMEOUT, Outcome.UNPARSABLE]])]
    for step in steps:
        metrics = dict(probe.measure(step))
        for name, value in metrics.items():
            assert _WORD.fullmatch(name), f"metric {name!r}: a lower-case word"
            assert math.isfinite(value), f"metric {name} is {value}"
        assert dict(probe.measure(step)) == metrics, "measure() returns another result when called again"


def check_tracker(component: Component, folder: Path) -> None:
    """A tracker starts, logs a number and finishes, and writes nowhere but below the empty `folder`."""
    check_component(component)
    named: Any = component
    opened: Tracker = named
    around = set(Path.cwd().iterdir())
    tracker = opened.accelerate_tracker("run", folder / "trackers")
    assert isinstance(tracker, GeneralTracker), (
        f"accelerate_tracker() returns a {type(tracker).__name__}, not a GeneralTracker"
    )
    tracker.start()
    tracker.log({"phase/reward_mean": 0.5}, step=1)
    tracker.finish()
    left = set(Path.cwd().iterdir()) - around
    assert not left, f"the tracker wrote into the working directory: {sorted(p.name for p in left)}"

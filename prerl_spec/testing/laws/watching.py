"""The laws of views, probes and trackers: they observe and change nothing."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate.tracking import GeneralTracker

from prerl_spec.compiler.estimates.step_counts import probe_forwards
from prerl_spec.compiler.graph import Named
from prerl_spec.engine.policy.weights import weights_hash
from prerl_spec.engine.training.watching import Watching
from prerl_spec.needs import Layout, View
from prerl_spec.registry.component import Component
from prerl_spec.registry.kinds.watching import Probe, Tracker, UpdateProbe
from prerl_spec.testing.laws.tiny_trainer import tiny_trainer
from prerl_spec.testing.laws.together import Laws
from prerl_spec.testing.steps import made_documents, made_step
from prerl_spec.text import Codec
from prerl_spec.types import Attempt, Outcome, Prompt, Segment, Step

_WORD = re.compile(r"[a-z][a-z0-9_]*")


def check_view(component: Component, codec: Codec) -> None:
    """A view is a value: equal settings are equal views; its context is never empty and stays in the vocabulary."""
    with Laws(component):
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
    """A probe returns finite numbers under lower-case names, also for an empty step and for documents.

    One that looks at updates changes nothing that it sees (weights, gradients, random generators), asks for no more than
    its `needs` say, and finds the same when it looks again.
    """
    with Laws(component):
        named: Any = component
        probe: Probe = named
        assert probe.every >= 1, f"every is {probe.every}"
        steps = [made_step([]), made_documents((3, 1)), made_step([[1.0, 0.0], [Outcome.TIMEOUT, Outcome.UNPARSABLE]])]
        for step in steps:
            metrics = dict(probe.measure(step))
            _check_metrics(metrics)
            assert dict(probe.measure(step)) == metrics, "measure() returns another result when called again"
        if isinstance(probe, UpdateProbe):
            for step in (steps[-1], made_step([[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]], seed=1)):
                _check_watching(probe, step)


def _check_metrics(metrics: Mapping[str, float]) -> None:
    for name, value in metrics.items():
        assert _WORD.fullmatch(name), f"metric {name!r}: a lower-case word"
        assert math.isfinite(value), f"metric {name} is {value}"


def _check_watching(probe: UpdateProbe, step: Step) -> None:
    """Measures the update of a tiny model twice, from the same weights."""
    found = []
    for _ in range(2):
        trainer = tiny_trainer()
        policy = trainer.policy
        due = [Named("probe", _always(probe))]
        before, generator = weights_hash(policy.module), torch.get_rng_state()
        watching = Watching.begin(due, step, trainer)
        _check_untouched(trainer, before, generator, "before")
        trainer.train(step)
        after = weights_hash(policy.module)
        metrics = watching.end()
        _check_untouched(trainer, after, generator, "after")
        _check_metrics(metrics)
        asked = {key: n for key, n in policy.forwards.items() if key[1] in ("gradient", "watch")}
        declared = probe_forwards(probe.needs(trainer.objective, len(step.samples)), {})
        for (view, of), count in asked.items():
            said = sum(f.samples for f in declared if (f.view, f.of) == (view, of))
            assert count <= said, f"it scores {count} samples in the view `{view}` ({of}), needs() names {said}"
        found.append(metrics)
    assert found[0] == found[1], "the same update yields other metrics when measured again"
    assert isinstance(probe.gradients_held, int), f"gradients_held is {probe.gradients_held!r}"


def _check_untouched(trainer: Any, weights: str, generator: torch.Tensor, hook: str) -> None:
    policy = trainer.policy
    assert weights_hash(policy.module) == weights, f"{hook}() changes the weights"
    assert all(p.grad is None for _, p in policy.parameters()), f"{hook}() leaves a gradient behind"
    assert torch.equal(torch.get_rng_state(), generator), f"{hook}() draws from the global random generator"


def _always(probe: UpdateProbe) -> Any:
    """The probe, due at every step."""
    component: Any = probe
    return component.model_copy(update={"every": 1})


def check_tracker(component: Component, folder: Path) -> None:
    """A tracker starts, logs a number and finishes, and writes nowhere but below the empty `folder`."""
    with Laws(component):
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

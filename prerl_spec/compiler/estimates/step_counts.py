"""How many of what a phase takes: passes over the data, forwards of a step, tokens."""

from collections.abc import Iterable, Mapping

from prerl_spec.compiler.hardware import Hardware
from prerl_spec.compiler.objective_needs import Needs, every_need
from prerl_spec.compiler.plan import Forward
from prerl_spec.needs import Need, View
from prerl_spec.registry.kinds import Objective

CPU_TOKENS_PER_PASS = 1024
GPU_TOKENS_PER_PASS = (16384, 8192, 4096, 2048, 1024)
"""A CPU attends over a whole row at once, T x T, and is fastest on rows of 500 to 1000 tokens; a GPU wants full ones,
the fuller the better as long as they fit. A sample that is longer than a pass has a pass to itself."""
PROBED_RESPONSES = 8
"""Of a step, for the metrics of what it was before it is trained on."""


def pass_sizes(hardware: Hardware) -> tuple[int, ...]:
    """Tokens of a pass that plan chooses from where the spec says nothing, the best first."""
    return GPU_TOKENS_PER_PASS if hardware.gpus else (CPU_TOKENS_PER_PASS,)


def forwards(
    objective: Objective, *, samples: int, updates_per_batch: int, contexts: Mapping[str, int], probed: bool
) -> tuple[Forward, ...]:
    """One Forward a distinct (view, weights) of a step, at most: samples without weight are not run.

    The sampler's log-probabilities come with the samples. The metrics of a step that samples score 8 responses before
    the update, or all where importance weights are on: with their questions, and in every differentiated view.
    """
    needs = Needs.of(objective, updates_per_batch)
    run = [n for n in (*needs.policy, *needs.without_gradient) if n.of != "sampler"]
    found = [
        Forward(view.name, of, of == "policy", samples, contexts.get(view.name), Need(view, of, entropy=True) in run)
        for view, of in dict.fromkeys((n.view, n.of) for n in run)
    ]
    if probed:
        count = samples if needs.compares_with_sampler else min(PROBED_RESPONSES, samples)
        for name in dict.fromkeys(["conditional", *(v.name for v in needs.differentiated)]):
            found.append(Forward(name, "probe", False, count, contexts.get(name), name == "conditional"))
    return tuple(found)


def passes_at_most(planned: Iterable[Forward], response: int, samples: int, budget: int) -> int | None:
    """Passes that hold `samples` whole samples with all their differentiated views; None for an unknown context."""
    contexts = [f.context_tokens for f in planned if f.gradient]
    if any(c is None for c in contexts) or not response:
        return None
    longest = sum(c + response for c in contexts if c is not None)
    return -(-samples // max(1, budget // longest))


def views_of(objective: Objective) -> list[View]:
    """The distinct views of an objective, in a fixed order."""
    needs = sorted(every_need(objective), key=lambda n: (n.of != "policy", n.view.name, repr(n.view)))
    return list(dict.fromkeys(n.view for n in needs))


def epoch(rows: int, units_per_step: int) -> tuple[int, int]:
    """(steps of an epoch, rows at its end that make no whole batch and are dropped)."""
    return rows // units_per_step, rows % units_per_step

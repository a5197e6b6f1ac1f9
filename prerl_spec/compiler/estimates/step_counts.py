"""Counts of a phase: forward passes of a step, passes of an update, steps of an epoch."""

from collections.abc import Iterable, Mapping

from prerl_spec.compiler.hardware import Hardware
from prerl_spec.compiler.objective_needs import Needs, every_need
from prerl_spec.compiler.plan import Forward
from prerl_spec.needs import Need, Teacher, View
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.registry.kinds.watching import ProbeNeed

CPU_TOKENS_PER_PASS = 1024
GPU_TOKENS_PER_PASS = (16384, 8192, 4096, 2048, 1024)
"""A CPU computes attention over a whole row, T x T, and is fastest on rows of 500 to 1000 tokens; a GPU is faster the
longer the rows are, as long as they fit in memory. A sample longer than a pass gets a pass of its own."""
PROBED_RESPONSES = 8
"""Responses of a step that are scored before the update, for its metrics, where not all of them go forward anyway."""


def pass_sizes(hardware: Hardware) -> tuple[int, ...]:
    """Candidate tokens_per_pass if the spec sets none, in order of preference."""
    return GPU_TOKENS_PER_PASS if hardware.gpus else (CPU_TOKENS_PER_PASS,)


def forwards(
    objective: Objective, *, samples: int, updates_per_batch: int, contexts: Mapping[str, int], probed: bool
) -> tuple[Forward, ...]:
    """One Forward per distinct (view, weights) of a step; an upper bound, as samples with zero weight are skipped.

    The sampler's log-probabilities come with the samples. The metrics of a step with rollouts score 8 responses before
    the update, or all if importance weights are on, in the conditional view and in every differentiated one; none in a
    view that sees every response anyway, with gradient in the step's only update or as the old policy.
    """
    needs = Needs.of(objective, updates_per_batch)
    run = [n for n in (*needs.policy, *needs.without_gradient) if n.of != "sampler"]
    found = [
        Forward(
            view.name,
            str(of),
            of == "policy",
            samples,
            contexts.get(view.name),
            Need(view, of, entropy=True) in run,
            of.key if isinstance(of, Teacher) else None,
        )
        for view, of in dict.fromkeys((n.view, n.of) for n in run)
    ]
    if probed:
        count = samples if needs.compares_with_sampler else min(PROBED_RESPONSES, samples)
        for name in dict.fromkeys(["conditional", *(v.name for v in needs.differentiated)]):
            found.append(Forward(name, "probe", False, count, contexts.get(name), name == "conditional"))
    return tuple(found)


def probe_forwards(needs: Iterable[ProbeNeed], contexts: Mapping[str, int]) -> tuple[Forward, ...]:
    """The forwards of a probe on a step that it measures: one Forward per view, model, and with or without gradient.

    The sampler's log-probabilities come with the samples.
    """
    asked = [one for one in needs if one.need.of != "sampler"]
    found: list[Forward] = []
    for view, of, gradient in dict.fromkeys((one.need.view, one.need.of, one.gradient) for one in asked):
        alike = [one for one in asked if (one.need.view, one.need.of, one.gradient) == (view, of, gradient)]
        found.append(
            Forward(
                view.name,
                "gradient" if gradient else "watch" if of == "policy" else str(of),
                gradient,
                sum(one.samples for one in alike),
                contexts.get(view.name),
                any(one.need.entropy for one in alike),
                of.key if isinstance(of, Teacher) else None,
            )
        )
    return tuple(found)


def passes_at_most(planned: Iterable[Forward], response: int, samples: int, budget: int) -> int | None:
    """Passes needed for `samples` whole samples with all their differentiated views; None for an unknown context, 0 where
    nothing is differentiated."""
    contexts = [f.context_tokens for f in planned if f.gradient]
    if not contexts:
        return 0
    if any(c is None for c in contexts) or not response:
        return None
    longest = sum(c + response for c in contexts if c is not None)
    return -(-samples // max(1, budget // longest))


def views_of(objective: Objective) -> list[View]:
    """The distinct views of an objective, in a fixed order."""
    needs = sorted(every_need(objective), key=lambda n: (n.of != "policy", n.view.name, repr(n.view)))
    return list(dict.fromkeys(n.view for n in needs))


def epoch(rows: int, units_per_step: int) -> tuple[int, int]:
    """(steps of an epoch, rows of its incomplete last batch, which are dropped)."""
    return rows // units_per_step, rows % units_per_step

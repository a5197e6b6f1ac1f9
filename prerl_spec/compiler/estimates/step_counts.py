"""Counts of a phase: forward passes of a step, passes of an update, steps of an epoch."""

from collections.abc import Iterable, Mapping

from prerl_spec.compiler.estimates.shared_prompts import is_worth_sharing, pass_tokens
from prerl_spec.compiler.hardware import Hardware
from prerl_spec.compiler.objective_needs import Needs, every_need
from prerl_spec.compiler.plan import Forward
from prerl_spec.needs import Need, Teacher, View
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.registry.kinds.watching import ProbeNeed
from prerl_spec.views import ContextView

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
    objective: Objective,
    *,
    samples: int,
    updates_per_batch: int,
    contexts: Mapping[str, int],
    probed: bool,
    group_size: int = 1,
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
            sharing=group_size if is_shared(view, contexts, group_size) else 1,
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


def is_shared(view: View, contexts: Mapping[str, int], group_size: int) -> bool:
    """Whether a group's samples share this view's context in a forward. Only a `ContextView` has one context a prompt."""
    return isinstance(view, ContextView) and is_worth_sharing(contexts.get(view.name, 0), group_size)


def forward_tokens(forward: Forward, response: int) -> int:
    """Input tokens of a forward whose responses have this many tokens; an unknown context counts as none."""
    contexts = -(-forward.samples // forward.sharing)
    return contexts * (forward.context_tokens or 0) + forward.samples * response


def passes_at_most(planned: Iterable[Forward], response: int, samples: int, budget: int) -> int | None:
    """Passes needed for `samples` whole samples with all their differentiated views; None for an unknown context, 0 where
    nothing is differentiated.

    The larger number of two: samples one by one, and groups behind shared contexts, in as few parts as fit.
    """
    differentiated = [f for f in planned if f.gradient]
    contexts = [f.context_tokens for f in differentiated]
    if not contexts:
        return 0
    if any(c is None for c in contexts) or not response:
        return None
    group = max(f.sharing for f in differentiated)

    def tokens(size: int) -> int:
        """What so many samples of one group take of a pass."""
        return sum(
            pass_tokens(f.context_tokens or 0, response, size)
            if f.sharing > 1
            else size * ((f.context_tokens or 0) + response)
            for f in differentiated
        )

    def passes(size: int) -> int:
        """If a group goes in parts of so many samples: a pass takes as many parts as fit."""
        parts = samples if size == 1 else samples // group * -(-group // size)
        return -(-parts // max(1, budget // tokens(size)))

    sizes = (-(-group // parts) for parts in range(1, group + 1))
    return max(passes(1), passes(next(size for size in sizes if size == 1 or tokens(size) <= budget)))


def views_of(objective: Objective) -> list[View]:
    """The distinct views of an objective, in a fixed order."""
    needs = sorted(every_need(objective), key=lambda n: (n.of != "policy", n.view.name, repr(n.view)))
    return list(dict.fromkeys(n.view for n in needs))


def epoch(rows: int, units_per_step: int) -> tuple[int, int]:
    """(steps of an epoch, rows of its incomplete last batch, which are dropped)."""
    return rows // units_per_step, rows % units_per_step

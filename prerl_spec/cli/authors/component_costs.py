"""What a component costs a training step in forwards, in words: counted with the function that prices plans."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal, get_args, get_origin

from pydantic import ValidationError

from prerl_spec.compiler.estimates.step_counts import forwards
from prerl_spec.compiler.objective_needs import Needs
from prerl_spec.compiler.plan import Forward
from prerl_spec.registry.component import Component
from prerl_spec.registry.entry_points import PluginFault, installed, load
from prerl_spec.registry.kinds.objective import Objective

SLOTS = {"advantage": "advantage", "selection": "selection", "surrogate": "surrogate", "correction": "correction"}
"""Kind of a part -> the slot of `policy_gradient` that holds it."""

Counts = Counter[Forward]


def cost_lines(component: Any) -> Iterator[str]:
    """For an objective its forwards, and what each other choice of a setting adds; for a part of one what it adds."""
    if component.kind == "objective":
        if component.parts() != (component,):
            yield "each distinct forward of its terms once"
            return
        yield objective_cost(component)
        yield from _choices(component)
    elif component.kind in SLOTS and (words := part_cost(component)) is not None:
        yield words


def objective_cost(objective: Objective) -> str:
    """ "1 forward with gradient (conditional); with several updates a batch 1 more (old)"."""
    one, several = _counted(objective, 1), _counted(objective, 2)
    words = [_words(one)]
    if more := several - one:
        words.append(f"with several updates a batch {_words(more, 'more')}")
    if any(need.of == "sampler" for need in Needs.of(objective, 1).without_gradient):
        words.append("the sampler's log-probabilities come with the responses")
    return "; ".join(words)


def part_cost(part: Component) -> str | None:
    """What a part adds to `policy_gradient`, which by itself runs one forward with gradient; None without a built-in
    product."""
    try:
        in_conditional = [_added(part, "conditional", updates) for updates in (1, 2)]
        in_marginal = _added(part, "marginal", 1)
    except (PluginFault, LookupError, ValidationError):
        return None
    one, several = in_conditional
    words = [f"adds {_words(one)}"]
    if more := several - one:
        words.append(f"with several updates a batch {_words(more, 'more')}")
    if in_marginal != one and (more := in_marginal - one):
        words.append(f"behind another view {_words(more, 'more')}")
    if part.kind == "correction":
        words.append("the sampler's log-probabilities come with the responses")
    return "; ".join(words)


def _added(part: Component, view: str, updates_per_batch: int) -> Counts:
    product: Any = load(installed().providers("objective", "policy_gradient")[0])
    bare = {
        "view": load(installed().providers("view", view)[0])(),
        "advantage": load(installed().providers("advantage", "reward")[0])(),
        "surrogate": load(installed().providers("surrogate", "plain")[0])(),
    }
    held: Any = (part,) if part.kind == "selection" else part
    whole = product(**{**bare, SLOTS[part.kind]: held})
    return _counted(whole, updates_per_batch) - _counted(product(**bare), updates_per_batch)


def _choices(objective: Any) -> Iterator[str]:
    """The cost with each other word of a setting, where it takes other forwards."""
    for key, info in type(objective).model_fields.items():
        by_cost: dict[str, list[str]] = {}
        for word in _words_of(info.annotation):
            try:
                other: Any = type(objective).model_validate({**_given(objective), key: word})
            except ValidationError:
                continue
            if any(_counted(other, updates) != _counted(objective, updates) for updates in (1, 2)):
                by_cost.setdefault(objective_cost(other), []).append(f'"{word}"')
        yield from (f"{key} = {' | '.join(words)}: {cost}" for cost, words in by_cost.items())


def _given(component: Component) -> dict[str, Any]:
    return {key: getattr(component, key) for key in component.model_fields_set}


def _words_of(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from (word for word in get_args(annotation) if isinstance(word, str))
        return
    for argument in get_args(annotation):
        yield from _words_of(argument)


def _counted(objective: Objective, updates_per_batch: int) -> Counts:
    found = forwards(objective, samples=1, updates_per_batch=updates_per_batch, contexts={}, probed=False)
    return Counter(replace(one, entropy=False) for one in found)  # entropies come with a forward's log-probabilities


def _words(found: Counts, which: str = "") -> str:
    """ "1 forward with gradient (conditional), 1 without (reference)"."""
    texts: list[str] = []
    for gradient in (True, False):
        names = [_name(f) for f in found.elements() if f.gradient is gradient]
        if not names:
            continue
        noun = which or ("forward" if len(names) == 1 else "forwards") if not texts else ""
        how = "with gradient" if gradient else "without gradient" if not texts else "without"
        texts.append(" ".join(filter(None, [str(len(names)), noun, how, f"({', '.join(names)})"])))
    return ", ".join(texts) or "no forward"


def _name(forward: Forward) -> str:
    if forward.gradient:
        return forward.view
    return forward.of if forward.view == "conditional" else f"{forward.of}, {forward.view}"

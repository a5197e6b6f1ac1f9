"""Writes the tables of docs/objectives.md: from the class data of the components, and from what they compute.

`python docs/write_objectives.py` brings the page up to date; `tests/test_tooling.py` fails while it is not. Formulas, sources,
points and peers' names are class data. Signs, differences from GRPO and factors are measured on a small step: no cell
about a gradient is written by hand.
"""

import importlib
import re
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from prerl_components.objectives.gradient_objective import GradientObjective
from prerl_components.objectives.policy_gradient import PolicyGradient
from prerl_components.objectives.presets.group_relative import Grpo

from prerl_spec.compiler.estimates.step_counts import forwards
from prerl_spec.registry.component_state import first_batch
from prerl_spec.sdk import Array, Step
from prerl_spec.testing.laws.objective import gradients, random_vectors
from prerl_spec.testing.steps import made_step

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "objectives.md"
ZOO = ROOT / "plugins" / "prerl-zoo"
SECTION = re.compile(r"(<!-- written: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

GROUPS = {
    "1 of 4": (1.0, 0.0, 0.0, 0.0),
    "3 of 4": (1.0, 1.0, 1.0, 0.0),
    "all right": (1.0,) * 4,
    "all wrong": (0.0,) * 4,
}
"""The step that everything is measured on: two mixed groups and two of equal rewards, no two lengths alike in a group."""
LENGTHS = (2, 5, 3, 7, 4, 1, 6, 3, 2, 7, 1, 5, 6, 2, 4, 3)
FAMILIES = ("group_relative", "reinforce", "ppo", "off_policy", "sign_weighted", "pretrain_space")
RATIOS = (0.1, 0.5, 0.9, 1.0, 1.1, 2.0, 10.0)
"""π/π_old, and π_trainer/π_sampler, of a response of one token: every level of a ratio is then the same number."""


def page(text: str) -> str:
    """The page with its marked sections written anew."""
    written = {"presets": presets, "differences": differences, "advantages": advantages, "surrogates": surrogates}
    written |= {"corrections": corrections, "selections": selections, "ramps": ramps, "others": others}

    def fill(found: re.Match[str]) -> str:
        return f"{found[1]}\n{written[found[2]]()}\n\n{found[3]}"

    assert {name for _, name, _ in SECTION.findall(text)} == set(written), "each section stands once on the page"
    return SECTION.sub(fill, text)


def of_kind(kind: str, project: Path = ROOT) -> dict[str, type[Any]]:
    """The components of a kind by name, from a project's entry points."""
    tables = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    found = {}
    for name, place in tables[f"prerl_spec.{kind}"].items():
        module, _, attribute = place.partition(":")
        found[name] = getattr(importlib.import_module(module), attribute)
    return found


def named_presets() -> dict[str, GradientObjective]:
    """By family, in the order in which each family's module defines them."""
    built = {
        name: cls
        for name, cls in of_kind("objective").items()
        if issubclass(cls, GradientObjective) and not issubclass(cls, PolicyGradient)
    }

    def place(name: str) -> tuple[int, int]:
        cls = built[name]
        family = cls.__module__.rpartition(".")[2]
        return FAMILIES.index(family), list(vars(sys.modules[cls.__module__])).index(cls.__name__)

    return {name: built[name]() for name in sorted(built, key=place)}


# The measurements.


def canonical_step() -> Step:
    return made_step(list(GROUPS.values()), lengths=LENGTHS)


def gradient_of(objective: GradientObjective, step: Step) -> Array:
    """[N] ∂L/∂log π in the objective's view with one update a batch: the old log-probabilities are the current ones."""
    (policy,) = (need for need in objective.needs() if need.of == "policy")
    vectors = random_vectors({policy, *objective.needs(), *objective.reads()}, step.tokens.num_tokens)
    vectors |= {need: vectors[policy] for need in vectors if need.of == "old" and need.view == policy.view}
    return gradients(objective.parts(), step, vectors, [list(range(len(step.samples)))])[policy]


def push(gradient_n: Array) -> str:
    """Which way a gradient step moves log π: + up, − down, 0 not at all."""
    signs = set(np.sign(-gradient_n).tolist())
    return "±" if len(signs) > 1 else {1.0: "+", -1.0: "−", 0.0: "0"}[signs.pop()]


def pushes(objective: GradientObjective) -> list[str]:
    """For right and for wrong samples of mixed groups, for groups of right ones and of wrong ones."""
    step = canonical_step()
    gradient_N, tokens = gradient_of(objective, step), step.tokens
    right_N, group_N = step.reward_S[tokens.sample_N] == 1, tokens.group_S[tokens.sample_N]
    mixed_N = group_N < 2
    chosen = [mixed_N & right_N, mixed_N & ~right_N, group_N == 2, group_N == 3]
    return [push(gradient_N[mine_N]) for mine_N in chosen]


def against_grpo(objective: GradientObjective) -> str:
    """In what the gradient differs from GRPO's with one update a batch, the aggregation taken out."""
    step = canonical_step()
    mine = objective.point()
    group_N = step.tokens.group_S[step.tokens.sample_N]
    own_N, other_N = gradient_of(objective, step), gradient_of(Grpo(aggregation=mine.aggregation), step)
    found = [] if mine.view == Grpo().point().view else ["the view"]
    if not np.array_equal(own_N != 0, other_N != 0):
        found.append("which samples are trained")
    elif not np.allclose(own_N, other_N, rtol=1e-9, atol=0):
        ratio_N = np.divide(own_N, other_N, out=np.ones_like(own_N), where=other_N != 0)
        by_group = [ratio_N[(group_N == group) & (other_N != 0)] for group in np.unique(group_N[other_N != 0])]
        even = all(np.allclose(ratio_n, ratio_n[0], rtol=1e-9) for ratio_n in by_group)
        found.append("the weights of groups" if even else "the weights of samples")
    if mine.aggregation != Grpo().aggregation:
        found.append("the aggregation")
    return "yes: " + ", ".join(found) if found else "**no**"


def cost(objective: GradientObjective) -> str:
    """Forwards of a sample with weight: with one update a batch, with several."""
    counted = [
        len(forwards(objective, samples=8, updates_per_batch=updates, contexts={}, probed=False)) for updates in (1, 4)
    ]
    return " · ".join(map(str, counted))


def factors(surrogate: Any, advantage: float) -> list[str]:
    """The gradient over −A ∇log π at each of RATIOS, for a response of one token of probability up to e^−0.5."""
    return [_short(_factor(surrogate, advantage, ratio)) for ratio in RATIOS]


def _factor(surrogate: Any, advantage: float, ratio: float) -> float:
    logp_n = torch.tensor([-0.5], dtype=torch.float64, requires_grad=True)
    old_n, advantage_n = logp_n.detach() - float(np.log(ratio)), torch.full((1,), advantage, dtype=torch.float64)
    tokens = made_step([[1.0]], lengths=[1]).tokens
    loss_n = surrogate.loss(logp_n, old_n, advantage_n, tokens, {})
    (gradient_n,) = torch.autograd.grad(loss_n.sum(), logp_n)
    return float(gradient_n[0]) / -advantage


def weights(correction: Any, advantage: float) -> list[str]:
    """A correction's weight at each of RATIOS."""
    tokens, trainer_n = made_step([[1.0]], lengths=[1]).tokens, torch.tensor([-0.5], dtype=torch.float64)
    advantage_n = torch.full((1,), advantage, dtype=torch.float64)
    found = [
        correction.weight(trainer_n, trainer_n - float(np.log(ratio)), advantage_n, tokens)[0].item()
        for ratio in RATIOS
    ]
    return [_short(value) for value in found]


def earned(advantage: Any) -> list[str]:
    """The advantage of right and of wrong samples in each of GROUPS, as "right / wrong"."""
    step = canonical_step()
    vectors = random_vectors(advantage.reads(), step.tokens.num_tokens)
    # The batch as an advantage in the slot of an objective sees it.
    whole = PolicyGradient(advantage=advantage)
    batch = first_batch(whole, step, lambda needs: {need: vectors[need] for need in needs})
    value_S = advantage.advantage(batch.of_part("advantage", advantage.reads()))
    found = []
    for group in range(len(GROUPS)):
        mine_S = step.group_S == group
        halves = [value_S[mine_S & (step.reward_S == reward)] for reward in (1.0, 0.0)]
        found.append(" / ".join(_range(half) for half in halves if len(half)))
    return found


def _range(value_s: Array) -> str:
    low, high = _short(value_s.min()), _short(value_s.max())
    return low if low == high else f"{low} … {high}"


def _short(value: float) -> str:
    """Three digits, a true minus, and 0 for what is 0 exactly."""
    return "0" if value == 0 else f"{value:.3g}".replace("-", "−")


# The tables.


def presets() -> str:
    rows = []
    for name, objective in named_presets().items():
        cls: Any = type(objective)
        measured = (*pushes(objective), against_grpo(objective), cost(objective))
        rows.append((f"`{name}`", cls.formula, _point(objective), *measured, cls.source))
    heads = ("preset", "loss", "point", "right", "wrong", "all right", "all wrong")
    return _table((*heads, "other than GRPO?", "forwards", "source"), rows)


def differences() -> str:
    rows = []
    for name, objective in named_presets().items():
        cls: Any = type(objective)
        if cls.peers or cls.unlike:
            rows.append((f"`{name}`", _peers(cls), "; ".join(dict.fromkeys(cls.unlike.values()))))
    return _table(("preset", "called elsewhere", "where our default differs from a paper's or a peer's"), rows)


def advantages() -> str:
    found = {name: cls() for name, cls in of_kind("advantage").items()}
    rows = [
        (f"`{name}`", part.formula, *earned(part), "yes" if part.min_group > 1 else "no", part.source, _peers(part))
        for name, part in found.items()
    ]
    return _table(("advantage", "A", *GROUPS, "needs a group", "source", "called elsewhere"), rows)


def surrogates() -> str:
    found = {name: cls() for name, cls in of_kind("surrogate").items()}
    return _over_ratios("surrogate", found | _of_the_zoo("surrogate"), factors)


def corrections() -> str:
    return _over_ratios("correction", {n: cls() for n, cls in of_kind("correction").items()}, weights)


def _over_ratios(kind: str, parts: Mapping[str, Any], measure: Callable[[Any, float], list[str]]) -> str:
    """Two rows a part, for A > 0 and A < 0, or one where they are the same."""
    rows: list[Sequence[str]] = []
    for name, part in parts.items():
        above, below = measure(part, 1.0), measure(part, -1.0)
        first = (f"`{name}`", part.formula, "±" if above == below else "A > 0", *above, part.source)
        rows.append(first)
        if above != below:
            rows.append(("", "", "A < 0", *below, ""))
    symbol = "ρ" if kind == "surrogate" else "w"
    head = "loss of a token" if kind == "surrogate" else "weight"
    return _table((kind, head, "", *(f"{symbol} = {ratio:g}" for ratio in RATIOS), "source"), rows)


def selections() -> str:
    rows = []
    for name, cls in of_kind("selection").items():
        part = cls()
        counted = "yes" if part.in_denominator else "no"
        rows.append((f"`{name}`", part.formula, _settings(part, every=True), counted, part.source, _peers(part)))
    return _table(("selection", "keeps", "settings", "dropped tokens count", "source", "called elsewhere"), rows)


def ramps() -> str:
    found: dict[str, Any] = {name: cls(start=0.0, end=1.0, steps=20) for name, cls in of_kind("ramp").items()}
    steps = (0, 5, 10, 15, 20, 30)
    rows = [(f"`{name}`", ramp.formula, *(_short(ramp.at(step)) for step in steps)) for name, ramp in found.items()]
    return _table(("ramp", "value", *(f"step {step}" for step in steps)), rows)


def others() -> str:
    rows = []
    for name, cls in of_kind("objective").items():
        if not issubclass(cls, GradientObjective) or issubclass(cls, PolicyGradient):
            formula = cls.formula or (cls.__doc__ or "").split(":")[0].strip()
            rows.append((f"`{name}`", formula, cls.source, _peers(cls)))
    return _table(("objective", "loss", "source", "called elsewhere"), rows)


def _of_the_zoo(kind: str) -> dict[str, Any]:
    """The plugin's components of a kind, whether it is installed or not."""
    sys.path.insert(0, str(ZOO / "src"))
    try:
        return {name: cls() for name, cls in of_kind(kind, ZOO).items()}
    finally:
        sys.path.remove(str(ZOO / "src"))


def _point(objective: GradientObjective) -> str:
    """The parts of the point that are chosen, as a spec names them; the conditional view and full signs are left out."""
    point = objective.point()
    words = [] if point.view == Grpo().point().view else [_part(point.view)]
    words.append(_part(point.advantage))
    words += [f"{sign} = {value:g}" for sign in ("positive", "negative") if (value := getattr(point, sign)) != 1]
    words += [_part(selection) for selection in point.selection]
    return ", ".join([*words, _part(point.surrogate), point.aggregation])


def _part(part: Any) -> str:
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(part).__name__).lower()
    settings = _settings(part)
    return f"{name} ({settings})" if settings else name


def _settings(part: Any, *, every: bool = False) -> str:
    """Those that are not a part's own defaults, or every one."""
    fields = type(part).model_fields
    found = {key: value for key, value in part.settings().items() if every or value != fields[key].default}
    return ", ".join(f"{key} = {value}" for key, value in found.items())


def _peers(cls: Any) -> str:
    return "; ".join(f"{peer}: {words}" for peer, words in cls.peers.items())


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(_lines([heads, ["---"] * len(heads), *rows]))


def _lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

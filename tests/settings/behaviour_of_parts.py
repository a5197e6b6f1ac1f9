"""What objectives and their parts compute, as plain values to be compared: credit, terms, gradients and measures.

On made steps with log-probabilities drawn apart for policy, old, reference and sampler: ratios are far from 1, so that
every bound can act.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from prerl_spec.needs import Need, Teacher
from prerl_spec.registry.component_state import first_batch
from prerl_spec.testing.steps import made_documents, made_step
from prerl_spec.testing.tiny import byte_tokenizer
from prerl_spec.text import Codec
from prerl_spec.types import Array, Outcome, Prompt, Step
from prerl_spec.views import Conditional

CODEC = Codec.of_tokenizer(byte_tokenizer())
PROMPT = Prompt("train", 0, "2+2?", "4", (1, 2, 3))
STEP = made_step([[1.0, 0.0, Outcome.UNPARSABLE, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0] * 4, [Outcome.UNPARSABLE, 1.0]])
DOCUMENTS = made_documents([3, 5, 2])


def with_a_second_part(step: Step) -> Step:
    """Rewards of two parts: the verifier's score, and a term that goes down with the length; some sums are negative."""
    groups = []
    for group in step.groups:
        terms = [-len(a.tokens) / 8 for a in group.attempts]
        attempts = tuple(
            a if a.reward is None else replace(a, reward=a.reward + term, parts={**a.parts, "brevity": term})
            for a, term in zip(group.attempts, terms, strict=True)
        )
        groups.append(replace(group, attempts=attempts))
    return replace(step, groups=tuple(groups), part_names=(*step.part_names, "brevity"))


RICH = with_a_second_part(replace(STEP, step=4))


def of_objective(objective: Any, folder: Path) -> Any:
    """Facts, contexts, and of two steps (several, for ramps) credit, weighted terms, their gradients and measures."""
    said: list[Any] = [objective.uses_rollouts, objective.scope, objective.min_group, sorted(objective.consumes())]
    for part in objective.parts():
        said.append([need.view.context(PROMPT, CODEC) for need in sorted(part.needs(), key=repr)])
        for step in (STEP, RICH) if objective.uses_rollouts else (DOCUMENTS,):
            said += _of_part(part, step)
    return said


def _of_part(part: Any, step: Step) -> list[Any]:
    (credit,) = part.credits(first_batch(part, step, lambda needs: vectors(needs, step)), [step])
    weight_n, advantage_n = torch.from_numpy(credit.weight_N), torch.from_numpy(credit.advantage_N)
    logp = tensors(part.needs(), step)
    terms = part.terms(logp, advantage_n, step.tokens)
    loss = (weight_n * terms)[weight_n != 0]
    leaves = [v for v in logp.values() if v.requires_grad]
    found = torch.autograd.grad(loss.sum(), leaves, allow_unused=True) if loss.requires_grad else ()
    detached = {need: vector.detach() for need, vector in logp.items()}
    measured = part.measures(detached, advantage_n, step.tokens)
    gradients = [None if g is None else plain(g) for g in found]
    return [plain(weight_n), plain(loss), gradients, {name: plain(value) for name, value in measured.items()}]


def of_advantage(advantage: Any, folder: Path) -> Any:
    """Advantages of a step whose rewards have two parts."""
    found = advantage.advantage(first_batch(advantage, RICH, lambda needs: vectors(needs, RICH)))
    return [advantage.min_group, sorted(advantage.consumes()), found.tolist()]


def of_selection(selection: Any, folder: Path) -> Any:
    """The tokens that keep their weight."""
    batch = first_batch(selection, STEP, lambda needs: vectors(needs, STEP))
    return selection.keep(batch, _advantage_of_tokens(STEP).numpy()).tolist()


def of_surrogate(surrogate: Any, folder: Path) -> Any:
    """Losses, their gradient, and where a bound acts."""
    policy, old = Need(Conditional(), "policy"), Need(Conditional(), "old")
    logp = tensors({policy, old, *surrogate.needs(Conditional())}, STEP)
    given = (logp[policy], logp[old], _advantage_of_tokens(STEP), STEP.tokens, logp)
    loss_n = surrogate.loss(*given)
    (gradient_n,) = torch.autograd.grad(loss_n.sum(), logp[policy])
    return [plain(loss_n), plain(gradient_n), plain(surrogate.bounded(*given))]


def of_correction(correction: Any, folder: Path) -> Any:
    """Ratios and weights."""
    trainer, sampler = Need(Conditional(), "old"), Need(Conditional(), "sampler")
    logp = tensors((trainer, sampler), STEP)
    weight_n = correction.weight(logp[trainer], logp[sampler], _advantage_of_tokens(STEP), STEP.tokens)
    return [plain(correction.ratio(logp[trainer], logp[sampler], STEP.tokens)), plain(weight_n)]


def of_ramp(ramp: Any, folder: Path) -> Any:
    return [ramp.at(step) for step in range(12)]


def vectors(needs: Iterable[Need], step: Step) -> dict[Need, Array]:
    """Log-probabilities from −3 to 0 (entropies: 0 to 3), drawn apart for each model, [N]."""
    return {need: _drawn(need, step.tokens.num_tokens) for need in needs}


def tensors(needs: Iterable[Need], step: Step) -> Mapping[Need, Tensor]:
    """The same as tensors, those of the policy with a gradient."""
    found = vectors(needs, step)
    return {need: torch.tensor(vector, requires_grad=need.of == "policy") for need, vector in found.items()}


def plain(value: Tensor) -> Any:
    """As a list; asserts that it is finite, since NaN differs from itself."""
    assert torch.isfinite(value.double()).all()
    return value.detach().tolist()


def _drawn(need: Need, size: int) -> Array:
    named = int(need.of.key, 16) if isinstance(need.of, Teacher) else _MODELS.index(need.of)
    value_N = np.random.default_rng(named + 10 * need.entropy).uniform(-3, 0, size=size)
    return -value_N if need.entropy else value_N


_MODELS = ("policy", "old", "reference", "sampler")


def _advantage_of_tokens(step: Step) -> Tensor:
    """[N] one advantage a sample, of both signs and 0."""
    advantage_S = np.random.default_rng(7).uniform(-4, 4, size=len(step.samples))
    advantage_S[::5] = 0.0
    return torch.from_numpy(advantage_S[step.tokens.sample_N])


OBSERVERS_OF_PARTS: dict[str, Callable[[Any, Path], Any]] = {
    "objective": of_objective,
    "advantage": of_advantage,
    "selection": of_selection,
    "surrogate": of_surrogate,
    "correction": of_correction,
    "ramp": of_ramp,
}

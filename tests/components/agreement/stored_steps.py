"""The stored batches as steps of ours, and the engine's own arithmetic on them: split, credit, weights × terms."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from prerl_spec.engine.policy.packing import Pass
from prerl_spec.engine.training.minibatch import Minibatch, split_batch
from prerl_spec.engine.training.part_inputs import part_inputs
from prerl_spec.engine.training.pass_faults import PassFaults
from prerl_spec.engine.training.pass_loss import pass_loss
from prerl_spec.sdk import Array, Attempt, Conditional, Group, Need, Outcome, Prompt, Segment, Step, Verdict

FOLDER = Path(__file__).parent
CPU = torch.device("cpu")
EOS, WORD = 2, 4
PART_NAMES = {"score": "verdict"}
"""What the verifier gives is called `verdict` here."""
VECTORS = {
    Need(Conditional(), "policy"): "current_N",
    Need(Conditional(), "policy", entropy=True): "entropy_N",
    Need(Conditional(), "old"): "old_N",
    Need(Conditional(), "old", entropy=True): "entropy_N",
    Need(Conditional(), "reference"): "reference_N",
    Need(Conditional(), "sampler"): "sampler_N",
}
"""The stored entropies are the current policy's; those of the old policy are taken to be the same."""


@dataclass(frozen=True)
class Result:
    """What an objective makes of a batch: loss, gradients [N] by current log-probabilities and entropies, advantages [S]."""

    loss: float
    gradient_N: Array
    entropy_gradient_N: Array
    advantage_S: Array


@dataclass(frozen=True)
class Stored:
    """A stored batch: `vectors` are served as the engine serves those that it has computed."""

    step: Step
    vectors: Mapping[Need, Array]

    def read(self, needs: Iterable[Need], samples: range) -> dict[Need, Array]:
        assert samples == range(len(self.step.samples))
        return {need: self.vectors[need] for need in needs}


@cache
def stored_batches() -> Mapping[str, Mapping[str, Any]]:
    return {batch["name"]: batch for batch in json.loads((FOLDER / "batches.json").read_text(encoding="utf-8"))}


def stored(name: str, rewards: Mapping[str, float] | None = None) -> Stored:
    """The batch of this name. `rewards` (part -> weight) makes each reward the weighted sum of its parts."""
    batch = stored_batches()[name]
    parts = rewards or {"score": 1.0}
    starts = np.cumsum([0, *batch["length_S"]])
    attempts = []
    for sample, length in enumerate(batch["length_S"]):
        values = {part: batch["parts_S"][part][sample] for part in parts}
        logps = batch["sampler_N"][starts[sample] : starts[sample] + length]
        attempts.append(attempt(values, parts, length, batch["truncated_S"][sample], logps))
    size = batch["group_size"]
    groups = [
        Group(
            slot, Prompt("stored", slot, "prompt", "1", context=(3,)), tuple(attempts[slot * size : (slot + 1) * size])
        )
        for slot in range(len(attempts) // size)
    ]
    names = tuple(PART_NAMES.get(part, part) for part in parts)
    step = Step("phase", 1, 1, tuple(groups), max_new_tokens=batch["max_new_tokens"], part_names=names)
    return Stored(step, {need: np.array(batch[key]) for need, key in VECTORS.items()})


def attempt(
    values: Mapping[str, float | None],
    weights: Mapping[str, float],
    length: int,
    truncated: bool,
    logps: Sequence[float],
) -> Attempt:
    """A response of tokens that mean nothing. One that was cut off is unparsable; one without a reward timed out."""
    tokens = (WORD,) * length if truncated else (*(WORD,) * (length - 1), EOS)
    score = values["score"]
    outcome = Outcome.UNPARSABLE if truncated else Outcome.WRONG if score is not None and score < 1 else Outcome.RIGHT
    parts = {PART_NAMES.get(part, part): weights[part] * value for part, value in values.items() if value is not None}
    return Attempt(
        segments=(Segment(tokens, logps=tuple(logps)),),
        text="",
        stop="length" if truncated else "eos",
        verdict=Verdict(Outcome.TIMEOUT if score is None else outcome, score),
        reward=None if score is None else sum(parts.values()),
        parts={} if score is None else parts,
    )


def run(objective: Any, batch: Stored, updates: int = 1) -> Result:
    """Each update in one pass, as the engine computes it, in float32: their sum, at the same weights."""
    tokens = batch.step.tokens
    vectors = {need: torch.from_numpy(vector).float() for need, vector in batch.vectors.items()}
    leaves = [vectors[need].requires_grad_() for need in vectors if need.of == "policy"]
    loss, first, advantage_S = torch.zeros(()), 0, []
    for minibatch in split_batch(batch.step, objective, batch, updates):
        own = minibatch.step.tokens
        whole = Pass(tuple(range(own.num_samples)), own, np.arange(own.num_tokens), {})
        mine = {need: vector[first : first + own.num_tokens] for need, vector in vectors.items()}
        loss = loss + pass_loss(list(part_inputs(whole, minibatch.credits, mine, CPU)), PassFaults(), CPU)
        first += own.num_tokens
        advantage_S.append(advantages(minibatch))
    by_logp, by_entropy = (np.zeros(tokens.num_tokens) for _ in leaves)
    if loss.requires_grad:
        found = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
        by_logp, by_entropy = (gradient.double().numpy() for gradient in found)
    return Result(loss.item(), by_logp, by_entropy, np.concatenate(advantage_S))


def advantages(minibatch: Minibatch) -> Array:
    """[S] those of the first part, which are equal over the tokens of a sample."""
    first = np.cumsum([0, *minibatch.step.tokens.length_S[:-1]])
    advantage_N: Array = minibatch.credits[0].credit.advantage_N
    return np.asarray(advantage_N[first])

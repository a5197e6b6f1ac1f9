"""What the engine and the outside reference both train on: one batch with everything that a batch can hold, and the cases.

`python -m tests.engine.outside_cases` prints the largest relative difference of each case.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np
import torch
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.presets.pretrain_space import MarginalNsr, MarginalPg, MarginalPsr
from prerl_components.objectives.token_losses.entropy import Entropy
from prerl_components.objectives.token_losses.kl import Kl
from prerl_components.objectives.token_losses.next_token import NextToken
from prerl_components.objectives.weighted_sum import WeightedSum
from torch import Tensor

from prerl_spec.engine.policy.reference import reference_of
from prerl_spec.engine.training.trainer import Trained
from prerl_spec.types import Attempt, Group, Outcome, Prompt, Segment, Step, Stop, Verdict
from tests.engine.outside_reference import TOKENIZER, Term, Training, train
from tests.engine.steps import make_trainer, tiny_policy

OBJECTIVES = {
    "grpo": Grpo,
    "marginal_pg": MarginalPg,
    "marginal_nsr": MarginalNsr,
    "marginal_psr": MarginalPsr,
    "next_token": NextToken,
    "entropy": Entropy,
    "kl": Kl,
}

LR = 0.1
"""With plain SGD: one update moves log-probabilities by some tenths, so that the next one's ratios leave 1 ± 0.2."""


@dataclass(frozen=True)
class Case:
    """A phase in small: terms of the loss, updates a batch, the engine's budget of tokens a pass."""

    name: str
    terms: tuple[Term, ...]
    num_updates: int = 1
    tokens_per_pass: int = 260
    lr: float = LR
    max_grad_norm: float = 1e3

    @property
    def objective(self) -> Any:
        parts = [OBJECTIVES[t.use](**written(t)) for t in self.terms]
        return parts[0] if len(parts) == 1 else WeightedSum(terms=tuple(parts))


def written(term: Term) -> dict[str, Any]:
    """The settings that differ from what the reference takes for the default: the engine's own defaults are compared too."""
    return {f.name: v for f in fields(term) if f.name != "use" and (v := getattr(term, f.name)) != f.default}


def case(name: str, *terms: Term | str, **more: Any) -> Case:
    return Case(name, tuple(Term(t) if isinstance(t, str) else t for t in terms), **more)


def _cases() -> Iterable[Case]:
    for num_updates in (1, 2, 4):
        yield case(f"grpo {num_updates}", "grpo", num_updates=num_updates)
        yield case(f"marginal_pg {num_updates}", "marginal_pg", num_updates=num_updates, lr=2 * LR)
    yield case("grpo token_mean", Term("grpo", aggregation="token_mean"), num_updates=2)
    yield case("grpo constant", Term("grpo", aggregation="constant"), num_updates=4)
    yield case("marginal_nsr", "marginal_nsr", num_updates=2)
    yield case("marginal_psr", "marginal_psr", num_updates=4)
    yield case("nsr minus_one", Term("marginal_nsr", advantage="minus_one", unparsable="mask"), num_updates=4)
    yield case("nsr centred", Term("marginal_nsr", center="group", coefficient=0.5), num_updates=2, lr=8 * LR)
    yield case("nsr centred by sample", Term("marginal_nsr", center="group", aggregation="sequence_mean"))
    yield case("pg centred, prefix", Term("marginal_pg", center="group", prefix="Q: ", aggregation="constant"))
    yield case("clip higher", Term("grpo", clip_low=0.1, clip_high=0.28, unparsable="mask"), num_updates=4)
    yield case("dual clip", Term("marginal_nsr", advantage="minus_one", dual_clip=1.05), num_updates=4)
    yield case("importance truncate", Term("grpo", importance="truncate"))
    yield case("importance mask", Term("grpo", importance="mask", importance_cap=1.5), num_updates=2)
    yield case("importance marginal", Term("marginal_nsr", importance="truncate"), num_updates=2)
    yield case(
        "two views and penalties",
        Term("marginal_nsr", coefficient=0.7),
        Term("grpo", aggregation="token_mean"),
        Term("kl", coefficient=0.1),
        Term("entropy", coefficient=0.05, aggregation="sequence_mean"),
        num_updates=2,
        tokens_per_pass=500,
    )
    yield case(
        "other samples in each view",
        "marginal_nsr",
        Term("marginal_psr", prefix="Q"),
        num_updates=4,
        tokens_per_pass=900,
    )
    yield case("grpo and k1", "grpo", Term("kl", estimator="k1"), num_updates=2)
    yield case("grpo and k2", "grpo", Term("kl", estimator="k2"), num_updates=2)
    yield case("clipped gradients", "grpo", num_updates=2, max_grad_norm=0.05, lr=30 * LR)
    yield case("documents", "next_token", num_updates=2)
    yield case("documents by sample", Term("next_token", aggregation="sequence_mean"), num_updates=4)


CASES = {c.name: c for c in _cases()}


def batch() -> Step:
    """Four groups at temperature 0.7: what no parser could read, what no verifier finished, what was cut, what an
    environment said, what was half right, what said nothing, and a group in which everybody is wrong."""
    random = np.random.default_rng(5)

    def segment(length: int, author: str = "policy") -> Segment:
        ids = tuple(random.integers(0, 256, size=length).tolist())
        if author == "environment":
            return Segment(ids, "environment", trained=False)
        return Segment(ids, logps=tuple(random.uniform(-8, -3, size=length).tolist()))

    def said(result: Outcome | float, *segments: Segment, stop: Stop = "eos") -> Attempt:
        if not isinstance(result, Outcome):
            verdict = Verdict(Outcome.RIGHT if result == 1 else Outcome.WRONG, float(result))
        else:
            verdict = Verdict(result, 0.0 if result is Outcome.UNPARSABLE else None)
        return Attempt(segments, "", stop, verdict, verdict.score)

    of, told = segment, "environment"
    groups = (
        (said(1, of(66)), said(0, of(5)), said(0.5, of(21)), said(Outcome.TIMEOUT, of(12))),
        (
            said(Outcome.UNPARSABLE, of(70), stop="length"),
            said(1, of(1)),
            said(0, of(9), of(14, told), of(8)),
            said(0.5, of(30)),
        ),
        (said(0, of(7)), said(0, of(24)), said(Outcome.UNPARSABLE, of(3)), said(Outcome.ERROR, of(9))),
        (said(1, of(6, told), of(19), of(4, told)), said(1), said(0, of(26)), said(Outcome.UNPARSABLE, of(11))),
    )
    prompts = [f"Question {i}{'?' * 5 * i}" for i in range(len(groups))]
    return Step(
        "prune",
        1,
        1,
        tuple(
            Group(i, Prompt("train", i, text, "1", tuple(TOKENIZER.encode(text))), attempts)
            for i, (text, attempts) in enumerate(zip(prompts, groups, strict=True))
        ),
        temperature=0.7,
        max_new_tokens=70,
    )


def documents() -> Step:
    """Documents of ragged lengths: no verdicts, one a group."""
    random = np.random.default_rng(6)
    groups = []
    for slot, length in enumerate((3, 80, 1, 22, 65, 17, 30, 2)):
        attempt = Attempt((Segment(tuple(random.integers(0, 256, size=length).tolist())),), "", "document")
        groups.append(Group(slot, Prompt("corpus", slot, None, None, (257,)), (attempt,)))
    return Step("pretrain", 1, 1, tuple(groups))


class RecordingSgd:
    """An optimizer component: plain SGD that keeps every gradient it is given."""

    def __init__(self, lr: float, max_grad_norm: float) -> None:
        self.lr, self.max_grad_norm = lr, max_grad_norm
        self.given: list[dict[str, Tensor]] = []

    def build(self, named_parameters: Iterable[tuple[str, torch.nn.Parameter]]) -> list[torch.optim.Optimizer]:
        named = list(named_parameters)
        given = self.given

        class Recording(torch.optim.SGD):
            def step(self, closure: Any = None) -> None:  # type: ignore[override]
                given.append({n: p.grad.detach().clone() for n, p in named if p.grad is not None})
                super().step(closure)

        return [Recording([p for _, p in named], lr=self.lr)]

    def lr_factor(self, step: int, num_steps: int | None) -> float:
        return 1.0


@dataclass(frozen=True)
class Compared:
    """Both ways through a case: the engine's report and the gradients that it applied, and the reference's."""

    trained: Trained
    given: list[dict[str, Tensor]]
    outside: Training

    @property
    def gradient_error(self) -> float:
        """The largest relative difference of a gradient among the updates, ‖ours − theirs‖ / ‖theirs‖."""
        pairs = zip(self.given, [u.applied for u in self.outside.updates], strict=True)
        return max(_distance(ours, theirs) for ours, theirs in pairs)

    @property
    def loss_error(self) -> float:
        """Against what the terms of the sum add up to without their signs: a loss may cancel to nearly nothing."""
        magnitude = sum(u.magnitude for u in self.outside.updates) / len(self.outside.updates)
        return abs(self.trained.loss - self.outside.loss) / magnitude

    @property
    def norm_error(self) -> float:
        """That of the reported norms, which are taken before the clipping."""
        theirs = [_norm(u.gradient) for u in self.outside.updates]
        ours = [u.grad_norm for u in self.trained.updates]
        return max(abs(a - b) / b for a, b in zip(ours, theirs, strict=True))


@cache
def compared(name: str) -> Compared:
    """Runs a case both ways, from weights that have left their reference."""
    chosen = CASES[name]
    step = documents() if name.startswith("documents") else batch()
    policy = tiny_policy()
    reference = reference_of(policy)
    first = copy.deepcopy(policy.module).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for _, parameter in policy.parameters():
            parameter += 0.01 * torch.randn(parameter.shape, generator=generator)
    outside = copy.deepcopy(policy.module).double()
    optimizer = RecordingSgd(chosen.lr, chosen.max_grad_norm)
    trainer = make_trainer(
        policy,
        chosen.objective,
        optimizer=optimizer,
        updates_per_batch=chosen.num_updates,
        tokens_per_pass=chosen.tokens_per_pass,
        reference=reference,
    )
    trained = trainer.train(step)
    theirs = train(
        outside,
        step,
        chosen.terms,
        num_updates=chosen.num_updates,
        lr=chosen.lr,
        max_grad_norm=chosen.max_grad_norm,
        reference=first,
    )
    return Compared(trained, optimizer.given, theirs)


def _distance(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> float:
    assert ours.keys() == theirs.keys()
    return _norm({n: ours[n].double() - theirs[n] for n in ours}) / _norm(theirs)


def _norm(tensors: dict[str, Tensor]) -> float:
    return float(torch.cat([t.flatten().double() for t in tensors.values()]).norm())


def table() -> str:
    """One line a case: updates, clipped tokens, the largest |log ρ|, and the three relative differences."""
    lines = [f"{'case':32} {'updates':>7} {'clipped':>7} {'max |log ρ|':>11} {'gradient':>9} {'norm':>9} {'loss':>9}"]
    for name in CASES:
        both = compared(name)
        updates = both.outside.updates
        clipped, ratio = sum(u.num_clipped for u in updates), max(u.largest_log_ratio for u in updates)
        errors = f"{both.gradient_error:9.1e} {both.norm_error:9.1e} {both.loss_error:9.1e}"
        lines.append(f"{name:32} {len(updates):7} {clipped:7} {ratio:11.3f} {errors}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())

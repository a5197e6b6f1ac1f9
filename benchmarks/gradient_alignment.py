"""The paper's table of gradient alignment (arXiv:2604.14142), on the quickstart's model before, between and after its phases.

    OMP_NUM_THREADS=1 python -m benchmarks.gradient_alignment [--rollouts N] [--checked N] [--short]

Runs specs/quickstart.toml without its evaluations. After each phase it draws N responses from the policy and takes two
gradients of each, ∇log P(y) and ∇log P(y|x), of log-probabilities divided by the length: inner product (mean, least, most),
share negative, cosine, and |log π(y_t|x) − log π(y_t|b)|; right and wrong ones apart, and by layer group. For the first
`--checked` of them eq. 4 is put to the test: θ moves by η∇log P(y), and log P(y|x) by how much? In the phases themselves the
probe `gradient_alignment` measures every second step: |Δ log P(y|x)| of an update, and what measuring costs. `--short` takes
few steps, to see that the script runs.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from prerl_components.probes.gradient_alignment import GradientAlignment, Pair, layer_groups
from prerl_components.probes.likelihoods import LogLikelihood

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.graph import Graph, Named, Phase
from prerl_spec.engine.batches.journal import Journal
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.signals import Signals
from prerl_spec.engine.record.events import Silence
from prerl_spec.engine.run.phase_runner import PhaseRunner
from prerl_spec.engine.run.position import Position
from prerl_spec.engine.run.session import Session, open_session
from prerl_spec.engine.training.trainer import Trainer
from prerl_spec.engine.training.updater import Updater
from prerl_spec.engine.training.watching import Site
from prerl_spec.sdk import Conditional, Marginal, Need
from prerl_spec.types import StepRecord

SPEC = Path(__file__).parents[1] / "specs" / "quickstart.toml"
BANDS = 3
Moments = dict[str, torch.Tensor]
ETAS = (1e-5, 1e-4, 1e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rollouts", type=int, default=400)
    parser.add_argument("--checked", type=int, default=32)
    parser.add_argument("--short", action="store_true")
    told = parser.parse_args()
    graph = compile_spec(SPEC).graph
    learn, prune, refine = graph.phases
    if told.short:
        graph = replace(graph, phases=(_steps(learn, 60), _steps(prune, 4), _steps(refine, 4)))
        learn, prune, refine = graph.phases
    graph = replace(graph, evaluators=())
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        signals = stack.enter_context(Signals())
        session = stack.enter_context(open_session(graph, folder, Ranks.start(), Silence(), signals))
        journal = Journal(folder / "journal", writes=True)
        at, moments = Position(), dict[str, torch.Tensor]()
        for phase in (learn, prune, refine):
            at, moments = taken(session, journal, phase, at, moments)
            look(session, folder / phase.id, graph, at, f"after {phase.id}", told.rollouts, told.checked)


def _steps(phase: Phase, steps: int) -> Phase:
    schedule = phase.schedule.component
    return replace(phase, schedule=replace(phase.schedule, component=schedule.model_copy(update={"steps": steps})))  # type: ignore[attr-defined]


def taken(session: Session, journal: Journal, phase: Phase, at: Position, moments: Moments) -> tuple[Position, Moments]:
    """Takes the phase's steps; a sampling phase's with the probe on every second one, and prints what it found."""
    probe = GradientAlignment(every=2, samples=8, bands=BANDS)
    if phase.sampler is not None:
        phase = replace(phase, probes=(*phase.probes, Named("gradient_alignment", probe)))
    runner = PhaseRunner(phase, session, journal, moments, None)
    records: list[StepRecord] = []
    for _ in range(phase.schedule.component.max_steps or 0):
        record, cursor, components, _ = runner.step(at, {})
        at = at.after_step(record, cursor, components, {}, False)
        records.append(record)
    if phase.sampler is not None:
        measured = [r for r in records if r.step % 2 == 0 and r.applied]
        others = [r for r in records if r.step % 2 and r.applied]
        print(f"\n{phase.id}: {len(measured)} of {len(records)} steps measured, means over steps")
        for name in ("cosine", "negative", "batch_cosine", "delta_logp", "change_right", "change_wrong", "logp_gap"):
            values = [v for r in measured if (v := r.metrics.get(f"gradient_alignment_{name}")) is not None]
            if values:
                print(f"  {name:<13} {np.mean(values):+.4f}  from {min(values):+.4f} to {max(values):+.4f}")
        with_probe, without = (median(r.seconds["train"] for r in part) for part in (measured, others))
        print(
            f"  training takes {with_probe:.2f} s with the probe, {without:.2f} s without: x {with_probe / without:.2f}"
        )
    carried = runner.updater.state() if phase.carry_optimizer else {}
    return at.next_phase(carry_lr=False, restart_data=False), carried


def look(session: Session, folder: Path, graph: Graph, at: Position, when: str, rollouts: int, checked: int) -> None:
    """The table at one moment, from responses of its own that nothing is trained on."""
    phase = graph.phases[-1]
    assert phase.sampler is not None
    prompts = max(1, rollouts // phase.sampler.component.group_size)
    runner = PhaseRunner(replace(phase, prompts_per_step=prompts), session, Journal(folder, writes=True), {}, None)
    step = runner.batch(at)
    updater = Updater(phase.optimizer.component, session.policy.parameters(), session.ranks)
    objective = phase.objective.component
    trainer = Trainer(
        session.policy, updater, objective, 1, phase.tokens_per_pass, session.ranks, None, lambda *_: None
    )
    site, begun = Site(step, trainer), time.perf_counter()
    scored = [i for i, a in enumerate(step.samples) if a.reward is not None and a.num_trained]
    right = [step.reward_S[i] == 1.0 for i in scored]
    pairs = [
        Pair.of(*(site.gradient(LogLikelihood(view=view), [i]) for view in (Marginal(), Conditional()))) for i in scored
    ]
    free_N, given_N = (site.log_probs(Need(view), scored) for view in (Marginal(), Conditional()))
    seconds = (time.perf_counter() - begun) / max(1, len(scored))
    lengths = step.tokens.length_S[scored]
    print(
        f"\n{when}: {len(scored)} responses of {lengths.mean():.0f} tokens, {sum(right)} right, {seconds * 1e3:.0f} ms each"
    )
    layers = list(pairs[0].dot)
    rights = [pair for pair, is_right in zip(pairs, right, strict=True) if is_right]
    wrongs = [pair for pair, is_right in zip(pairs, right, strict=True) if not is_right]
    for name, chosen in (("all", pairs), ("right", rights), ("wrong", wrongs)):
        _line(name, chosen, layers)
    for name, inside in layer_groups(layers, BANDS).items():
        _line(name, pairs, inside)
    gap = float(np.nanmean(np.abs(given_N - free_N)))
    print(f"  mean |log p(y_t|x) - log p(y_t|b)| {gap:.3f} nats a token")
    _eq_4(site, scored[:checked])


def _line(name: str, pairs: Sequence[Pair], layers: Sequence[str]) -> None:
    if not pairs:
        return
    summed = [pair.summed(layers) for pair in pairs]
    dots, cosines = np.array([d for d, _ in summed]), np.array([c for _, c in summed if c is not None])
    print(
        f"  {name:<11} dot {dots.mean():+8.3f} ({dots.min():+.3f} ... {dots.max():+.3f}), {np.mean(dots < 0):6.1%} negative, "
        f"cosine {cosines.mean():+.3f} ({cosines.min():+.3f} ... {cosines.max():+.3f})"
    )


@torch.no_grad()
def _eq_4(site: Site, samples: Sequence[int]) -> None:
    """The change of log P(y|x) per token after θ ← θ + η∇log P(y), against η⟨∇log P(y), ∇log P(y|x)⟩."""
    policy = site.trainer.policy
    sample_N = site.step.tokens.sample_N
    kept = [p.detach().clone() for _, p in policy.parameters()]
    for eta in ETAS:
        errors, changes, same = [], [], 0
        for i in samples:
            with torch.enable_grad():
                free, given = (site.gradient(LogLikelihood(view=view), [i]) for view in (Marginal(), Conditional()))
            before = site.log_probs(Need(Conditional()), [i])
            for (_, parameter), direction in zip(policy.parameters(), free._tensors, strict=True):  # type: ignore[attr-defined]
                parameter.add_(direction, alpha=eta)
            change = float((site.log_probs(Need(Conditional()), [i]) - before)[sample_N == i].mean())
            for (_, parameter), value in zip(policy.parameters(), kept, strict=True):
                parameter.copy_(value)
            predicted = eta * free.dot(given)
            errors.append(abs(change - predicted) / abs(predicted))
            changes.append(abs(change))
            same += change * predicted > 0
        print(
            f"  eq. 4, eta {eta:g}: {same} of {len(samples)} changes have the predicted sign, "
            f"median error {median(errors):.1%}, mean |change| {np.mean(changes):.2e} nats a token"
        )


if __name__ == "__main__":
    main()

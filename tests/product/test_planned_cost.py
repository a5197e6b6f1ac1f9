"""What the plan says a step of each objective costs is what the engine sends forward, one and two updates a batch."""

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from prerl_spec.compiler.compile import Compiled, compile_spec
from prerl_spec.compiler.graph import Named, Phase
from prerl_spec.compiler.plan import PhasePlan
from prerl_spec.engine.batches.journal import Journal
from prerl_spec.engine.policy.reference import reference_of
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.signals import Signals
from prerl_spec.engine.run.phase_runner import PhaseRunner
from prerl_spec.engine.run.position import Position
from prerl_spec.engine.run.session import Session, open_session
from prerl_spec.engine.verification.verdict_batch import Item
from prerl_spec.engine.verification.verifier_pools import VerifierPools
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.sdk import Attempt, Component, Group, Outcome, Verdict
from tests.engine.runs import SPEC, Heard
from tests.product.built_ins import built_ins, examples, table_of

HEAD = SPEC[: SPEC.index("[[phases]]")]
ROLLOUTS = "prompts_per_step = 4\n"
DOCUMENTS = 'data = "corpus"\ndocuments_per_step = 16\n'
UPDATES = (1, 2)
Count = Counter[tuple[str, str]]


class Ranked(Component):
    """e to the power of the attempt's place in its group: no attempt is like its group, or earns nothing."""

    kind = "reward"

    def reward(self, attempt: Attempt, group: Group) -> float:
        return next(math.exp(i) for i, a in enumerate(group.attempts) if a is attempt)


class Praise:
    """Every answer is right."""

    begins_early = False

    def __init__(self) -> None:
        self._places: list[int] = []

    def ask(self, verifier: Verifier, place: int, item: Item) -> None:
        self._places.append(place)

    def verdicts(self) -> dict[int, Verdict]:
        return {place: Verdict(Outcome.RIGHT, 1.0) for place in self._places}


class Lenient(VerifierPools):
    """Everything is right, also what was cut off: the real pools call that unparsable."""

    def asked(self, *, beside: int) -> AbstractContextManager[Praise]:
        return nullcontext(Praise())


class Measured(NamedTuple):
    """Forwards by (view, of), and whether every token had a weight."""

    forwards: Count
    is_whole: bool


def spec_text() -> str:
    """A phase for each objective of the registry and number of updates."""
    text = HEAD
    for use, settings in examples("objective").items():
        declared: Any = built_ins("objective")[use].model_validate(settings)
        for updates in UPDATES:
            units = ROLLOUTS if declared.uses_rollouts else DOCUMENTS
            text += (
                f'\n[[phases]]\nid = "{use}_{updates}"\n{units}updates_per_batch = {updates}\n'
                f'objective = {table_of(use, settings)}\nschedule = {{ use = "fixed_steps", steps = 1 }}\n'
            )
    return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cost")


@pytest.fixture(scope="module")
def compiled(folder: Path) -> Compiled:
    (folder / "spec.toml").write_text(spec_text())
    return compile_spec(folder / "spec.toml")


@pytest.fixture(scope="module")
def session(folder: Path, compiled: Compiled) -> Iterator[Session]:
    """A policy, teachers, data and verifiers that all objectives share."""
    with Signals() as signals, open_session(compiled.graph, folder, Ranks.start(), Heard(), signals) as opened:
        yield opened


def situations(phase: Phase, session: Session) -> Iterator[tuple[Phase, Session]]:
    """Rewards that give each sample a weight: for objectives that compare, for those that train right samples, and for
    those that train wrong ones."""
    if phase.verifier is not None:
        yield replace(phase, rewards=(Named("ranked", Ranked()),)), session
        with ExitStack() as stack:
            yield phase, replace(session, verifiers=Lenient(stack))
    yield phase, session


def measured(folder: Path, phase: Phase, session: Session) -> Measured:
    """What a step of the phase sends forward."""
    # Teachers count with the policy.
    before = Counter(session.policy.forwards)
    runner = PhaseRunner(phase, session, Journal(folder, writes=True), {}, reference_of(session.policy))
    record, *_ = runner.step(Position(), {})
    is_whole = record.trained_tokens == record.generated_tokens or phase.verifier is None
    return Measured(Counter(session.policy.forwards) - before, is_whole)


def planned(phase: PhasePlan) -> Count:
    found: Count = Counter()
    for forward in phase.forwards:
        found[forward.view, forward.of] += forward.samples
    return found


def without_probe(forwards: Count) -> Count:
    """Metrics need a forward of their own only where the others do not see every response: planned as at most so many."""
    return Counter({(view, of): samples for (view, of), samples in forwards.items() if of != "probe"})


def selects_within_a_group(objective: Any) -> bool:
    """Whether it trains one sign of an advantage relative to the group: never all of a group's samples."""
    if not hasattr(objective, "point"):
        return False
    point = objective.point()
    one_sign = 0 in (point.positive, point.negative) or point.advantage.sign != "both"
    return bool(one_sign and point.advantage.baseline_over == "group")


@pytest.mark.parametrize("updates", UPDATES)
@pytest.mark.parametrize("use", built_ins("objective"))
def test_a_step_of_each_objective_sends_forward_what_the_plan_says(
    tmp_path: Path, session: Session, compiled: Compiled, use: str, updates: int
) -> None:
    (phase,) = [p for p in session.graph.phases if p.id == f"{use}_{updates}"]
    (plan,) = [p for p in compiled.plan.phases if p.id == phase.id]
    objective: Any = phase.objective.component
    for number, situation in enumerate(situations(phase, session)):
        seen = measured(tmp_path / str(number), *situation)
        assert seen.forwards <= planned(plan)
        if seen.is_whole:
            assert without_probe(seen.forwards) == without_probe(planned(plan))
            return
    assert selects_within_a_group(objective) or not getattr(objective, "trains", True), (
        "no rewards gave every sample a weight"
    )

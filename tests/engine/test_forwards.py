"""The plan says what each step will cost; the engine's own counter says what it did cost."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from prerl_spec.compiler.compile import Compiled, compile_spec
from prerl_spec.compiler.estimates.step_counts import probe_forwards
from prerl_spec.compiler.graph import Named, Phase
from prerl_spec.engine.batches.journal import Journal
from prerl_spec.engine.policy.reference import reference_of
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.processes.signals import Signals
from prerl_spec.engine.run.phase_runner import PhaseRunner
from prerl_spec.engine.run.position import Position
from prerl_spec.engine.run.session import Session, open_session
from prerl_spec.sdk import (
    AroundUpdate,
    Attempt,
    Component,
    Group,
    Objective,
    ProbeNeed,
    ProbeSite,
    gradient_needs,
)
from tests.engine.runs import SPEC, Heard

HEAD = SPEC[: SPEC.index("[[phases]]")]
TWO_STEPS = 'schedule = { use = "fixed_steps", steps = 2 }'
Count = Counter[tuple[str, str]]


class Ranked(Component):
    """Twice the square of the attempt's place in its group: rewards 0, 2, 8, 18, so that no advantage is 0."""

    kind = "reward"

    def reward(self, attempt: Attempt, group: Group) -> float:
        return 2.0 * next(i * i for i, a in enumerate(group.attempts) if a is attempt)


def compiled(folder: Path, objective: str, *, updates: int = 1, more: str = "", tail: str = "") -> Compiled:
    """One phase of 4 prompts x 4 attempts by a model that has learnt nothing: every answer is wrong."""
    file = folder / "spec.toml"
    phase = (
        f'{more}\n[[phases]]\nid = "p"\nprompts_per_step = 4\nupdates_per_batch = {updates}\nobjective = {objective}\n'
    )
    file.write_text(f"{HEAD}{phase}{TWO_STEPS}\n{tail}")
    return compile_spec(file)


def with_documents(folder: Path, updates: int, objective: str = '"next_token"') -> Compiled:
    """One phase of 8 documents a step."""
    text = SPEC[: SPEC.index('[[phases]]\nid = "prune"')].replace('"next_token"', objective)
    file = folder / "spec.toml"
    file.write_text(text.replace("documents_per_step = 8", f"documents_per_step = 8\nupdates_per_batch = {updates}"))
    return compile_spec(file)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A policy, data and verifier that all tests share: only phases differ."""
    folder = tmp_path_factory.mktemp("session")
    with Signals() as signals:
        (folder / "documents").mkdir()
        graph = compiled(folder, PRUNING).graph
        documents = with_documents(folder / "documents", 1).graph.phases
        graph = replace(graph, phases=(*graph.phases, *documents))
        with open_session(graph, folder, Ranks.start(), Heard(), signals) as opened:
            yield opened


def counted(folder: Path, session: Session, spec: Compiled, **changed: object) -> list[Count]:
    """What each of two steps sent forward, by (view, of); the phase with some of its parts replaced."""
    served = {"verifier": session.graph.phases[0].verifier, **changed}
    phase: Phase = replace(spec.graph.phases[0], **served)  # type: ignore[arg-type]
    reference = reference_of(session.policy)
    opened = PhaseRunner(phase, session, Journal(folder / "journal", writes=True), {}, reference)
    position = Position()
    steps: list[Count] = []
    for _ in range(2):
        before = Counter(session.policy.forwards)
        record, cursor, components, _ = opened.step(position, {})
        position = position.after_step(record, cursor, components, {}, False)
        steps.append(Counter(session.policy.forwards) - before)
    return steps


def planned(spec: Compiled, *, measured: bool = True) -> Count:
    """What a step sends forward, with its probes where it is one that they measure."""
    (phase,) = spec.plan.phases
    found: Count = Counter()
    for forward in (*phase.forwards, *(f for probe in phase.probe_costs if measured for f in probe.forwards)):
        found[forward.view, forward.of] += forward.samples
    return found


def run(spec: Compiled, *, measured: bool = True) -> Count:
    """The plan's forwards where every sample carries weight: metrics are then taken from those of the update, or of the old
    policy, and a view that has none of them is scored for them, as planned."""
    (phase,) = spec.graph.phases
    found = planned(spec, measured=measured)
    for view in {view for view, of in found if of == "probe"}:
        if (view, "old") in found or (phase.updates_per_batch == 1 and (view, "policy") in found):
            del found[view, "probe"]
    return found


PRUNING = '{ use = "marginal_nsr", advantage = "minus_one" }'
WEIGHED = '{ use = "marginal_nsr", advantage = "minus_one", importance = "truncate" }'
EVERY_SAMPLE_CARRIES_WEIGHT = [
    (PRUNING, 1),
    (PRUNING, 2),
    ('{ use = "marginal_pg", advantage = "minus_one" }', 1),
    ('{ use = "marginal_pg", advantage = "minus_one", importance = "mask" }', 4),
    (WEIGHED, 1),
    (WEIGHED, 2),
    ('"nsr"', 2),
    ('"w_reinforce"', 1),
    ('"cw_nsr"', 1),
    ('"cw_nsr"', 2),
    ('"nothing"', 1),
    ('"nothing"', 2),
    ('{ use = "weighted_sum", terms = ["nothing", ' + PRUNING + "] }", 1),
    ('{ use = "weighted_sum", terms = [' + PRUNING + ', { use = "kl", coefficient = 0.1 }] }', 1),
    ('{ use = "weighted_sum", terms = [' + WEIGHED + ', "entropy"] }', 1),
    ('{ use = "weighted_sum", terms = ["kl", "entropy"] }', 2),
    ('{ use = "weighted_sum", terms = [' + PRUNING + ', { use = "marginal_pg", advantage = "minus_one", prefix = "Q" }] }', 1),
]  # fmt: skip


@pytest.mark.parametrize(("objective", "updates"), EVERY_SAMPLE_CARRIES_WEIGHT)
def test_each_step_sends_forward_what_the_plan_says(
    tmp_path: Path, session: Session, objective: str, updates: int
) -> None:
    spec = compiled(tmp_path, objective, updates=updates)
    assert counted(tmp_path, session, spec) == [run(spec)] * 2


GROUP = [
    ('"rloo"', 1),
    ('"gpg"', 2),
    ('"opo"', 2),
    ('"max_rl"', 2),
    ('"lite_ppo"', 1),
    ('{ use = "reinforce_pp", baseline = true }', 2),
    ('"grpo"', 1),
    ('"grpo"', 2),
    ('{ use = "grpo", importance = "truncate" }', 1),
    ('{ use = "grpo", importance = "truncate" }', 2),
    ('"marginal_pg"', 2),
    ('{ use = "marginal_nsr", center = "group" }', 1),
    ('{ use = "weighted_sum", terms = ["grpo", "marginal_pg"] }', 1),
    ('{ use = "weighted_sum", terms = ["grpo", { use = "marginal_pg", importance = "truncate" }] }', 1),
    ('{ use = "weighted_sum", terms = ["grpo", "kl", "entropy"] }', 2),
]


@pytest.mark.parametrize(("objective", "updates"), GROUP)
def test_so_do_group_baselines_where_every_attempt_differs_from_its_group(
    tmp_path: Path, session: Session, objective: str, updates: int
) -> None:
    spec = compiled(tmp_path, objective, updates=updates)
    assert counted(tmp_path, session, spec, rewards=(Named("ranked", Ranked()),)) == [run(spec)] * 2


def test_answers_without_their_questions_go_forward_in_one_view(tmp_path: Path, session: Session) -> None:
    spec = with_documents(tmp_path, 1, '"question_free_sft"')
    assert counted(tmp_path, session, spec) == [planned(spec)] * 2
    assert planned(spec) == Counter({("marginal", "policy"): 8})


def test_what_never_trains_sends_nothing_forward_but_for_metrics(tmp_path: Path, session: Session) -> None:
    assert {of for _, of in planned(compiled(tmp_path, '"nothing"'))} == {"probe"}


@pytest.mark.parametrize("updates", [1, 2])
def test_so_do_documents(tmp_path: Path, session: Session, updates: int) -> None:
    spec = with_documents(tmp_path, updates)
    assert counted(tmp_path, session, spec) == [planned(spec)] * 2
    assert planned(spec) == Counter({("conditional", "policy"): 8})


@pytest.mark.parametrize("objective", ['"marginal_nsr"', '"marginal_psr"', '{ use = "grpo", importance = "mask" }'])
def test_samples_without_weight_are_spared(tmp_path: Path, session: Session, objective: str) -> None:
    """Of rewards 0, 2, 8, 18 the first or the last two are selected; with equal rewards nobody is."""
    spec = compiled(tmp_path, objective)
    (tmp_path / "ranked").mkdir()
    (tmp_path / "alike").mkdir()
    ranked = counted(tmp_path / "ranked", session, spec, rewards=(Named("ranked", Ranked()),))
    alike = counted(tmp_path / "alike", session, spec)
    trained = "marginal" if "marginal" in objective else "conditional"
    for step in ranked:
        assert step <= planned(spec)
        assert step[trained, "policy"] == (8 if trained == "marginal" else 16)
    for step in alike:
        assert step == Counter({key: n for key, n in planned(spec).items() if key[1] == "probe"})


@pytest.mark.parametrize("updates", [1, 2])
def test_each_part_pays_for_the_samples_that_it_gives_weight_to(tmp_path: Path, session: Session, updates: int) -> None:
    """Of rewards 0, 2, 8, 18 one part takes the first two, the other the last two: only the other needs to know how
    its samples were drawn, and with two updates also what they were before the first."""
    psr = '{ use = "marginal_psr", importance = "truncate", prefix = "Q" }'
    spec = compiled(tmp_path, f'{{ use = "weighted_sum", terms = ["marginal_nsr", {psr}] }}', updates=updates)
    for step in counted(tmp_path, session, spec, rewards=(Named("ranked", Ranked()),)):
        assert step["marginal", "policy"] == 16
        assert step["conditional", "old"] == 8
        assert step["marginal", "old"] == (0 if updates == 1 else 16)
        assert step <= planned(spec)
    assert planned(spec)["conditional", "old"] == 16


ALIGNMENT = 'probes = [{ use = "gradient_alignment", every = 2, samples = 5SETTINGS }]'


@pytest.mark.parametrize("settings", ["", ', batch = "off"', ', prefix = "Q"'])
@pytest.mark.parametrize("updates", [1, 2])
def test_so_do_the_steps_that_a_probe_of_gradients_measures(
    tmp_path: Path, session: Session, settings: str, updates: int
) -> None:
    """Every second step; the probe's own gradients are counted apart from the update's."""
    spec = compiled(tmp_path, '"grpo"', updates=updates, tail=ALIGNMENT.replace("SETTINGS", settings))
    probes = spec.graph.phases[0].probes
    steps = counted(tmp_path, session, spec, rewards=(Named("ranked", Ranked()),), probes=probes)
    assert steps == [run(spec, measured=False), run(spec)]
    assert steps[1]["marginal", "gradient"] == (5 if "batch" in settings else 5 + 16)
    assert steps[1]["conditional", "watch"] == 2 * 5


class Halves(AroundUpdate):
    """The gradient of whatever the phase trains, on half of a step's samples, with what it costs as the engine has it."""

    every: int = 1

    def needs(self, objective: Objective, num_samples: int) -> tuple[ProbeNeed, ...]:
        return gradient_needs(objective, num_samples // 2)

    def after(self, site: ProbeSite, state: object) -> Mapping[str, float]:
        return {"norm": site.gradient(site.objective, range(len(site.step.samples) // 2)).norm()}


@pytest.mark.parametrize(
    "objective",
    ['"grpo"', '{ use = "marginal_pg", importance = "truncate" }', '{ use = "weighted_sum", terms = ["grpo", "kl"] }'],
)
def test_what_a_gradient_costs_is_what_gradient_needs_says(tmp_path: Path, session: Session, objective: str) -> None:
    """Vectors without gradient go under their own name: for a probe the forwards of the step are there twice."""
    spec = compiled(tmp_path, objective)
    probe = Halves()
    steps = counted(tmp_path, session, spec, rewards=(Named("ranked", Ranked()),), probes=(Named("halves", probe),))
    expected = run(spec)
    for forward in probe_forwards(probe.needs(spec.graph.phases[0].objective.component, 16), {}):
        expected[forward.view, forward.of] += forward.samples
    assert steps == [expected] * 2
    assert sum(n for (_, of), n in expected.items() if of == "gradient") == 8


def test_groups_that_a_filter_drops_are_never_run(tmp_path: Path, session: Session) -> None:
    filters = '[[filters]]\nuse = "mixed_groups"\nrefill_rounds = 1\n'
    spec = compiled(tmp_path, PRUNING, more=filters)
    assert counted(tmp_path, session, spec) == [Counter()] * 2
    assert planned(spec)["marginal", "policy"] == 16

"""What a component remembers over steps: seen by its credit, folded once a step, in the checkpoint, bit for bit after a stop.

The components are those of docs/state.md.
"""

import json
import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import torch
from prerl_components.objectives.policy_gradient import PolicyGradient
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.token_losses.entropy import Entropy
from prerl_components.objectives.weighted_sum import WeightedSum
from pydantic import Field, SerializeAsAny

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.graph import Graph
from prerl_spec.compiler.past_runs.run_folder import choose_run_folder, hold_run_folder
from prerl_spec.engine.author_faults import blames
from prerl_spec.engine.inspect.replay import replay
from prerl_spec.engine.inspect.replay_credit import replay_credit
from prerl_spec.engine.record.run_inputs import write_given
from prerl_spec.engine.run.position import Position
from prerl_spec.engine.run.run import run
from prerl_spec.errors import AuthorFault, Interrupted, RunFailed, UsageError
from prerl_spec.needs import states_below
from prerl_spec.registry.component_state import (
    first_batch,
    from_json,
    initial_states,
    states_after,
    states_of_parts,
    to_json,
)
from prerl_spec.registry.kinds.stateful import Stateful
from prerl_spec.registry.plugin_contract import PluginFault, check_declared_types
from prerl_spec.sdk import Advantage, Batch, Component, Slot, State
from prerl_spec.testing.laws import check_objective
from prerl_spec.testing.laws.advantage import check_advantage
from prerl_spec.testing.laws.schedule import made_record
from prerl_spec.testing.steps import made_step
from tests.engine.forked_ranks import launch
from tests.engine.runs import SPEC, Heard, steps_of, weights_at
from tests.engine.steps import make_trainer, random_step, tiny_policy

PAGE = (Path(__file__).parents[2] / "docs" / "state.md").read_text(encoding="utf-8")
CODE = "\n\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
THERE: dict[str, Any] = {"__name__": "docs.state"}
exec(compile(CODE, "docs/state.md", "exec"), THERE)
MovingBaseline, AdaptiveEntropy = THERE["MovingBaseline"], THERE["AdaptiveEntropy"]

STEP = made_step([[1.0, 0.0, 0.5], [1.0, 1.0, 0.0]])
NOTHING: Any = lambda needs: dict.fromkeys(needs)  # noqa: E731


def baseline(**settings: Any) -> Any:
    return PolicyGradient(advantage=MovingBaseline(**settings))


def both() -> Any:
    """A sum in a sum; the `auto` term reaches the engine as a copy."""
    return WeightedSum(
        terms=(Entropy(), WeightedSum(terms=(AdaptiveEntropy(start=0.25), baseline())), Grpo(), AdaptiveEntropy())
    )


def test_states_lie_under_the_path_of_their_component() -> None:
    states = initial_states(both())
    assert states == {
        "objective.terms[1].terms[0]": {"coefficient": 0.25},
        "objective.terms[1].terms[1].advantage": {"total": 0.0, "weight": 0.0},
        "objective.terms[3]": {"coefficient": 0.005},
    }
    baseline_state, bonus, other = ({"total": 0.0, "weight": 0.0}, {"coefficient": 0.25}, {"coefficient": 0.005})
    assert states_of_parts(both(), states) == [{}, {"": bonus}, {"advantage": baseline_state}, {}, {"": other}]
    assert initial_states(Grpo()) == {}
    assert initial_states(AdaptiveEntropy()) == {"objective": {"coefficient": 0.005}}
    assert isinstance(MovingBaseline(), Stateful)


def test_a_step_folds_every_state_once_with_its_own_batch() -> None:
    objective = both()
    after = states_after(objective, STEP, NOTHING, made_record(1, entropy=0.1), initial_states(objective))
    assert after["objective.terms[1].terms[0]"] == {"coefficient": 0.255}
    assert after["objective.terms[1].terms[1].advantage"] == pytest.approx({"total": 0.1 * 3.5 / 6, "weight": 0.1})
    again = states_after(objective, STEP, NOTHING, made_record(2, entropy=9.0), after)
    assert again["objective.terms[3]"]["coefficient"] == pytest.approx(0.005)
    assert again["objective.terms[1].terms[1].advantage"]["weight"] == pytest.approx(0.19)


def test_a_credit_sees_the_state_of_its_own_component() -> None:
    step, policy = random_step(4, 4), tiny_policy()
    objective = baseline()
    trainer = make_trainer(policy, objective)
    first = trainer.train(step)
    by_hand = make_trainer(tiny_policy(), objective)
    zero = by_hand.train(step, {"objective.advantage": {"total": 0.0, "weight": 0.0}})
    half = make_trainer(tiny_policy(), objective).train(step, {"objective.advantage": {"total": 0.25, "weight": 0.5}})
    assert first.credit == zero.credit != half.credit
    part = objective.advantage
    seen = first_batch(part, step, NOTHING)
    np.testing.assert_array_equal(part.advantage(seen), step.reward_S)


def test_the_examples_obey_the_laws() -> None:
    check_advantage(MovingBaseline(decay=0.5))
    check_objective(baseline(decay=0.5))
    check_objective(AdaptiveEntropy())
    check_objective(both())


class Forgetful(AdaptiveEntropy):  # type: ignore[misc, valid-type]
    """Changes the state that it is given."""

    def after(self, batch: Any, record: Any, state: Any) -> Any:
        state["coefficient"] += 1.0
        return dict(state)


class Counting(AdaptiveEntropy):  # type: ignore[misc, valid-type]
    """Another state whenever it is asked."""

    def after(self, batch: Any, record: Any, state: Any) -> Any:
        CALLS.append(1)
        return {"coefficient": float(len(CALLS))}


CALLS: list[int] = []


@pytest.mark.parametrize(("broken", "words"), [(Forgetful, "modifies the state"), (Counting, "must be pure")])
def test_a_fold_that_is_not_pure_breaks_the_law(broken: Any, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_objective(broken())


class Says(AdaptiveEntropy):  # type: ignore[misc, valid-type]
    """Returns what a test wants to see refused."""

    def after(self, batch: Any, record: Any, state: Any) -> Any:
        return SAID[0]


SAID: list[Any] = [None]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"coefficient": float("nan")}, "returns 'coefficient' = nan"),
        ({"pool": (1.0, float("inf"))}, r"returns 'pool' = \(1.0, inf\)"),
        ({"pool": [1.0]}, r"returns 'pool' = \[1.0\]"),
        ({"word": "high"}, "returns 'word' = 'high'"),
        ({"flag": True}, "returns 'flag' = True"),
        ({1: 1.0}, "returns 1 = 1.0"),
        (None, "returns None"),
    ],
)
def test_a_state_of_anything_but_finite_numbers_names_its_component(said: Any, words: str) -> None:
    objective = WeightedSum(terms=(Grpo(), Says()))
    SAID[0] = said
    with pytest.raises(RunFailed, match=rf"Says\.after\(\) at objective\.terms\[1\] {words}: a state holds"):
        states_after(objective, STEP, NOTHING, made_record(1), initial_states(objective))  # type: ignore[arg-type]


def test_numbers_of_numpy_and_tuples_are_kept_as_floats() -> None:
    SAID[0] = {"a": np.float32(0.5), "b": np.int64(2), "pool": (1, 2.5)}
    (after,) = states_after(Says(), STEP, NOTHING, made_record(1), initial_states(Says())).values()
    assert after == {"a": 0.5, "b": 2.0, "pool": (1.0, 2.5)}
    assert {type(after["a"]), type(after["b"])} == {float}
    assert from_json(json.loads(json.dumps(to_json({"objective": after})))) == {"objective": after}


def test_an_error_of_a_fold_and_of_a_beginning_is_the_authors() -> None:
    with pytest.raises(AuthorFault, match=r"the objective `AdaptiveEntropy` failed in .*after.*: KeyError: 'entropy'"):
        states_after(
            AdaptiveEntropy(), STEP, NOTHING, made_record(1), initial_states(AdaptiveEntropy()), calling=blames
        )

    class Broken(AdaptiveEntropy):  # type: ignore[misc, valid-type]
        def initial(self) -> Any:
            return {"coefficient": float("inf")}

    with pytest.raises(PluginFault) as fault:
        check_declared_types(Broken(), "acme.broken", "acme")
    assert "Broken.initial() at objective returns 'coefficient' = inf" in str(fault.value.help)


def test_a_position_of_an_earlier_version_has_no_states() -> None:
    at = Position(step=3, components={"objective": {"pool": (1.0, 2.0), "mean": 0.1}})
    stored = json.loads(json.dumps(at.to_json()))
    assert Position.from_json(stored) == at
    del stored["components"]
    assert Position.from_json(stored).components is None
    assert at.next_phase(carry_lr=False, restart_data=False).components is None


LENGTH = '''
from prerl_spec.sdk import Component


class Length(Component):
    """Something to earn for a model that has not learned anything."""

    kind = "reward"

    def reward(self, attempt, group):
        return len(attempt.tokens) / 8
'''
HEAD = SPEC[: SPEC.index("[[phases]]")].replace("keep = 2", "keep = 9")
PHASE = """
[[phases]]
id = "{name}"
rewards = ["local.length"]
prompts_per_step = 4
updates_per_batch = 2
schedule = {{ use = "fixed_steps", steps = {steps} }}
[phases.objective]
use = "weighted_sum"
terms = [{{ use = "policy_gradient", advantage = {{ use = "local.moving_baseline", decay = 0.7 }} }}, \
{{ use = "local.adaptive_entropy", target = 1.8, delta = 0.01 }}]
"""
TWO_PHASES = (
    HEAD + '[plugins]\nfiles = ["state.py"]\n' + PHASE.format(name="one", steps=4) + PHASE.format(name="two", steps=1)
)


def compiled(folder: Path) -> Graph:
    folder.mkdir(exist_ok=True)
    (folder / "state.py").write_text(CODE + LENGTH)
    (folder / "spec.toml").write_text(TWO_PHASES)
    return compile_spec(folder / "spec.toml", local_code=True).graph


def start(folder: Path, listener: Heard | None = None) -> Path:
    graph = compiled(folder)
    taken, _ = choose_run_folder(folder / "runs", graph.run.name, graph.digest)
    with hold_run_folder(taken):
        write_given(taken, graph)
        return run(graph, taken, listener or Heard())


def components_at(folder: Path, step: int) -> Any:
    return json.loads((folder / "checkpoints" / f"step-{step:06d}" / "trainer" / "state.json").read_text())[
        "components"
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return start(tmp_path_factory.mktemp("whole"))


def test_a_run_keeps_the_states_in_its_checkpoints(whole: Path) -> None:
    events = steps_of(whole)
    total = weight = 0.0
    coefficient = 0.005
    for event in events[:4]:
        total, weight = 0.7 * total + 0.3 * event["metrics"]["reward_mean"], 0.7 * weight + 0.3
        coefficient = max(0.0, coefficient + (0.01 if event["metrics"]["entropy"] < 1.8 else -0.01))
    kept = components_at(whole, 4)
    assert kept["objective.terms[0].advantage"] == pytest.approx({"total": total, "weight": weight})
    assert kept["objective.terms[1]"] == pytest.approx({"coefficient": coefficient})
    assert total > 0
    # The next phase begins anew.
    begun = components_at(whole, 5)["objective.terms[0].advantage"]
    assert begun == pytest.approx({"total": 0.3 * events[4]["metrics"]["reward_mean"], "weight": 0.3})


@pytest.mark.parametrize("after", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_stopped_run_goes_on_with_the_same_states_bit_for_bit(whole: Path, tmp_path: Path, after: int) -> None:
    def interrupt(event: Mapping[str, Any]) -> None:
        if event["event"] == "step" and event["global_step"] == after:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        start(tmp_path, Heard(interrupt))
    again = start(tmp_path)
    for step in (4, 5):
        assert components_at(again, step) == components_at(whole, step)
        assert all(torch.equal(weights_at(again, step)[n], t) for n, t in weights_at(whole, step).items())


def test_a_replay_from_a_checkpoint_recomputes_the_credit_of_the_state(whole: Path) -> None:
    graph = compiled(whole.parents[1])
    found = replay(graph, whole, 4, Heard())
    assert (found.start, found.is_equal, len(found.steps)) == ("step-000002", True, 2)
    with pytest.raises(UsageError, match="depends on what a component remembers"):
        replay_credit(graph, whole, 4)


def test_the_specs_of_the_page_are_valid(tmp_path: Path) -> None:
    (tmp_path / "state.py").write_text(CODE)
    head = HEAD + '[plugins]\nfiles = ["state.py"]\n[[phases]]\nid = "only"\nprompts_per_step = 4\n'
    for block in BLOCKS:
        (tmp_path / "spec.toml").write_text(head + 'schedule = { use = "fixed_steps", steps = 1 }\n' + block)
        compile_spec(tmp_path / "spec.toml", local_code=True)


@pytest.mark.slow
def test_two_processes_keep_the_states_and_the_teacher_of_one(tmp_path: Path) -> None:
    text = TWO_PHASES.replace("spec = 1\n", 'spec = 1\ndistributed = { determinism = "invariant" }\n')
    model = HEAD[HEAD.index("[model.config]") : HEAD.index("[data]")].replace("[model.config]\n", "")
    config = ", ".join(line for line in model.splitlines() if line)
    taught = f'{{ use = "distill", teacher = {{ use = "from_scratch", tokenizer = "data:corpus", config = {{ {config} }} }} }}'
    text = text.replace("delta = 0.01 }]", f"delta = 0.01 }}, {taught}]")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.py").write_text(CODE + LENGTH)
        (tmp_path / name / "spec.toml").write_text(text)
        command = ("prerl_spec", "run", "spec.toml", "--local-code")
        launch(*command, cwd=tmp_path / name, processes=1 if name == "one" else 2)
    one, two = (tmp_path / name / "runs" / "small" for name in ("one", "two"))
    assert components_at(one, 5) == components_at(two, 5)
    assert steps_of(one)[3]["metrics"]["teacher_kl"] != 0
    assert all(torch.equal(weights_at(two, 5)[n], t) for n, t in weights_at(one, 5).items())


class Scaled(Advantage):
    """Another advantage, times a number that falls with every step: a component with a state in a slot of one."""

    of: Annotated[SerializeAsAny[Component], Slot("advantage")] = Field(description="the advantage to scale")

    def advantage(self, batch: Batch) -> Any:
        factor = batch.state["factor"]
        return factor * self.of.advantage(batch.of_part("of", frozenset()))  # type: ignore[attr-defined]

    def initial(self) -> State:
        return {"factor": 1.0}

    def after(self, batch: Batch, record: Any, state: State) -> State:
        return {"factor": state["factor"] / 2}  # type: ignore[operator]


def test_an_advantage_in_a_slot_of_an_advantage_sees_its_own_state() -> None:
    objective = PolicyGradient(advantage=Scaled(of=Scaled(of=MovingBaseline(decay=0.5))))
    states = initial_states(objective)
    assert list(states) == ["objective.advantage", "objective.advantage.of", "objective.advantage.of.of"]
    second = states_after(objective, STEP, NOTHING, made_record(1), states)
    (inner,) = states_of_parts(objective, second)
    (credit,) = objective.credits(Batch(STEP, {}, inner.get("", {}), inner), [STEP])
    # The mean of the first step's rewards is 3.5/6, and each factor is now 1/2.
    np.testing.assert_allclose(
        credit.advantage_N, 0.25 * (STEP.reward_S - 3.5 / 6)[STEP.tokens.sample_N], rtol=1e-14, atol=1e-15
    )


def test_the_second_selection_is_not_taken_for_the_eleventh() -> None:
    one, eleven, inner = {"x": 1.0}, {"x": 11.0}, {"x": 0.5}
    states = {"selection[1]": one, "selection[10]": eleven, "selection[1].of": inner, "selection[10].of": eleven}
    assert states_below(states, "selection[1]") == {"": one, "of": inner}
    assert states_below({"of": one, "often": eleven}, "of") == {"": one}
    assert states_below(states, "") == states

"""Every accepted setting is consumed: at a second legal value, plan or behaviour is another."""

from importlib import metadata
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import datasets
import pytest
from prerl_components.data.hf_dataset import HfDataset
from prerl_components.models import hub_access, loading
from prerl_components.models.hf_causal import HfCausal

from prerl_spec.compiler.compile import check_spec
from prerl_spec.compiler.hardware import Hardware
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.planner import make_plan
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.registry.kinds.model import ModelSite
from prerl_spec.sdk import Advantage, Array, Batch
from prerl_spec.testing.steps import made_step
from tests.compiler.specs import bent, written
from tests.engine.runs import SPEC, start, steps_of
from tests.settings.behaviour import OBSERVERS, write_tables
from tests.settings.guessed_values import found_by_trying
from tests.settings.only import Only
from tests.settings.second_values import (
    DERIVED,
    SEEN_BY_THE_HUB,
    SEEN_IN_A_RUN,
    SEEN_IN_BEHAVIOUR,
    SEEN_IN_THE_PLAN,
    SEEN_WITH_VLLM,
)

GROUP = "prerl_spec."
SCORED = made_step([[1.0, 0.0], [0.0, 0.0]])
BUILT_INS: dict[tuple[str, str], Any] = {
    (entry.group.removeprefix(GROUP), entry.name): entry.load()
    for entry in metadata.distribution("prerl-spec").entry_points
    if entry.group.startswith(GROUP)
}
SETTINGS = {(kind, use, setting) for (kind, use), found in BUILT_INS.items() for setting in found.model_fields}
SEEN_ELSEWHERE = {*SEEN_IN_THE_PLAN, *SEEN_IN_A_RUN, *SEEN_BY_THE_HUB}
ONE_CHOICE = {
    (kind, use, setting)
    for kind, use, setting in SETTINGS
    if get_origin(annotation := BUILT_INS[kind, use].model_fields[setting].annotation) is Literal
    and len(get_args(annotation)) == 1
}
"""A closed choice of one word has no second value."""
OBSERVED = sorted(s for s in SETTINGS - SEEN_ELSEWHERE - ONE_CHOICE if s[:2] not in SEEN_WITH_VLLM)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("settings")
    write_tables(made)
    return made


_SEEN: dict[str, Any] = {}


def behaviour(kind: str, component: Any, folder: Path) -> Any:
    """What the component does; observed once."""
    key = f"{kind} {component!r}"
    if key not in _SEEN:
        _SEEN[key] = OBSERVERS[kind](component, folder)
    return _SEEN[key]


@pytest.mark.parametrize(("kind", "use", "setting"), OBSERVED)
def test_a_second_value_of_a_setting_makes_a_difference(kind: str, use: str, setting: str, folder: Path) -> None:
    if use == "wandb":
        pytest.importorskip("wandb")
    cls = BUILT_INS[kind, use]
    if (kind, use) not in SEEN_IN_BEHAVIOUR:
        assert found_by_trying(cls, setting, lambda component: behaviour(kind, component, folder)) is not None
        return
    base, second = SEEN_IN_BEHAVIOUR[kind, use]
    value = second[setting]
    if isinstance(value, Only):
        base, value = {**base, **value.beside}, value.value
    first, other = cls.model_validate(base), cls.model_validate({**base, setting: value})
    assert behaviour(kind, other, folder) != behaviour(kind, first, folder)


def test_a_setting_that_is_never_read_is_found() -> None:
    class Deaf(Advantage):
        heard: float = 1.0
        ignored: float = 1.0

        def advantage(self, batch: Batch) -> Array:
            return batch.step.reward_S * self.heard

    def observe(component: Any) -> Any:
        return component.advantage(Batch(SCORED)).tolist()

    assert found_by_trying(Deaf, "heard", observe) is not None
    assert found_by_trying(Deaf, "ignored", observe) is None


def test_the_lists_name_nothing_that_is_not_there() -> None:
    assert SEEN_ELSEWHERE <= SETTINGS
    assert {("objective", "grpo", "advantage"), ("probe", "thoughts", "rules")} <= ONE_CHOICE
    derived = {(kind, use) for kind, use in BUILT_INS if kind in DERIVED}
    assert BUILT_INS.keys() == SEEN_IN_BEHAVIOUR.keys() | SEEN_WITH_VLLM | derived
    for name, (_, second) in SEEN_IN_BEHAVIOUR.items():
        assert second.keys() == {s[2] for s in OBSERVED if s[:2] == name}, name


def arithmetic(plan: Plan) -> Any:
    """What the plan works out, without what it repeats."""
    numbers = [(p.attempts_per_step, p.steps, p.sampled_tokens_at_most, p.carry_optimizer) for p in plan.phases]
    return numbers, [(e.rounds, e.tokens_at_most) for e in plan.evaluators]


@pytest.mark.parametrize(("setting", "change"), SEEN_IN_THE_PLAN.items())
def test_the_plan_counts_otherwise(tmp_path: Path, setting: tuple[str, str, str], change: tuple[str, str]) -> None:
    def planned(*changes: tuple[str, str]) -> Any:
        resolved, _ = check_spec(written(tmp_path, bent(*changes)))
        return arithmetic(make_plan(resolved, Hardware(2, 16 << 30)))

    old, new = change
    shortest = new[: new.rindex("\n")] if setting[1] == "lm_eval" else old
    assert setting[2] in new
    assert planned(change) != planned((old, shortest))


HEAD = SPEC[: SPEC.index("[[phases]]")].replace('lr = 1e-3, weight_decay = 0.1', 'lr = 1e-3, warmup_steps = 5')  # fmt: skip
PHASE = """
[[phases]]
id = "{name}"
data = "corpus"
documents_per_step = 4
objective = "next_token"
schedule = {schedule}
"""


def inherited(folder: Path, schedule: str, more: str = "") -> list[Any]:
    folder.mkdir()
    last = '{ use = "fixed_steps", steps = 1 }'
    first = schedule.replace(" }", f"{more} }}")
    run = start(folder, HEAD + PHASE.format(name="one", schedule=first) + PHASE.format(name="two", schedule=last))
    events = steps_of(run)
    assert len(events) == 3
    return [events[-1]["metrics"][name] for name in ("lr", "loss", "parameters_moved")] + [weights(run)]


def weights(run: Path) -> float:
    from tests.engine.runs import weights_at

    return float(sum(t.double().abs().sum() for t in weights_at(run, 3).values()))


SCHEDULE_OF_TWO_STEPS = {
    "fixed_steps": '{ use = "fixed_steps", steps = 2 }',
    "reincarnate_after": '{ use = "reincarnate_after", steps = 2 }',
    "until_plateau": '{ use = "until_plateau", metric = "loss", patience = 2, steps = 2 }',
}


def test_what_the_next_phase_inherits(tmp_path: Path) -> None:
    """Moments, the learning rate's steps and the data position; the reference is tested in tests/engine."""
    whole = inherited(tmp_path / "whole", SCHEDULE_OF_TWO_STEPS["fixed_steps"])
    for number, more in enumerate((', optimizer = "reset"', ', lr_schedule = "carry"', ', data = "restart"')):
        assert inherited(tmp_path / str(number), SCHEDULE_OF_TWO_STEPS["fixed_steps"], more) != whole, more


def test_every_schedule_hands_over_alike() -> None:
    """The engine reads four settings of whatever schedule it has: all three declare them in one place."""
    owners = {BUILT_INS["schedule", use].__mro__[1] for use in SCHEDULE_OF_TWO_STEPS}
    assert [sorted(owner.__annotations__.keys() - {"kind"}) for owner in owners] == [
        ["data", "lr_schedule", "optimizer", "reference"]
    ]


MEASURED = {
    "entropy": "surprisal_wrong",
    "gradient_alignment": "gradient_alignment_cosine",
    "pass_at_k": "pass_at_1",
    "response_length": "response_length_mean",
    "reward_by_length": "reward_by_length_1",
    "solved": "solved_none",
    "thoughts": "thoughts_execution",
}
"""Probe -> one of its metrics, in any run."""


def test_probes_measure_every_so_many_steps(tmp_path: Path) -> None:
    every = {use: 2 + number % 2 for number, use in enumerate(MEASURED)}
    assert set(MEASURED) == {use for kind, use in BUILT_INS if kind == "probe"}
    probes = ", ".join(f'{{ use = "{use}", every = {steps} }}' for use, steps in every.items())
    phase = SPEC[SPEC.index('[[phases]]\nid = "prune"') : SPEC.index('[[phases]]\nid = "refine"')]
    head = SPEC[: SPEC.index("[[phases]]")]
    run = start(tmp_path, head + phase.replace('id = "prune"', f'id = "prune"\nprobes = [{probes}]'))
    for use, metric in MEASURED.items():
        assert [e["step"] for e in steps_of(run) if metric in e["metrics"]] == [every[use]], use


def test_the_questions_of_documents_are_measured_as_well(tmp_path: Path) -> None:
    write_tables(tmp_path)
    table = (
        f'use = "jsonl", path = "{tmp_path / "rows.jsonl"}", document = "text", max_prompt_tokens = 20, chat = "off"'
    )
    phase = PHASE.format(name="one", schedule='{ use = "fixed_steps", steps = 1 }').replace('"corpus"', '"table"')
    text = HEAD.replace("[data]", f"[data]\ntable = {{ {table} }}") + phase
    with pytest.raises(EnvironmentUnmet, match=r"1 questions are longer than 20 tokens"):
        start(tmp_path, text)


def test_the_hub_is_asked_for_revisions_and_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, Any] = {}

    def note(*names: Any, **given: Any) -> Any:
        asked.update(given)
        raise OSError("noted")

    monkeypatch.setattr(hub_access, "hub_answers", lambda: False)
    monkeypatch.setattr(datasets, "load_dataset", note)
    monkeypatch.setattr(loading.AUTO_MODEL, "from_pretrained", note)
    with pytest.raises(EnvironmentUnmet):
        HfDataset(path="nobody/rows", revision="v2").open("train")
    assert asked["revision"] == "v2"
    commit = "0123456789abcdef0123456789abcdef01234567"
    site = ModelSite(seed=0, device="cpu", tokenizer_folder=lambda name: tmp_path)
    with pytest.raises(EnvironmentUnmet):
        HfCausal(name="nobody/model", revision="v3", remote_code=commit).build(site)
    assert (asked["revision"], asked["code_revision"], asked["trust_remote_code"]) == ("v3", commit, True)

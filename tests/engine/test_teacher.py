"""A teacher: a second model of the spec, loaded beside the policy, which scores the policy's own tokens and never moves."""

import json
import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from prerl_components.models.hf_causal import HfCausal
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.token_losses.distill import Distill
from prerl_components.objectives.weighted_sum import WeightedSum
from prerl_components.optimizers.adamw import Adamw

from prerl_spec.compiler.estimates.step_counts import forwards
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.teachers import Teachers, open_teachers, refuse_other_teachers
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.token_terms import token_terms
from prerl_spec.errors import Drift, EnvironmentUnmet, Interrupted
from prerl_spec.needs import Teacher
from prerl_spec.registry.kinds.model import LoadedModel, ModelSite
from prerl_spec.testing.tiny import save_tiny
from prerl_spec.types import Step
from tests.engine.runs import SPEC, Heard, start, steps_of, weights_at
from tests.engine.steps import gradient_of, make_trainer, random_step, tiny_policy
from tests.once import made_once


class MixedPrecision(HfCausal):
    """Weights in float32 that compute in bfloat16, as on a GPU."""

    def build(self, site: ModelSite) -> LoadedModel:
        return replace(super().build(site), compute_dtype=torch.bfloat16)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two teachers, one of them of another family, the policy's own twin, and a model whose `a` and `b` are swapped."""
    folder = tmp_path_factory.mktemp("models")
    save_tiny(folder / "one", seed=1)
    save_tiny(folder / "two", "gpt2", seed=2)
    save_tiny(folder / "twin", seed=0)
    file = save_tiny(folder / "foreign", seed=3) / "tokenizer.json"
    swapped = json.loads(file.read_text())
    vocabulary = swapped["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    file.write_text(json.dumps(swapped))
    return folder


def opened(objective: Any, policy: Policy) -> Teachers:
    return open_teachers([objective], policy, Path, seed=0)


def distill(models: Path, name: str, **settings: Any) -> Distill:
    dtype = settings.pop("dtype", "float32")
    return Distill(teacher=HfCausal(name=str(models / name), dtype=dtype), **settings)


def module_of(models: Path, name: str) -> Any:
    opened_again = opened(distill(models, name), tiny_policy())
    (policy,) = opened_again.policies.values()
    return policy.module


def explicit_gradient(policy: Policy, step: Step, teachers: Mapping[Any, float]) -> torch.Tensor:
    """Of Σ c·mean over tokens of −(log π_T − log π)·log π, sample by sample, in the models' own forwards."""
    loss = torch.zeros(())
    for group in step.groups:
        for attempt in group.attempts:
            before, tokens = list(group.prompt.context), list(attempt.tokens)
            ids = torch.tensor([[*before, *tokens]])
            places = slice(len(before) - 1, len(before) + len(tokens) - 1)

            def scored(module: Any, ids: torch.Tensor = ids, at: slice = places, tokens: list[int] = tokens) -> Any:
                logits = module(input_ids=ids).logits[0, at] / step.temperature
                return logits.log_softmax(-1)[range(len(tokens)), tokens]

            logp = scored(policy.module)
            for teacher, coefficient in teachers.items():
                with torch.no_grad():
                    advantage = scored(teacher) - logp.detach()
                loss = loss - coefficient * (advantage * logp).sum() / step.tokens.num_tokens
    policy.module.zero_grad()
    loss.backward()
    return torch.cat([p.grad.reshape(-1) for _, p in policy.parameters() if p.grad is not None])


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_gradient_is_that_of_the_reverse_kl_on_the_sampled_tokens(models: Path, temperature: float) -> None:
    step = replace(random_step(3, 3, seed=4), temperature=temperature)
    objective = WeightedSum(terms=(distill(models, "one", coefficient=0.5), distill(models, "two")))
    policy = tiny_policy()
    ours = gradient_of(make_trainer(policy, objective, teachers=opened(objective, policy)), step)
    theirs = explicit_gradient(policy, step, {module_of(models, "one"): 0.5, module_of(models, "two"): 1.0})
    assert theirs.norm() > 1
    # float32 sums over rows of another length; a teacher's log-probs taken from the other one are off by 1e-1.
    torch.testing.assert_close(ours, theirs, atol=5e-5, rtol=1e-4)


def test_a_teacher_that_is_the_policy_teaches_exactly_nothing(models: Path) -> None:
    objective, policy = distill(models, "twin"), tiny_policy()
    trainer = make_trainer(policy, objective, teachers=opened(objective, policy))
    assert not gradient_of(trainer, random_step(4, 4)).any()
    trained = make_trainer(policy, objective, optimizer=Adamw(lr=1.0), teachers=opened(objective, policy)).train(
        random_step(4, 4)
    )
    assert (trained.loss, trained.updates[0].grad_norm, trained.updates[0].parameters_moved) == (0.0, 0.0, 0.0)


def test_every_term_reads_its_own_teacher_and_equal_teachers_are_loaded_once(models: Path) -> None:
    terms = (Grpo(), distill(models, "one"), distill(models, "two"), distill(models, "one", coefficient=0.5))
    objective, policy, step = WeightedSum(terms=terms), tiny_policy(), random_step(4, 4)
    teachers = opened(objective, policy)
    assert len(teachers.policies) == 2
    make_trainer(policy, objective, teachers=teachers).train(step)
    counted = dict(policy.forwards)
    planned = forwards(objective, samples=16, updates_per_batch=1, contexts={"conditional": 12}, probed=False)  # type: ignore[arg-type]
    assert counted == {(f.view, f.of): f.samples for f in planned}
    assert sorted(f.of for f in planned) == ["policy", f"teacher {models}/one", f"teacher {models}/two"]
    parts = token_terms(objective, step, tiny_policy(), Ranks.start(), teachers=teachers)  # type: ignore[arg-type]
    assert (parts[1].term_N == parts[3].term_N).all()
    assert abs(parts[1].term_N - parts[2].term_N).max() > 0.1


def test_several_updates_correct_for_the_policy_that_sampled(models: Path) -> None:
    objective, policy, step = distill(models, "one"), tiny_policy(), random_step(4, 4)
    trainer = make_trainer(policy, objective, updates_per_batch=2, teachers=opened(objective, policy))
    trainer.train(step)
    assert dict(policy.forwards) == {("conditional", of): 16 for of in ("policy", "old", f"teacher {models}/one")}


def test_nothing_of_a_teacher_is_trained_and_it_computes_as_it_declares(models: Path) -> None:
    objective, policy = distill(models, "one", dtype="bfloat16"), tiny_policy()
    teachers = opened(objective, policy)
    teacher = teachers.of(Teacher.of(objective.teacher))
    before = {name: tensor.clone() for name, tensor in teacher.module.state_dict().items()}
    assert {t.dtype for t in before.values()} == {torch.bfloat16}
    assert teacher.parameters() == []
    assert teacher.loaded.compute_dtype == torch.bfloat16
    half = make_trainer(policy, objective, teachers=teachers).train(random_step(2, 4)).loss
    assert all(torch.equal(before[name], tensor) for name, tensor in teacher.module.state_dict().items())
    policy = tiny_policy()
    exact = distill(models, "one")
    full = make_trainer(policy, exact, teachers=opened(exact, policy)).train(random_step(2, 4)).loss
    assert half != full
    # Logits of size 5 with 8 bits are off by 2e-2 a token.
    assert half == pytest.approx(full, abs=0.02)


def test_a_teacher_of_another_vocabulary_is_refused_with_the_first_token_that_differs(models: Path) -> None:
    with pytest.raises(
        EnvironmentUnmet,
        match=r"the teacher .*foreign has another vocabulary .*: its token \d+ is 'b', not 'a'; 2 ids differ",
    ):
        opened(distill(models, "foreign"), tiny_policy())


def test_the_shortest_context_of_all_models_bounds_a_response(models: Path, tmp_path: Path) -> None:
    policy = tiny_policy()
    assert opened(distill(models, "one"), policy).max_length(policy.max_length) == 512
    assert opened(distill(models, "one"), policy).max_length(100) == 100
    assert Teachers().max_length(100) == 100


def test_a_teachers_branch_of_the_hub_that_has_moved_stops_a_resume() -> None:
    now = {"only.objective.teacher": {"name": "acme/big", "revision": "b" * 40}}
    refuse_other_teachers(now, now)
    refuse_other_teachers(now, {})
    with pytest.raises(Drift, match=r"the teacher acme/big at only\.objective\.teacher is at commit bbbbbbbbbbbb"):
        refuse_other_teachers(now, {"only.objective.teacher": {"name": "acme/big", "revision": "a" * 40}})


HEAD = SPEC[: SPEC.index("[[phases]]")].replace("every = 2", "every = 1")


def learning(folder: Path, steps: int = 4) -> str:
    """From a teacher with the run's tokenizer and other weights, beside a policy gradient."""
    return f"""{HEAD}
[[phases]]
id = "learn"
prompts_per_step = 4
updates_per_batch = 2
schedule = {{ use = "fixed_steps", steps = {steps} }}
[phases.objective]
use = "weighted_sum"
[[phases.objective.terms]]
use = "grpo"
[[phases.objective.terms]]
use = "distill"
teacher = {{ use = "hf_causal", name = "{folder}" }}
"""


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model with the tokenizer of arithmetic_chains that has read some of its corpus, and a run that learns from it."""
    longer = HEAD.replace("max_position_embeddings = 64", "max_position_embeddings = 128")
    reading = f"""{longer.replace('name = "small", seed = 3', 'name = "teacher", seed = 4')}
[[phases]]
id = "read"
data = "corpus"
documents_per_step = 16
objective = "next_token"
schedule = {{ use = "fixed_steps", steps = 30 }}
"""

    def make(place: Path) -> None:
        teacher = start(place / "teacher", reading) / "checkpoints" / "step-000030"
        student = start(place / "student", learning(teacher))
        (place / "made.json").write_text(json.dumps([str(teacher), str(student)]))

    teacher, student = json.loads((made_once(tmp_path_factory, "taught", make) / "made.json").read_text())
    return Path(teacher), Path(student)


def test_a_run_learns_from_its_teacher(taught: tuple[Path, Path]) -> None:
    teacher, run = taught
    assert all(event["metrics"]["grad_norm"] > 0 for event in steps_of(run))
    manifest = json.loads((run / "manifest.json").read_text())
    (source,) = manifest["teachers"].items()
    assert source[0] == "learn.objective.terms[1].teacher"
    assert source[1]["name"] == str(teacher)
    assert "model.safetensors" in manifest["local_files"][str(teacher)]
    saved = {file.name for file in (run / "checkpoints" / "step-000004" / "trainer").iterdir()}
    assert saved == {"optimizer.safetensors", "state.json"}


@pytest.mark.slow
def test_an_interrupted_run_goes_on_bit_for_bit_with_its_teacher(taught: tuple[Path, Path], tmp_path: Path) -> None:
    teacher, run = taught

    def interrupt(event: Mapping[str, Any]) -> None:
        if event["event"] == "step" and event["global_step"] == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        start(tmp_path, learning(teacher), Heard(interrupt))
    again = start(tmp_path, learning(teacher))
    assert all(torch.equal(weights_at(again, 4)[n], t) for n, t in weights_at(run, 4).items())


def test_a_run_refuses_a_teacher_of_another_vocabulary_before_it_samples(models: Path, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnmet, match="another vocabulary"):
        start(tmp_path, learning(models / "one"))
    assert not (tmp_path / "runs" / "small" / "journal").exists()


def test_a_teachers_matrices_are_kept_in_the_dtype_that_it_computes_in_and_its_norms_in_float32(models: Path) -> None:
    objective = Distill(teacher=MixedPrecision(name=str(models / "one"), dtype="float32"))
    (teacher,) = opened(objective, tiny_policy()).policies.values()
    kept = {(parameter.ndim > 1, parameter.dtype) for parameter in teacher.module.parameters()}
    assert kept == {(True, torch.bfloat16), (False, torch.float32)}

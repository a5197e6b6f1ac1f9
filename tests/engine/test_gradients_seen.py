"""A probe sees gradients that torch's own autograd agrees with, on any ranks, and changes nothing by looking."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.token_losses.kl import Kl
from prerl_components.objectives.weighted_sum import WeightedSum
from prerl_components.probes.gradient_alignment import GradientAlignment
from prerl_components.probes.likelihoods import LogLikelihood

from prerl_spec.compiler.graph import Named
from prerl_spec.engine.policy.parameter_layers import parameter_layers
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.reference import reference_of
from prerl_spec.engine.policy.rows import Arrangement
from prerl_spec.engine.policy.weights import weights_hash
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.gradient import Gradient
from prerl_spec.engine.training.trainer import Trainer
from prerl_spec.engine.training.watching import Site, Watching
from prerl_spec.errors import AuthorFault, RunFailed
from prerl_spec.needs import Batch, Credit, Need, State, Teacher
from prerl_spec.sdk import AroundUpdate, OnePartObjective, ProbeSite
from prerl_spec.testing.tiny import SHAPES, Shape, tiny_model
from prerl_spec.types import Step, StepRecord
from prerl_spec.views import Conditional, Marginal
from tests.engine.forked_ranks import forked_ranks
from tests.engine.probe_worker import everything
from tests.engine.runs import SPEC, start, steps_of
from tests.engine.steps import gradient_of, make_trainer, random_step, tiny_policy
from tests.once import made_once

STEP = random_step(3, 4, seed=2)
ROUNDING = 1e-6
"""Sums of float32 over packed rows, against one sample at a time."""


def site_of(objective: Any = None, *, policy: Policy | None = None, step: Step = STEP, **made: Any) -> Site:
    return Site(step, make_trainer(policy or tiny_policy(), objective or Grpo(), **made))


def flat(gradient: Any) -> torch.Tensor:
    assert isinstance(gradient, Gradient)
    return torch.cat([t.reshape(-1) for t in gradient._tensors])


def own_logp(policy: Policy, step: Step, sample: int, view: Any) -> torch.Tensor:
    """log π of a sample's tokens from the model's own logits, one row, with gradient."""
    attempt, prompt = step.samples[sample], step.groups[int(step.group_S[sample])].prompt
    context, tokens = view.lay(prompt, attempt, policy.codec).context, list(attempt.tokens)
    logits = policy.module(input_ids=torch.tensor([[*context, *tokens]])).logits[0, len(context) - 1 : -1]
    logp: torch.Tensor = logits.log_softmax(-1).gather(-1, torch.tensor(tokens)[:, None]).squeeze(-1)
    return logp


def autograd(policy: Policy, loss: torch.Tensor) -> torch.Tensor:
    found = torch.autograd.grad(loss, [p for _, p in policy.parameters()], allow_unused=True)
    return torch.cat(
        [
            (torch.zeros_like(p) if g is None else g).reshape(-1)
            for g, (_, p) in zip(found, policy.parameters(), strict=True)
        ]
    )


@pytest.mark.parametrize("length", ["mean", "sum"])
@pytest.mark.parametrize("view", [Conditional(), Marginal()], ids=lambda v: v.name)
def test_the_gradient_of_a_responses_log_likelihood_is_autograds(view: Any, length: Any) -> None:
    site, sample = site_of(), int(np.argmax(STEP.tokens.length_S))
    policy = site.trainer.policy
    logp = own_logp(policy, STEP, sample, view)
    expected = autograd(policy, logp.mean() if length == "mean" else logp.sum())
    found = flat(site.gradient(LogLikelihood(view=view, length=length), [sample]))
    assert expected.norm() > 1
    torch.testing.assert_close(found, expected, atol=ROUNDING * float(expected.norm()), rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_packing_and_no_family_changes_the_gradient(shape: Shape) -> None:
    """Any arrangement of rows, and one pass for all: against the model's own logits."""
    chosen, objective = [0, 3, 4, 9], LogLikelihood(view=Marginal(), length="sum")
    policy = tiny_policy(shape)
    expected = autograd(policy, torch.stack([own_logp(policy, STEP, s, Marginal()).sum() for s in chosen]).sum())
    settings: list[tuple[int, Arrangement]] = [(40, "flat"), (4096, "flat"), (4096, "padded"), (4096, "alone")]
    for tokens_per_pass, arrangement in settings:
        policy.arrangement = arrangement
        found = flat(site_of(policy=policy, tokens_per_pass=tokens_per_pass).gradient(objective, chosen))
        torch.testing.assert_close(found, expected, atol=ROUNDING * float(expected.norm()), rtol=0)


def test_the_gradient_of_an_objective_on_some_samples_has_the_weights_of_the_whole_step() -> None:
    """GRPO, by hand: −A log π with A = (r − mean)/(std + 1e-6) of the whole group, over S·T of the whole step."""
    site, chosen = site_of(), [0, 5, 6, 11]
    policy = site.trainer.policy
    loss = torch.zeros(())
    for sample in chosen:
        rewards = STEP.reward_S[STEP.group_S == STEP.group_S[sample]]
        advantage = (STEP.reward_S[sample] - rewards.mean()) / (rewards.std(ddof=1) + 1e-6)
        logp = own_logp(policy, STEP, sample, Conditional())
        loss = loss - float(advantage) * logp.mean() / len(STEP.samples)
    expected = autograd(policy, loss)
    found = flat(site.gradient(Grpo(), chosen))
    assert expected.norm() > 0.1
    torch.testing.assert_close(found, expected, atol=ROUNDING, rtol=0)


def test_the_gradient_of_the_phases_objective_is_the_updates_own_to_the_bit() -> None:
    site = site_of()
    assert torch.equal(flat(site.gradient(site.objective)), gradient_of(site.trainer, STEP))


def test_the_gradients_of_parts_of_a_step_sum_to_that_of_the_whole() -> None:
    policy = tiny_policy()
    objective = WeightedSum(terms=(Grpo(), Kl(coefficient=0.5)))
    reference = reference_of(policy)
    with torch.no_grad():
        for _, parameter in policy.parameters():
            parameter.add_(0.01)
    site = site_of(objective, policy=policy, reference=reference)
    parts = sum(flat(site.gradient(objective, part)) for part in ([0, 1, 2], range(3, 7), range(7, 12)))
    torch.testing.assert_close(parts, flat(site.gradient(objective)), atol=ROUNDING, rtol=0)


def test_the_inner_products_of_layers_sum_to_the_whole() -> None:
    site = site_of()
    given, free = (site.gradient(LogLikelihood(view=view), [0]) for view in (Conditional(), Marginal()))
    dots = given.dots(free)
    assert list(dots) == ["embeddings", "layer_0", "layer_1", "head"]
    expected = float(flat(given).double() @ flat(free).double())
    assert given.dot(free) == pytest.approx(sum(dots.values()), rel=1e-12)
    assert given.dot(free) == pytest.approx(expected, rel=1e-5)
    assert given.norm() == pytest.approx(float(flat(given).double().norm()), rel=1e-5)
    names = [name for name, _ in site.trainer.policy.parameters()]
    layer_0 = torch.cat([t.reshape(-1) for n, t in zip(names, given._tensors, strict=True) if ".layers.0." in n])  # type: ignore[attr-defined]
    other_0 = torch.cat([t.reshape(-1) for n, t in zip(names, free._tensors, strict=True) if ".layers.0." in n])  # type: ignore[attr-defined]
    assert dots["layer_0"] == pytest.approx(float(layer_0.double() @ other_0.double()), rel=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_family_has_embeddings_two_layers_and_a_head(shape: Shape) -> None:
    layers = parameter_layers(tiny_model(shape))
    assert set(layers.values()) == {"embeddings", "layer_0", "layer_1", "head"}
    for name, layer in layers.items():
        assert ("embed" in name or "wte" in name or "wpe" in name) == (layer == "embeddings"), name
        assert (".0." in name) == (layer == "layer_0"), name


def test_log_probs_are_those_of_the_weights_as_they_are_and_nan_elsewhere() -> None:
    site, chosen = site_of(), [1, 4]
    policy = site.trainer.policy
    before = site.log_probs(Need(Marginal()), chosen)
    seen_N = np.isin(STEP.tokens.sample_N, chosen)
    with torch.no_grad():
        expected = torch.cat([own_logp(policy, STEP, s, Marginal()) for s in chosen]).numpy()
    np.testing.assert_allclose(before[seen_N], expected, atol=2e-5)
    assert np.isnan(before[~seen_N]).all()
    site.trainer.train(STEP)
    assert not np.allclose(site.log_probs(Need(Marginal()), chosen)[seen_N], before[seen_N], atol=1e-4)
    assert (site.log_probs(Need(Conditional(), "sampler"), chosen)[seen_N] == -1.0).all()


TEACHER = Teacher("0123456789abcdef", "absent")


@pytest.mark.parametrize(
    ("of", "words"),
    [
        ("old", "`old` log-probabilities: a site answers for the weights as they are"),
        (
            "reference",
            "log-probabilities of the view `conditional`, which needs a reference model, and this run keeps none",
        ),
        (TEACHER, "log-probabilities of the view `conditional`, which needs teacher absent, and this run keeps none"),
    ],
)
def test_log_probs_that_the_step_does_not_keep_are_refused_with_words(of: Any, words: str) -> None:
    with pytest.raises(RunFailed, match=f"a probe asks for {words}"):
        site_of().log_probs(Need(Conditional(), of), [0])


def test_a_gradient_that_needs_a_reference_is_refused_where_there_is_none() -> None:
    with pytest.raises(RunFailed, match="a probe asks for the gradient of Kl, which needs a reference model"):
        site_of().gradient(Kl())


class Remembering(OnePartObjective):
    """Weighs every token by a number that it remembers from step to step, 1 at first."""

    def initial(self) -> State:
        return {"scale": 1.0}

    def after(self, batch: Batch, record: StepRecord, state: State) -> State:
        return state

    def needs(self) -> frozenset[Need]:
        return frozenset({Need(Conditional())})

    def credits(self, batch: Batch, updates: Sequence[Step]) -> list[Credit]:
        num_tokens = batch.step.tokens.num_tokens
        return [Credit(np.ones(num_tokens), np.full(num_tokens, batch.state["scale"]), "1")]

    def terms(self, logp: Mapping[Need, torch.Tensor], advantage_n: torch.Tensor, tokens: Any) -> torch.Tensor:
        return logp[Need(Conditional())]


def test_the_phases_objective_is_differentiated_in_its_state_and_any_other_as_at_a_start() -> None:
    site = replace(site_of(Remembering()), states={"objective": {"scale": 3.0}})
    remembered, fresh = flat(site.gradient(site.objective)), flat(replace(site, states=None).gradient(site.objective))
    torch.testing.assert_close(remembered, 3 * fresh, atol=ROUNDING * float(remembered.norm()), rtol=0)
    assert torch.equal(flat(site.gradient(Grpo())), flat(site_of().gradient(Grpo())))


def test_looking_changes_no_weight_no_gradient_and_no_random_number() -> None:
    site = site_of()
    policy = site.trainer.policy
    hashed, state = weights_hash(policy.module), torch.get_rng_state()
    site.gradient(site.objective)
    site.log_probs(Need(Conditional()), [0])
    assert weights_hash(policy.module) == hashed
    assert torch.equal(torch.get_rng_state(), state)
    assert all(p.grad is None for _, p in policy.parameters())


PROBED = 'probes = [{ use = "gradient_alignment", every = 2, samples = 3 }, "entropy", "solved", "pass_at_k"]\n'


def test_a_run_with_probes_has_the_same_weights_after_every_step_as_one_without(tmp_path: Path) -> None:
    """Two updates a batch, and optimizer moments that any stray gradient would enter."""
    plain = steps_of(start(tmp_path / "plain"))
    probed = steps_of(start(tmp_path / "probed", SPEC.replace("\nrun =", f"\n{PROBED}run =")))
    assert [s["hashes"] for s in probed] == [s["hashes"] for s in plain]
    for without, seen in zip(plain, probed, strict=True):
        assert {k: seen["metrics"][k] for k in without["metrics"]} == without["metrics"]
    aligned = [s["step"] for s in probed if "gradient_alignment_cosine" in s["metrics"]]
    assert [s["step"] for s in probed if s["phase"] != "pretrain" and s["step"] % 2 == 0] == aligned == [2, 2]
    moved = [
        s["metrics"]["gradient_alignment_delta_logp"]
        for s in probed
        if s["step"] in aligned and s["phase"] != "pretrain"
    ]
    assert all(change > 1e-4 for change in moved), "they look again after the update"
    assert all("solved_none" in s["metrics"] for s in probed if s["phase"] != "pretrain")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What two ranks saw."""
    folder = made_once(
        tmp_path_factory, "both", lambda made: forked_ranks("tests.engine.probe_worker", str(made), cwd=made)
    )
    found: dict[str, Any] = torch.load(folder / "found.pt", weights_only=True)
    assert found["size"] == 2
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return everything(Ranks.start(), tmp_path_factory.mktemp("alone"), sharded=False)


@pytest.mark.parametrize("model", ["whole", "adapted"])
@pytest.mark.parametrize("how", ["ddp", "fsdp2"])
def test_two_ranks_see_what_one_process_sees(both: dict[str, Any], alone: dict[str, Any], how: str, model: str) -> None:
    assert alone[model]["gradient_alignment_dot"] != 0
    assert both[how][model].keys() == alone[model].keys()
    for name, value in alone[model].items():
        # Sums of fp32 in another order; Adam's first update magnifies them in what it changes.
        assert both[how][model][name] == pytest.approx(value, rel=2e-3, abs=1e-5), name


@pytest.mark.parametrize("model", ["whole", "adapted"])
def test_in_invariant_mode_two_ranks_see_the_same_bits(both: dict[str, Any], model: str, tmp_path: Path) -> None:
    invariant = everything(Ranks.start(invariant=True), tmp_path, sharded=False)
    assert both["invariant"][model] == invariant[model]


def test_of_an_adapter_only_trained_parameters_are_compared(alone: dict[str, Any]) -> None:
    names = {name.removeprefix("gradient_alignment_dot_") for name in alone["adapted"] if "alignment_dot_" in name}
    assert names == {
        "min",
        "max",
        "right",
        "wrong",
        "min_right",
        "max_right",
        "min_wrong",
        "max_wrong",
        "blocks_1",
        "blocks_2",
    }


class Faulty(AroundUpdate):
    """Raises in one of its hooks."""

    every: int = 1
    where: str = "before"

    def needs(self, objective: Any, num_samples: int) -> tuple[Any, ...]:
        return ()

    def before(self, site: ProbeSite) -> Any:
        assert self.where != "before", "not so soon"

    def after(self, site: ProbeSite, state: Any) -> Mapping[str, float]:
        raise KeyError("not so late")


@pytest.mark.parametrize("where", ["before", "after"])
def test_an_exception_in_a_hook_is_the_authors(where: str) -> None:
    trainer = make_trainer(tiny_policy(), Grpo())
    with pytest.raises(
        AuthorFault, match=rf"acme.faulty.* failed in `Faulty.{where}` \(.*test_gradients_seen.py:\d+\)"
    ):
        Watching.begin([Named("acme.faulty", Faulty(where=where))], STEP, trainer).end()


class Noted(AroundUpdate):
    """Notes the order of its calls."""

    every: int = 2
    calls: list[Any] = []  # noqa: RUF012 - a field of a pydantic model

    def needs(self, objective: Any, num_samples: int) -> tuple[Any, ...]:
        return ()

    def before(self, site: ProbeSite) -> Any:
        CALLS.append(("before", site.step.step))
        return 7

    def after(self, site: ProbeSite, state: Any) -> Mapping[str, float]:
        CALLS.append(("after", state))
        return {"noted": 1}


CALLS: list[Any] = []


def watch(step: Step, trainer: Trainer) -> Mapping[str, float]:
    watching = Watching.begin([Named("noted", Noted())], step, trainer)
    CALLS.append("train")
    return watching.end()


def test_hooks_are_called_around_the_updates_of_every_nth_step_that_has_samples() -> None:
    trainer = make_trainer(tiny_policy(), Grpo())
    CALLS.clear()
    assert watch(STEP, trainer) == {}
    assert watch(replace(STEP, step=2), trainer) == {"noted": 1.0}
    assert watch(replace(STEP, step=4, groups=()), trainer) == {}
    assert CALLS == ["train", ("before", 2), "train", ("after", 7), "train"]


def test_eq_4_predicts_what_a_small_step_along_log_p_of_y_does_to_log_p_of_y_given_x() -> None:
    """log P_θ'(y|x) − log P_θ(y|x) → η⟨∇log P(y), ∇log P(y|x)⟩ as η → 0 (arXiv:2604.14142, eq. 4)."""
    site, sample = site_of(), int(np.argmax(STEP.tokens.length_S))
    policy = site.trainer.policy
    free, given = (
        site.gradient(LogLikelihood(view=view, length="sum"), [sample]) for view in (Marginal(), Conditional())
    )
    eta = 1e-5
    mine = STEP.tokens.sample_N == sample
    before = site.log_probs(Need(Conditional()), [sample])[mine]
    with torch.no_grad():
        for (_, parameter), direction in zip(policy.parameters(), free._tensors, strict=True):  # type: ignore[attr-defined]
            parameter.add_(direction, alpha=eta)
    change = float((site.log_probs(Need(Conditional()), [sample])[mine] - before).sum())
    assert abs(free.dot(given)) > 10
    assert change == pytest.approx(eta * free.dot(given), rel=0.05)


def test_the_probe_reports_the_change_that_the_update_made() -> None:
    step = random_step(2, 2, seed=4)
    trainer = make_trainer(tiny_policy(), Grpo())
    probe = GradientAlignment(every=1, samples=4, batch="off")
    sample_N = step.tokens.sample_N
    site = Site(step, trainer)
    before = site.log_probs(Need(Conditional()), range(4))
    watching = Watching.begin([Named("probe", probe)], step, trainer)
    trainer.train(step)
    found = watching.end()
    change = [(site.log_probs(Need(Conditional()), range(4)) - before)[sample_N == s].mean() for s in range(4)]
    assert found["gradient_alignment_change"] == pytest.approx(np.mean(change))
    assert found["gradient_alignment_delta_logp"] == pytest.approx(np.mean(np.abs(change)))
    rights = [c for c, a in zip(change, step.samples, strict=True) if a.reward == 1.0]
    assert found["gradient_alignment_change_right"] == pytest.approx(np.mean(rights))
    assert "gradient_alignment_batch_dot" not in found

"""What a credit reads is computed before it, for every sample, and handed over as a plain mapping."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from prerl_spec.compiler.estimates.step_counts import forwards
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.training.gradient_free_logprobs import GradientFree
from prerl_spec.errors import RunFailed
from prerl_spec.needs import Credit, Layout, Need
from prerl_spec.sdk import ContextView, OnePartObjective
from prerl_spec.text import Codec
from prerl_spec.types import Array, Attempt, Prompt, Segment, Step
from prerl_spec.views import Conditional, Marginal
from tests.engine.steps import gradient_of, make_trainer, random_step, tiny_policy, with_rewards

LOGP = Need(Conditional())
OLD = Need(Marginal(), "old")
SAMPLER = Need(Conditional(), "sampler")


class Reader(OnePartObjective):
    """Raises the log-likelihood of rewarded samples, and keeps what its credit was given."""

    def needs(self) -> frozenset[Need]:
        return frozenset({LOGP})

    def reads(self) -> frozenset[Need]:
        return frozenset({OLD, SAMPLER})

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        SEEN.append((step, dict(known)))
        weight_N = (step.reward_S > 0)[step.tokens.sample_N] / step.tokens.num_tokens
        return Credit(np.ones(step.tokens.num_tokens), weight_N, "tokens of the update")

    def terms(self, logp: Mapping[Need, torch.Tensor], advantage_n: torch.Tensor, tokens: Any) -> torch.Tensor:
        assert set(logp) == {LOGP}
        return -logp[LOGP]


SEEN: list[tuple[Step, dict[Need, Array]]] = []


@pytest.mark.parametrize("updates", [1, 2])
def test_a_credit_reads_old_log_probs_of_every_sample_also_with_one_update_a_batch(updates: int) -> None:
    SEEN.clear()
    policy, batch = tiny_policy(), random_step(4, 4)
    trainer = make_trainer(policy, Reader(), updates_per_batch=updates)
    trainer.train(batch)
    counted = dict(policy.forwards)
    assert len(SEEN) == updates
    fresh = tiny_policy()
    for minibatch, known in SEEN:
        assert set(known) == {OLD, SAMPLER}
        expected = []
        for attempt in minibatch.samples:
            ids = torch.tensor([[*fresh.codec.prefix("auto"), *attempt.tokens]])
            with torch.no_grad():
                logp = fresh.module(input_ids=ids).logits[0, :-1].log_softmax(-1)
            expected.append(logp[range(len(attempt.tokens)), list(attempt.tokens)].numpy())
        # float32 attention over rows of another length than the sample's own.
        np.testing.assert_allclose(known[OLD], np.concatenate(expected), atol=2e-5)
        np.testing.assert_array_equal(known[SAMPLER], -np.ones(minibatch.tokens.num_tokens))
    rewarded = sum(a.reward == 1.0 for a in batch.samples)
    assert counted[("marginal", "old")] == len(batch.samples)
    assert counted[("conditional", "policy")] == rewarded < len(batch.samples)


def test_the_plan_counts_the_forward_that_a_credit_reads() -> None:
    contexts = {"conditional": 12, "marginal": 1}
    planned = forwards(Reader(), samples=16, updates_per_batch=1, contexts=contexts, probed=False)
    assert {(f.view, f.of, f.samples, f.gradient) for f in planned} == {
        ("conditional", "policy", 16, True),
        ("marginal", "old", 16, False),
    }


class Hinted(ContextView):
    """A hint between the question and the response, and another one behind its first token: neither is scored."""

    @property
    def name(self) -> str:
        return "hinted"

    def context(self, prompt: Prompt, codec: Codec) -> tuple[int, ...]:
        return (*prompt.context, *codec.encode("Hint"))

    def lay(self, prompt: Prompt, attempt: Attempt, codec: Codec) -> Layout:
        first, *rest = attempt.tokens
        hint = Segment(codec.encode("!?"), author="environment", trained=False)
        return Layout(self.context(prompt, codec), (Segment((first,)), hint, Segment(tuple(rest))))


class Through(Reader):
    """The same in another view."""

    view: Any

    def needs(self) -> frozenset[Need]:
        return frozenset({Need(self.view)})

    def reads(self) -> frozenset[Need]:
        return frozenset()

    def terms(self, logp: Mapping[Need, torch.Tensor], advantage_n: torch.Tensor, tokens: Any) -> torch.Tensor:
        return -logp[Need(self.view)]


def test_a_view_may_lay_untrained_tokens_between_the_trained_ones() -> None:
    policy, batch = tiny_policy(), random_step(3, 3)
    ours = gradient_of(make_trainer(policy, Through(view=Hinted())), batch)
    expected = torch.zeros(())
    weight = 1 / batch.tokens.num_tokens
    for group in batch.groups:
        for attempt in group.attempts:
            if attempt.reward == 1.0:
                first, *rest = attempt.tokens
                before = [*group.prompt.context, *policy.codec.encode("Hint")]
                hint = policy.codec.encode("!?")
                ids = torch.tensor([[*before, first, *hint, *rest]])
                logp = policy.module(input_ids=ids).logits[0, :-1].log_softmax(-1)
                places = [len(before) - 1, *range(len(before) + len(hint), ids.shape[1] - 1)]
                expected = expected - weight * logp[places, [first, *rest]].sum()
    policy.module.zero_grad()
    expected.backward()
    theirs = torch.cat([p.grad.reshape(-1) for _, p in policy.parameters() if p.grad is not None])
    # float32 sums over rows of another length; a token scored at the wrong place is off by 1e-1.
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-4)


class Shortened(Hinted):
    def lay(self, prompt: Prompt, attempt: Attempt, codec: Codec) -> Layout:
        return Layout(prompt.context, (Segment(attempt.tokens[:1]),))


class Bare(Hinted):
    def lay(self, prompt: Prompt, attempt: Attempt, codec: Codec) -> Layout:
        return Layout((), attempt.segments)


@pytest.mark.parametrize(("view", "message"), [(Shortened(), "trained tokens that differ"), (Bare(), "no context")])
def test_a_view_that_lays_out_what_cannot_be_scored_ends_the_step_with_its_name(view: Hinted, message: str) -> None:
    with pytest.raises(RunFailed, match=f"the view `hinted` lays out {message}"):
        make_trainer(tiny_policy(), Through(view=view)).train(random_step(2, 2, longest=8))


class Forgetful(Reader):
    """Its credit reads a vector that it does not name."""

    def reads(self) -> frozenset[Need]:
        return frozenset({SAMPLER})

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        return Credit(known[OLD], known[OLD], "nothing")


def test_a_credit_that_reads_what_it_does_not_name_ends_the_step_with_words() -> None:
    with pytest.raises(
        RunFailed, match=r"the objective `Forgetful` failed in `Forgetful.credit` \(.*test_reads.py:\d+\): KeyError"
    ) as caught:
        make_trainer(tiny_policy(), Forgetful()).train(random_step(2, 2, longest=8))
    assert "add the `old` vector of the view `marginal` to its `reads()`" in (caught.value.hint or "")


def test_a_vector_that_shares_the_forward_of_a_computed_one_is_computed_when_it_is_asked_for() -> None:
    policy, batch = tiny_policy(), random_step(2, 2, longest=8)
    vectors = GradientFree(batch, policy, Ranks.start(), None, 256)
    entropy = OLD._replace(entropy=True)
    vectors.compute({OLD: range(4)})
    vectors.compute({OLD: [0, 1], entropy: [0, 1]})
    found = vectors.read([OLD, entropy], range(2))
    assert np.isfinite(found[entropy]).all()
    assert (found[entropy] > 0).all()
    assert np.isfinite(vectors.read([OLD], range(4))[OLD]).all()


def test_an_update_without_weight_counts_as_planned_and_not_as_applied() -> None:
    batch = with_rewards(random_step(2, 2, longest=8), 0.0)
    trained = make_trainer(tiny_policy(), Reader(), updates_per_batch=2).train(batch)
    assert (trained.num_updates, trained.updates, trained.trained_tokens) == (2, (), 0)

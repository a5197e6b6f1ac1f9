"""What an author's objective, or a component in its slots, does wrong in a run is told as theirs, and nothing is applied."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import pytest
import torch
from prerl_components.advantages.signed import Signed
from prerl_components.corrections.truncate import Truncate
from prerl_components.objectives.policy_gradient import PolicyGradient
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.ramps.linear import Linear
from prerl_components.surrogates.clip import Clip
from pydantic import Field
from torch import Tensor

from prerl_spec.cli.main import main
from prerl_spec.engine.training.minibatch import split_batch
from prerl_spec.engine.training.slots import Sizes, Watched
from prerl_spec.errors import RunFailed
from prerl_spec.registry.entry_points import load
from prerl_spec.registry.local import local_entries
from prerl_spec.sdk import (
    Advantage,
    Array,
    Batch,
    Component,
    Conditional,
    Credit,
    Need,
    OnePartObjective,
    Outcome,
    Slot,
    Step,
    Surrogate,
    Tokens,
)
from prerl_spec.testing.steps import made_step
from tests.engine.steps import make_trainer, random_step, tiny_policy

SPEC = """
spec = 1
run.name = "faulty"
verifier = "exact_match"
plugins.files = ["mine.py"]
optimizer = { use = "adamw", lr = 1e-3 }
data.corpus = { use = "arithmetic_chains", part = "corpus", steps = [1, 1] }
data.train = { use = "arithmetic_chains", part = "easy", steps = [1, 1] }
sampler = { use = "transformers", group_size = 2, max_new_tokens = 4 }
model = { use = "from_scratch", tokenizer = "data:corpus", config = { model_type = "qwen3", hidden_size = 32, \
num_hidden_layers = 1, num_attention_heads = 1, num_key_value_heads = 1, head_dim = 32, intermediate_size = 32 } }

[[phases]]
id = "only"
prompts_per_step = 2
updates_per_batch = 2
objective = { use = "policy_gradient", advantage = "signed", OBJECTIVE }
schedule = { use = "fixed_steps", steps = 1 }
"""

HEAD = """
import numpy as np
import torch
from prerl_spec.sdk import (
    Advantage, Component, Conditional, Correction, Credit, Need, OnePartObjective, Ramp, Selection, Surrogate,
)

OLD, LOGP = Need(Conditional(), "old"), Need(Conditional())
"""

ADVANTAGE = """
class Mine(Advantage):
    "An advantage."
    def advantage(self, batch):
        return @
"""

SURROGATE = """
class Mine(Surrogate):
    "A surrogate."
    def loss(self, logp_n, old_n, advantage_n, tokens, more):
        return @
    def bounded(self, logp_n, old_n, advantage_n, tokens, more):
        return advantage_n > 0
"""

SELECTION = """
class Mine(Selection):
    "A selection."
    def keep(self, batch, advantage_N):
        return @
"""

CORRECTION = """
class Mine(Correction):
    "A correction."
    def ratio(self, trainer_n, sampler_n, tokens):
        return torch.exp(trainer_n - sampler_n)
    def weight(self, trainer_n, sampler_n, advantage_n, tokens):
        return @
"""

RAMP = """
class Mine(Ramp):
    "A ramp."
    def at(self, step):
        return @
"""

OBJECTIVE = """
class Mine(OnePartObjective):
    "An objective."
    def needs(self):
        return frozenset({LOGP})
    def credit(self, step, known):
        ones_N = np.ones(step.tokens.num_tokens)
        return Credit(ones_N, ones_N / len(ones_N), "tokens")
    def terms(self, logp, advantage_n, tokens):
        return @
"""

CASES = {
    "an exception in an advantage": (
        *(ADVANTAGE, "batch.step.reward_S / batch.nothing", 'advantage = "local.mine"'),
        "the advantage `local.mine` failed in `Mine.advantage` (mine.py:BODY): AttributeError: 'Batch' object has no",
        "fix `Mine.advantage`",
    ),
    "an advantage reads what it does not name": (
        *(ADVANTAGE, "batch.known[OLD]", 'advantage = "local.mine"'),
        "the advantage `local.mine` failed in `Mine.advantage` (mine.py:BODY): KeyError",
        "add the `old` vector of the view `conditional` to its `reads()`",
    ),
    "an advantage is not finite": (
        *(ADVANTAGE, "np.where(np.arange(4) == 2, np.nan, 1.0)", 'advantage = "local.mine"'),
        "the advantage `local.mine` gives nan in `advantage` for prompt train[",
        "`advantage` (mine.py:DEF) must return finite numbers",
    ),
    "an advantage of another shape": (
        *(ADVANTAGE, "np.ones(3)", 'advantage = "local.mine"'),
        "the advantage `local.mine` returned ndarray of shape (3,) and dtype float64 from `advantage`, not a numpy array of 4 "
        "numbers, one for each sample",
        "fix `advantage` (mine.py:DEF)",
    ),
    "an advantage of another type": (
        *(ADVANTAGE, "torch.ones(4)", 'advantage = "local.mine"'),
        "the advantage `local.mine` returned Tensor of shape (4,) and dtype torch.float32 from `advantage`, not a numpy array",
        "fix `advantage` (mine.py:DEF)",
    ),
    "an advantage of complex numbers": (
        *(ADVANTAGE, "np.ones(4) * 1j", 'advantage = "local.mine"'),
        "the advantage `local.mine` returned ndarray of shape (4,) and dtype complex128 from `advantage`",
        "fix `advantage` (mine.py:DEF)",
    ),
    "an exception in a state's beginning": (
        ADVANTAGE + "    def after(self, batch, record, state):\n        return state\n"
        "    def initial(self):\n        return {'mean': self.nothing}\n",
        *("batch.step.reward_S", 'advantage = "local.mine"'),
        "the objective `PolicyGradient` failed in `Mine.initial` (mine.py:HOOK): AttributeError",
        "fix `Mine.initial`",
    ),
    "a selection of another type": (
        *(SELECTION, "advantage_N", 'selection = ["local.mine"]'),
        "the selection `local.mine` returned ndarray of shape (",
        "fix `keep` (mine.py:DEF)",
    ),
    "an exception in a surrogate": (
        *(SURROGATE, "-advantage_n * logp_n.reshape(-1, 1000)", 'surrogate = "local.mine"'),
        "the surrogate `local.mine` failed in `Mine.loss` (mine.py:BODY): RuntimeError: shape '[-1, 1000]' is invalid",
        "fix `Mine.loss`",
    ),
    "a surrogate reads what it does not name": (
        *(SURROGATE, "more[Need(Conditional(), 'reference')]", 'surrogate = "local.mine"'),
        "the surrogate `local.mine` failed in `Mine.loss` (mine.py:BODY): KeyError",
        "add the `reference` vector of the view `conditional` to its `needs()`",
    ),
    "a surrogate is not finite": (
        *(SURROGATE, "(logp_n - old_n).log()", 'surrogate = "local.mine"'),
        "the surrogate `local.mine` gives -inf in `loss` for prompt train[",
        "`loss` (mine.py:DEF) must return finite numbers",
    ),
    "a surrogate without gradient": (
        *(SURROGATE, "-advantage_n * old_n", 'surrogate = "local.mine"'),
        "`terms` of the objective `PolicyGradient` depend on no log-probability with gradient",
        "remove .detach() or no_grad",
    ),
    "a gradient that is not finite": (
        *(SURROGATE, "(logp_n - logp_n.detach()).abs().sqrt() * advantage_n", 'surrogate = "local.mine"'),
        "the surrogate `local.mine` gives nan as the gradient of `loss` for prompt train[",
        "`loss` (mine.py:DEF) must have a finite gradient",
    ),
    "an objective's gradient that is not finite": (
        *(OBJECTIVE, "(logp[LOGP] - logp[LOGP].detach()).abs().sqrt()", ""),
        "the objective `local.mine` gives nan as the gradient of `terms` for prompt train[",
        "`terms` (mine.py:DEF) must have a finite gradient",
    ),
    "an exception in backward": (
        SURROGATE.replace("return @", "logp_n.register_hook(self._hook); return @")
        + "    def _hook(self, grad):\n        1 / 0\n",
        *("-advantage_n * logp_n", 'surrogate = "local.mine"'),
        "the objective `PolicyGradient` failed in `Mine._hook` (mine.py:HOOK): ZeroDivisionError",
        "fix `Mine._hook`",
    ),
    "a correction of another shape": (
        *(CORRECTION, "torch.ones(())", 'correction = "local.mine"'),
        "the correction `local.mine` returned Tensor of shape () and dtype torch.float32 from `weight`",
        "fix `weight` (mine.py:DEF)",
    ),
    "a ramp below zero": (
        *(RAMP, "-0.5", 'coefficient = { use = "local.mine" }'),
        "the ramp `local.mine` returned float -0.5 from `at`, not a finite number, at least 0",
        "fix `at` (mine.py:DEF)",
    ),
    "an exception in an objective": (
        *(OBJECTIVE, "self.nothing", ""),
        "the objective `local.mine` failed in `Mine.terms` (mine.py:BODY): AttributeError",
        "fix `Mine.terms`",
    ),
    "an objective reads what it does not name": (
        *(OBJECTIVE, "logp[LOGP] - logp[OLD]", ""),
        "the objective `local.mine` failed in `Mine.terms` (mine.py:BODY): KeyError",
        "add the `old` vector of the view `conditional` to its `needs()`",
    ),
    "an objective's terms are not finite": (
        *(OBJECTIVE, "torch.where(torch.arange(len(tokens.id_N)) == 1, torch.nan, logp[LOGP])", ""),
        "the objective `local.mine` gives nan in `terms` for prompt train[",
        "`terms` (mine.py:DEF) must return finite numbers",
    ),
    "an objective that sums": (
        *(OBJECTIVE, "logp[LOGP].sum()", ""),
        "the objective `local.mine` returned Tensor of shape () and dtype torch.float32 from `terms`",
        "fix `terms` (mine.py:DEF)",
    ),
}


IN_A_RUN = ("an exception in an advantage", "a surrogate is not finite", "an objective reads what it does not name")
"""Cases that a whole run goes through; the others go through the trainer, with the same files."""


def written(case: str, folder: Path) -> tuple[str, str, str]:
    """The setting that uses the case's component, written to `mine.py`; the message and the hint."""
    code, body, setting, message, hint = CASES[case]
    before = (HEAD + code.partition("@")[0]).count("\n") + 1
    (folder / "mine.py").write_text(HEAD + code.replace("@", body))
    for word, line in {"DEF": before - 1, "BODY": before, "HOOK": (HEAD + code).count("\n")}.items():
        message, hint = message.replace(f":{word}", f":{line}"), hint.replace(f":{word}", f":{line}")
    return setting, message, hint


@pytest.mark.parametrize("case", IN_A_RUN)
def test_a_fault_ends_a_run_and_nothing_of_the_step_is_applied(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    setting, message, hint = written(case, tmp_path)
    spec = SPEC.replace("OBJECTIVE", setting)
    if 'advantage = "local.mine"' in setting:
        spec = spec.replace('advantage = "signed", ', "")
    if not setting:
        spec = spec.replace('{ use = "policy_gradient", advantage = "signed",  }', '"local.mine"')
    (tmp_path / "spec.toml").write_text(spec)
    monkeypatch.chdir(tmp_path)
    assert main(["run", "spec.toml", "--local-code"]) == 5
    said = capsys.readouterr().err.replace(f"{tmp_path}/", "")
    assert message in said
    assert hint in said
    assert "bug in prerl-spec" not in said
    events = map(json.loads, (tmp_path / "runs/faulty/events.jsonl").open())
    assert [e for e in events if e["event"] == "step"] == []


@pytest.mark.parametrize("case", [case for case in CASES if case not in IN_A_RUN])
def test_a_fault_names_the_component_its_line_and_what_to_do(case: str, tmp_path: Path) -> None:
    setting, message, hint = written(case, tmp_path)
    (entry,) = local_entries(tmp_path / "mine.py")
    mine: Any = load(entry)()
    slot = setting.partition(" = ")[0]
    slots: dict[str, Any] = {
        "advantage": Signed(),
        **({slot: (mine,) if slot == "selection" else mine} if slot else {}),
    }
    policy = tiny_policy()
    trainer = make_trainer(policy, PolicyGradient(**slots) if slot else mine, updates_per_batch=2)
    before = {name: value.detach().clone() for name, value in policy.parameters()}
    with pytest.raises(RunFailed) as caught:
        trainer.train(random_step(2, 2, longest=4))
    assert message in caught.value.message.replace(f"{tmp_path}/", "")
    assert hint in (caught.value.hint or "").replace(f"{tmp_path}/", "")
    assert caught.value.exit_code == 5
    assert all(torch.equal(value, before[name]) for name, value in policy.parameters())
    assert all(value.grad is None for _, value in policy.parameters()), "nothing is left over for the next update"


class Holey(Advantage):
    """+1 and −1, and no number for a sample that has no reward: the reward's NaN goes through."""

    def advantage(self, batch: Batch) -> Array:
        return 2 * batch.step.reward_S - 1


def test_an_advantage_without_a_number_where_nothing_is_trained_poisons_nothing() -> None:
    step = made_step([[1.0, Outcome.TIMEOUT, 0.0]], lengths=[2, 3, 1])
    (found,) = split_batch(step, PolicyGradient(advantage=Holey()), NoVectors(), 1)
    (whole,) = split_batch(step, PolicyGradient(advantage=Signed()), NoVectors(), 1)
    for mine, theirs in zip(
        found.credits[0].credit.__dict__.values(), whole.credits[0].credit.__dict__.values(), strict=True
    ):
        assert np.array_equal(mine, theirs)


@pytest.mark.parametrize("off", ["positive", "negative"])
def test_a_scored_sample_without_a_number_is_told_although_its_sign_is_not_trained(off: str) -> None:
    step = made_step([[1.0, Outcome.TIMEOUT, 0.0]], lengths=[2, 3, 1])
    signs: dict[str, Any] = {off: 0.0}
    objective = PolicyGradient(advantage=Unearned(), **signs)
    with pytest.raises(RunFailed, match=r"`Unearned` gives nan in `advantage` for prompt .*, attempt 2: 1 of 3"):
        split_batch(step, objective, NoVectors(), 1)
    per_token = PolicyGradient(advantage=UnearnedTokens(), **signs)
    with pytest.raises(RunFailed, match=r"`UnearnedTokens` gives inf in `advantage` for .*attempt 0, token 1 \(id"):
        split_batch(step, per_token, NoVectors(), 1)


class Unearned(Advantage):
    """The reward, and no number for the last sample."""

    def advantage(self, batch: Batch) -> Array:
        return np.append(batch.step.reward_S[:-1], np.nan)


class UnearnedTokens(Advantage):
    """No finite number for the second token of a response."""

    per = "token"

    def advantage(self, batch: Batch) -> Array:
        return np.where(batch.step.tokens.position_N == 1, np.inf, 1.0)


class NoVectors:
    """For a credit that reads nothing."""

    def read(self, needs: Iterable[Need], samples: range) -> Mapping[Need, Array]:
        assert not list(needs)
        return {}


class HalfTrained(OnePartObjective):
    """Trains even tokens; at the others its terms, and the gradients of its terms, are no numbers."""

    broken: bool = Field(False, description="whether they are")

    def needs(self) -> frozenset[Need]:
        return frozenset({Need(Conditional())})

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        even_N = step.tokens.position_N % 2 == 0
        return Credit(np.where(even_N | (not self.broken), 1.0, np.nan), even_N / even_N.sum(), "even tokens")

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        term_n = -logp[Need(Conditional())]
        odd_n = torch.from_numpy(tokens.position_N % 2 == 1)
        return term_n * torch.where(odd_n, torch.nan, 1.0) if self.broken else term_n


def test_no_number_at_tokens_of_weight_zero_changes_no_bit_of_an_update() -> None:
    after = []
    for broken in (False, True):
        policy = tiny_policy()
        make_trainer(policy, HalfTrained(broken=broken)).train(random_step(2, 2, longest=6))
        after.append(dict(policy.parameters()))
    clean, holey = after
    assert all(torch.equal(value, holey[name]) for name, value in clean.items())


class Later(HalfTrained):
    """Trains odd tokens, and gives no number for any token."""

    def credit(self, step: Step, known: Mapping[Need, Array]) -> Credit:
        odd_N = step.tokens.position_N % 2 == 1
        return Credit(np.ones(odd_N.shape), odd_N / odd_N.sum(), "odd tokens")

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        return logp[Need(Conditional())] * torch.nan


def test_the_token_that_is_named_is_one_with_weight() -> None:
    with pytest.raises(RunFailed, match=r"the objective `Later` gives nan in `terms` for .*, token 1 \(id"):
        make_trainer(tiny_policy(), Later()).train(random_step(2, 2, longest=6))


class FailsLater(HalfTrained):
    """Its first pass has a gradient, its second fails."""

    def terms(self, logp: Mapping[Need, Tensor], advantage_n: Tensor, tokens: Tokens) -> Tensor:
        PASSES.append(tokens.num_tokens)
        return -logp[Need(Conditional())] / (1 // (2 - len(PASSES)))


PASSES: list[int] = []


def test_an_update_that_fails_in_a_later_pass_leaves_no_gradient_behind() -> None:
    policy = tiny_policy()
    PASSES.clear()
    with pytest.raises(RunFailed, match="ZeroDivisionError"):
        make_trainer(policy, FailsLater(), tokens_per_pass=64).train(random_step(4, 2, longest=30))
    assert len(PASSES) == 2
    assert all(value.grad is None for _, value in policy.parameters())


class Wrapping(Surrogate):
    """Another surrogate, halved: a slot within a slot."""

    inner: Annotated[Component, Slot("surrogate")] = Field(description="the surrogate to halve")

    def loss(self, *arguments: Any) -> Tensor:
        inner = cast(Surrogate, self.inner)
        return 0.5 * inner.loss(*arguments)


def test_a_watched_part_has_the_settings_and_the_results_of_the_part_itself() -> None:
    """Built-ins in slots, and a slot within a slot: copies that report train the same bits, and all calls are reported."""
    wrapped = Wrapping(inner=Clip())
    objective = PolicyGradient(
        advantage=Signed(), surrogate=wrapped, correction=Truncate(), coefficient=Linear(start=1.0, end=0.5, steps=2)
    )
    step = made_step([[1.0, 0.0]], lengths=[3, 2])
    watched = Watched.of(objective, Sizes(2, 5))
    part: Any = watched.part
    assert part == objective
    assert part.settings() == objective.settings()
    assert objective.surrogate is wrapped, "the objective itself is not touched"
    vectors = {need: torch.linspace(-2, -1, 5, requires_grad=need.of == "policy") for need in objective.needs()}
    (credit,) = part.credits(Batch(step, {}), [step])
    advantage_n = torch.from_numpy(credit.advantage_N)
    assert torch.equal(
        part.terms(vectors, advantage_n, step.tokens), objective.terms(vectors, advantage_n, step.tokens)
    )
    assert [f"{r.component.kind}.{r.method}" for r in watched.returned] == [
        *(
            "advantage.advantage",
            "ramp.at",
            "surrogate.loss",
            "surrogate.loss",
            "correction.ratio",
            "correction.weight",
        ),
    ]
    plain = Grpo()
    assert Watched.of(plain, Sizes(2, 5)).part is plain

"""The laws of surrogates, corrections and selections see what a part of its author's could get wrong."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pytest
import torch
from pydantic import Field
from torch import Tensor

from prerl_spec.sdk import Array, Batch, Component, Conditional, Correction, Need, Selection, Surrogate, Tokens
from prerl_spec.testing.conformance.of_kind import check_laws
from prerl_spec.testing.laws import check_correction, check_selection, check_surrogate

More = Mapping[Need, Tensor]
OLD, ENTROPY = Need(Conditional(), "old"), Need(Conditional(), "old", entropy=True)


class Weighted(Surrogate):
    """−ρA, as it should be."""

    unbounded = ("ratio", "ratio")

    def loss(self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: More) -> Tensor:
        return -torch.exp((logp_n - old_n).clamp(-20, 20)) * advantage_n


class Whole(Weighted):
    """The ratio of the whole response, differentiated: a term may couple the tokens of its sample."""

    unbounded = ("sequence", "sequence")
    on_policy = "other"

    def loss(self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: More) -> Tensor:
        sample_n = torch.from_numpy(tokens.sample_N)
        log_s = torch.zeros(tokens.num_samples).to(logp_n).index_add(0, sample_n, logp_n - old_n).clamp(-20, 20)
        length_n = torch.from_numpy(tokens.length_S)[sample_n]
        return -log_s.exp()[sample_n] * advantage_n / length_n


class Upward(Weighted):
    """It pushes the other way."""

    def loss(self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: More) -> Tensor:
        return -super().loss(logp_n, old_n, advantage_n, tokens, more)


class Averaged(Weighted):
    """Its advantage is centred over the pass."""

    def loss(self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: More) -> Tensor:
        return super().loss(logp_n, old_n, advantage_n - advantage_n.mean(), tokens, more)


class Unclamped(Weighted):
    """ρ² overflows."""

    def loss(self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: More) -> Tensor:
        return -torch.exp(2 * (logp_n - old_n)) * advantage_n / 2


class Scalar(Weighted):
    """One number for all tokens."""

    def loss(self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: More) -> Tensor:
        return super().loss(logp_n, old_n, advantage_n, tokens, more).mean()


class Stopped(Weighted):
    """−sg(ρ)·A·log π, which it does not declare."""

    def loss(self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: More) -> Tensor:
        return super().loss(logp_n, old_n, advantage_n, tokens, more).detach() * logp_n


class NotStopped(Weighted):
    """−ρ·A·log π without the stop-gradient on ρ."""

    gradient = "stopped"

    def loss(self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: More) -> Tensor:
        return super().loss(logp_n, old_n, advantage_n, tokens, more) * logp_n


class Clipped(Weighted):
    """A clip that `bounded` does not know."""

    def loss(self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: More) -> Tensor:
        return -torch.exp((logp_n - old_n).clamp(-0.2, 0.2)) * advantage_n


class Eager(Weighted):
    """No clip, and `bounded` says that there is one."""

    def bounded(self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: More) -> Tensor:
        return logp_n - old_n > 0.2


class AlwaysBounded(Eager):
    """`bounded` at ρ = 1."""

    def bounded(self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: More) -> Tensor:
        return logp_n - old_n >= 0


class InwardClip(Weighted):
    """−max(ρA, clip(ρ)A): the clip removes what corrects, and keeps what runs away."""

    def loss(self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: More) -> Tensor:
        rho_n = torch.exp((logp_n - old_n).clamp(-20, 20))
        return -torch.maximum(rho_n * advantage_n, rho_n.clamp(0.8, 1.2) * advantage_n)

    def bounded(self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: More) -> Tensor:
        rho_n = torch.exp(logp_n - old_n)
        return (advantage_n > 0) & (rho_n < 0.8) | (advantage_n < 0) & (rho_n > 1.2)


class InwardOnWrong(InwardClip):
    """The same for A < 0 alone; right responses have no bound."""

    def loss(self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: More) -> Tensor:
        rho_n = torch.exp((logp_n - old_n).clamp(-20, 20))
        return -torch.where(advantage_n < 0, rho_n.clamp(max=1.2), rho_n) * advantage_n

    def bounded(self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: More) -> Tensor:
        return super().bounded(logp_n, old_n, advantage_n, tokens, more) & (advantage_n < 0)


class Capped(InwardOnWrong):
    """The same, declared: a cap on ρ."""

    bounds = "above"


class Floored(InwardClip):
    """Both, declared."""

    bounds = "any"


class PullsBack(Weighted):
    """A square holds every token back, those of advantage 0 as well."""

    unbounded = None
    trains_zero = True

    def loss(self, logp_n: Tensor, old_n: Tensor, advantage_n: Tensor, tokens: Tokens, more: More) -> Tensor:
        return super().loss(logp_n, old_n, advantage_n, tokens, more) + (logp_n - old_n).square()


class PullsBackInSecret(PullsBack):
    """It does not say so."""

    trains_zero = False


class KeepsForNothing(Weighted):
    """It asks for tokens that have no gradient."""

    trains_zero = True


class SecretRatio(Weighted):
    """It reads the old policy, and says that it does not."""

    uses_ratio = False


@pytest.mark.parametrize("surrogate", [Weighted(), Whole(), Capped(), Floored(), PullsBack()], ids=repr)
def test_a_lawful_surrogate_passes(surrogate: Surrogate) -> None:
    check_surrogate(surrogate)
    check_laws(surrogate, is_default=True)


@pytest.mark.parametrize(
    ("surrogate", "words"),
    [
        (Upward(), "at ρ = 1 the gradient is not −A"),
        (Averaged(), "of a sample changes with the other samples"),
        (Unclamped(), "not finite, in torch.float32"),
        (Scalar(), "one loss per token"),
        (Stopped(), 'declares gradient = "stopped"'),
        (NotStopped(), "at ρ = 1 the gradient is not −A"),
        (Clipped(), "bounded() is False where"),
        (Eager(), "bounded() is True where"),
        (AlwaysBounded(), "bounded() is True at ρ = 1"),
        (SecretRatio(), "uses_ratio is False"),
        (InwardClip(), "a bound acts where A > 0 and ρ < 1"),
        (InwardOnWrong(), 'declares bounds = "above"'),
        (PullsBackInSecret(), "declare trains_zero = True"),
        (KeepsForNothing(), "declare trains_zero = False"),
    ],
    ids=repr,
)
def test_an_unlawful_surrogate_is_told_what_it_breaks(surrogate: Surrogate, words: str) -> None:
    with pytest.raises(AssertionError) as told:
        check_surrogate(surrogate)
    assert words in str(told.value)


class Weights(Correction):
    """w itself, as it should be."""

    def ratio(self, trainer_n: Tensor, sampler_n: Tensor, tokens: Tokens) -> Tensor:
        return torch.exp((trainer_n - sampler_n).detach().clamp(-20, 20))

    def weight(self, trainer_n: Tensor, sampler_n: Tensor, advantage_n: Tensor, tokens: Tokens) -> Tensor:
        return self.ratio(trainer_n, sampler_n, tokens)


class Differentiated(Weights):
    """Its weights carry a gradient."""

    def weight(self, trainer_n: Tensor, sampler_n: Tensor, advantage_n: Tensor, tokens: Tokens) -> Tensor:
        return torch.exp((trainer_n - sampler_n).clamp(-20, 20))


class Negative(Weights):
    """log w is no weight."""

    def weight(self, trainer_n: Tensor, sampler_n: Tensor, advantage_n: Tensor, tokens: Tokens) -> Tensor:
        return self.ratio(trainer_n, sampler_n, tokens).log()


class Normalised(Weights):
    """Divided by the mean of the pass."""

    def weight(self, trainer_n: Tensor, sampler_n: Tensor, advantage_n: Tensor, tokens: Tokens) -> Tensor:
        weight_n = self.ratio(trainer_n, sampler_n, tokens)
        return weight_n / weight_n.mean()


class Halved(Weights):
    """Half a weight where sampler and trainer agree."""

    def weight(self, trainer_n: Tensor, sampler_n: Tensor, advantage_n: Tensor, tokens: Tokens) -> Tensor:
        return self.ratio(trainer_n, sampler_n, tokens) / 2


class Reciprocal(Weights):
    """Infinite where the sampler's w underflows."""

    def weight(self, trainer_n: Tensor, sampler_n: Tensor, advantage_n: Tensor, tokens: Tokens) -> Tensor:
        return 1 / (self.ratio(trainer_n, sampler_n, tokens) - torch.exp(torch.tensor(-20.0).double()))


class Tokenwise(Weights):
    """It says that it is of a level above the token."""

    level: str = Field("sequence", description="the level")


class Inverted(Weights):
    """π_sampler/π_trainer."""

    def ratio(self, trainer_n: Tensor, sampler_n: Tensor, tokens: Tokens) -> Tensor:
        return super().ratio(sampler_n, trainer_n, tokens)


class Product(Weights):
    """The product over the response, finite in float64 alone."""

    def ratio(self, trainer_n: Tensor, sampler_n: Tensor, tokens: Tokens) -> Tensor:
        sample_n, gap_n = torch.from_numpy(tokens.sample_N), (trainer_n - sampler_n).detach()
        return gap_n.new_zeros(tokens.num_samples).index_add(0, sample_n, gap_n).exp()[sample_n]


class Squared(Weights):
    """w² of the token, where w is wanted."""

    level: str = Field("token", description="the level")

    def ratio(self, trainer_n: Tensor, sampler_n: Tensor, tokens: Tokens) -> Tensor:
        return torch.exp((2 * (trainer_n - sampler_n)).detach().clamp(-20, 20))


@pytest.mark.parametrize(
    ("correction", "words"),
    [
        (Differentiated(), "carries a gradient"),
        (Negative(), "is negative"),
        (Normalised(), "changes with the other samples"),
        (Halved(), "weight() is not 1 where trainer and sampler agree"),
        (Reciprocal(), "not finite"),
        (Tokenwise(), "differs within a sample"),
        (Inverted(), "falls as the trainer's log-probability rises"),
        (Product(), "not finite in torch.float32"),
        (Squared(), "is not exp(trainer_n − sampler_n), of the token"),
    ],
    ids=repr,
)
def test_an_unlawful_correction_is_told_what_it_breaks(correction: Correction, words: str) -> None:
    with pytest.raises(AssertionError) as told:
        check_correction(correction)
    assert words in str(told.value)


def test_a_lawful_correction_passes() -> None:
    check_correction(Weights())
    check_laws(Weights(), is_default=True)


class Certain(Selection):
    """The more certain half, as it should be."""

    def reads(self) -> frozenset[Need]:
        return frozenset({ENTROPY})

    def ranked(self, entropy_N: Array, advantage_N: Array) -> Array:
        return entropy_N[advantage_N != 0]

    def keep(self, batch: Batch, advantage_N: Array) -> npt.NDArray[np.bool_]:
        entropy_N = batch.known[ENTROPY]
        ranked = self.ranked(entropy_N, advantage_N)
        return np.asarray(entropy_N <= np.median(ranked)) if len(ranked) else np.ones(len(entropy_N), dtype=bool)


class RanksAll(Certain):
    """Masked tokens are ranked with the others."""

    def ranked(self, entropy_N: Array, advantage_N: Array) -> Array:
        return entropy_N


class Undeclared(Certain):
    """It reads what it does not ask for."""

    def reads(self) -> frozenset[Need]:
        return frozenset({OLD})


class FirstHalf(Certain):
    """The first half of the batch."""

    def keep(self, batch: Batch, advantage_N: Array) -> npt.NDArray[np.bool_]:
        return np.arange(len(advantage_N)) < len(advantage_N) / 2


class Thrown(Certain):
    """Another half every time."""

    def keep(self, batch: Batch, advantage_N: Array) -> npt.NDArray[np.bool_]:
        return np.random.default_rng().random(len(advantage_N)) < 0.5


class Nobody(Certain):
    """None at all."""

    def keep(self, batch: Batch, advantage_N: Array) -> npt.NDArray[np.bool_]:
        return np.zeros(len(advantage_N), dtype=bool)


class Floats(Certain):
    """Weights instead of truths."""

    def keep(self, batch: Batch, advantage_N: Array) -> npt.NDArray[np.bool_]:
        return super().keep(batch, advantage_N) * 1.0  # type: ignore[return-value]


class Scribbling(Certain):
    """It sorts the step's vector in place."""

    def keep(self, batch: Batch, advantage_N: Array) -> npt.NDArray[np.bool_]:
        kept_N = super().keep(batch, advantage_N)
        batch.known[ENTROPY].sort()
        return kept_N


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        (RanksAll(), "tokens with advantage 0"),
        (Undeclared(), "which reads() does not name"),
        (FirstHalf(), "the order of groups or attempts"),
        (Thrown(), "called again"),
        (Nobody(), "drops every token"),
        (Floats(), "not bool"),
        (Scribbling(), "changes what it reads"),
    ],
    ids=repr,
)
def test_an_unlawful_selection_is_told_what_it_breaks(selection: Selection, words: str) -> None:
    with pytest.raises(AssertionError) as told:
        check_selection(selection)
    assert words in str(told.value)


def test_a_lawful_selection_passes() -> None:
    check_selection(Certain())
    check_laws(Certain(), is_default=True)


@pytest.mark.parametrize("unlawful", [Upward(), Halved(), Nobody()], ids=repr)
def test_plugin_check_knows_the_laws_of_these_kinds(unlawful: Component) -> None:
    with pytest.raises(AssertionError):
        check_laws(unlawful, is_default=True)

"""Raises log P(y) of right responses, in pre-train space: `prerl-spec try examples/likelihood.py`."""

from prerl_spec.sdk import Credit, Marginal, Need, OnePartObjective

P_OF_Y = Need(Marginal())


class Likelihood(OnePartObjective):
    """Raises log P(y) of right responses, each token alike."""

    def needs(self):
        return frozenset({P_OF_Y})

    def credit(self, step, known):
        right_N = (step.reward_S == 1.0)[step.tokens.sample_N]
        return Credit(1.0 * right_N, right_N / max(1, right_N.sum()), f"tokens of right responses: {right_N.sum()}")

    def terms(self, logp, advantage_n, tokens):
        return -logp[P_OF_Y]

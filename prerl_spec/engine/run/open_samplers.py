"""The samplers of a run, each opened at its first use and told of every new version of the weights it has to draw from."""

import json
from contextlib import ExitStack
from pathlib import Path

from prerl_spec.compiler.graph import Named
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.policy_access import LivePolicy, open_over_whole_weights
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.registry.kinds import OpenSampler, Sampler, SamplerSite

PER_CALL = frozenset({"group_size", "temperature", "top_p", "top_k", "max_new_tokens", "stop"})
"""Settings of a sampler that come with each call."""


class OpenSamplers:
    """Samplers that draw from `policy`; they close with `stack`. `folder` is the run's, `invariant` its determinism."""

    def __init__(self, stack: ExitStack, policy: Policy, ranks: Ranks, folder: Path, *, invariant: bool) -> None:
        self._stack = stack
        self._policy = policy
        self._site = SamplerSite(
            policy.loaded,
            str(ranks.device),
            policy.max_length,
            policy=LivePolicy(policy, ranks),
            folder=folder,
            invariant=invariant,
        )
        self._open: dict[str, OpenSampler] = {}
        self._version = 0
        self._synced: dict[str, int] = {}
        """The version that each sampler draws from."""

    def sampler(self, named: Named[Sampler]) -> OpenSampler:
        """The sampler of this declaration with the policy's weights as they are now; declarations that open alike share
        one. A collective call."""
        key = opened_as(named.component)
        if key not in self._open:
            self._open[key] = self._opened(named)
            self._synced[key] = self._version
        if self._synced[key] != self._version:
            self._open[key].sync(self._version)
            self._synced[key] = self._version
        return self._open[key]

    def weights_changed(self, version: int, drawing: Named[Sampler] | None) -> None:
        """The policy's weights are now those of update `version`. The sampler that the phase draws from is told at once,
        another when somebody asks for it: a phase of documents alone pays for none."""
        self._version = version
        if drawing is not None:
            self.sampler(drawing)

    def _opened(self, named: Named[Sampler]) -> OpenSampler:
        if self._policy.is_sharded and not named.component.own_weights:
            return self._stack.enter_context(open_over_whole_weights(named.component, self._site, self._policy))
        return self._stack.enter_context(named.component.open(self._site))


def opened_as(sampler: Sampler) -> str:
    """What tells one open sampler from another: an engine of its own for each phase would take the memory of several."""
    settings = {name: value for name, value in sampler.settings().items() if name not in PER_CALL}
    return json.dumps([type(sampler).__module__, type(sampler).__qualname__, settings], sort_keys=True)

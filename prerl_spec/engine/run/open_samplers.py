"""The samplers of a run, each opened at its first use and synced with the current policy weights before it samples."""

import json
from contextlib import ExitStack
from pathlib import Path

from prerl_spec.compiler.graph import Named
from prerl_spec.engine.author_faults import blames
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.policy_access import LivePolicy, open_over_whole_weights
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.registry.kinds.sampler import OpenSampler, Sampler, SamplerSite, ToldSampler

PER_CALL = frozenset({"group_size", "temperature", "top_p", "top_k", "max_new_tokens", "stop"})
"""Sampler settings that are passed with each call."""


class OpenSamplers:
    """Samplers of the policy; `stack` closes them. `folder` is the run folder, `invariant` its determinism setting."""

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
        self.computes: dict[str, str] = {}
        """By name, how the samplers compute that say so."""
        self._version = 0
        self._synced: dict[str, int] = {}
        """The version of the weights that each sampler holds."""

    def sampler(self, named: Named[Sampler]) -> OpenSampler:
        """The open sampler of this declaration, synced with the policy's current weights; declarations that differ in
        per-call settings only share one. A collective call."""
        key = _sampler_key(named.component)
        if key not in self._open:
            self._open[key] = opened = self._opened(named)
            if isinstance(opened, ToldSampler):
                self.computes[named.use] = opened.computes
            self._synced[key] = self._version
        if self._synced[key] != self._version:
            with blames(named.component, "sync", name=named.use):
                self._open[key].sync(self._version)
            self._synced[key] = self._version
        return self._open[key]

    def weights_changed(self, version: int, current: Named[Sampler] | None) -> None:
        """The policy's weights are now those of update `version`. The current phase's sampler is synced at once,
        another one when it is next used: a supervised phase syncs none."""
        self._version = version
        if current is not None:
            self.sampler(current)

    def _opened(self, named: Named[Sampler]) -> OpenSampler:
        with blames(named.component, "open", name=named.use):
            if self._policy.is_sharded and not named.component.own_weights:
                return self._stack.enter_context(open_over_whole_weights(named.component, self._site, self._policy))
            return self._stack.enter_context(named.component.open(self._site))


def _sampler_key(sampler: Sampler) -> str:
    """What distinguishes two open samplers; one engine for each phase would use the memory of several engines."""
    settings = {name: value for name, value in sampler.settings().items() if name not in PER_CALL}
    return json.dumps([type(sampler).__module__, type(sampler).__qualname__, settings], sort_keys=True)

"""The embedded sampler: the trainer's own module, run token by token with a key-value cache.

Left out: continuous batching and weights other than the trainer's (the `vllm` samplers are for those).
"""

from contextlib import AbstractContextManager

from prerl_spec.sdk import OpenSampler, SamplerSettings, SamplerSite


class Transformers(SamplerSettings):
    """Samples from the module that is trained: nothing is copied, and the log-probabilities are the trainer's own."""

    def provides(self) -> frozenset[str]:
        return super().provides() | {"attempts[invariant]"}

    def open(self, site: SamplerSite) -> AbstractContextManager[OpenSampler]:
        """Checks on a few tokens that decoding with a cache gives the module's own log-probabilities.

        Raises EnvironmentUnmet for a module whose cache is of no use here.
        """
        from prerl_components.samplers.embedded.sampler import open_embedded

        return open_embedded(site)

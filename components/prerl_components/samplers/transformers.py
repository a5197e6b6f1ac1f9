"""The embedded sampler: token-by-token decoding with the trainer's own module and a key-value cache.

Not supported: continuous batching and weights other than the trainer's (use the `vllm` samplers for those).
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from prerl_components.samplers.embedded.expected import expected_decoding
from prerl_spec.sdk import OpenSampler, SamplerSettings, SamplerSite


class Transformers(SamplerSettings):
    """Samples from the module being trained: no copy of the weights, and the trainer's own log-probabilities."""

    def provides(self) -> frozenset[str]:
        return super().provides() | {"attempts[invariant]"}

    def expects(self, config: Mapping[str, Any], *, has_adapter: bool) -> str:
        """By which of its two ways tokens will be decoded; what counts is measured when the sampler opens."""
        return expected_decoding(config, has_adapter=has_adapter)

    def open(self, site: SamplerSite) -> AbstractContextManager[OpenSampler]:
        """Checks on a few tokens that decoding with a cache reproduces the log-probabilities of a plain forward.

        Raises EnvironmentUnmet for a module that cannot be decoded with a key-value cache.
        """
        from prerl_components.samplers.embedded.sampler import open_embedded

        return open_embedded(site)

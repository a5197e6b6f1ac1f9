"""An adapter on its way into vLLM: as an adapter or merged, what is drawn from is what is trained."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip("vllm")
pytest.importorskip("peft")

from prerl_components.adapters.lora import Lora
from prerl_components.samplers.vllm import Vllm
from prerl_components.samplers.vllm_engine.sampler import ColocatedSampler

from prerl_spec.engine.policy.frozen_base import with_base
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.policy_access import LivePolicy
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.sdk import Decoding, LoadedModel, Request, SamplerSite
from tests.components.vllm_models import vllm_model

pytestmark = pytest.mark.vllm

ROUNDING = 2e-5


def adapted(*, merge: bool) -> LoadedModel:
    loaded = vllm_model()
    adapter = Lora(rank=4, merge=merge).attach(loaded.module, base="tiny", revision=None, seed=0)
    return with_base(replace(loaded, adapter=adapter), torch.float32)


def learn(loaded: LoadedModel, seed: int) -> None:
    """Moves A and B, as updates would; B begins at 0."""
    assert loaded.adapter is not None
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in loaded.adapter.parameters().values():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))


@pytest.mark.parametrize("merge", [False, True], ids=["as an adapter", "merged"])
def test_every_new_adapter_is_drawn_from(merge: bool, tmp_path: Path) -> None:
    loaded = adapted(merge=merge)
    policy = LivePolicy(Policy(loaded, torch.device("cpu")), Ranks.start())
    assert policy.has_adapter is not merge
    asked = [Request((5, 6, 7), (1, 2)), Request(tuple(range(150)), (3,))]
    with Vllm().open(SamplerSite(loaded, "cpu", 512, policy=policy, folder=tmp_path)) as sampler:
        assert isinstance(sampler, ColocatedSampler)
        seen = [sampler.generate(asked, Decoding(max_new_tokens=20))]
        for version in (1, 2, 3):
            learn(loaded, version)
            sampler.sync(version)
            assert sampler.gap < ROUNDING
            seen.append(sampler.generate(asked, Decoding(max_new_tokens=20)))
            for request, generations in zip(asked, seen[-1], strict=True):
                for g in generations:
                    plain = policy.logprobs(request.context, g.tokens)
                    torch.testing.assert_close(torch.tensor(g.logps), torch.tensor(plain), atol=ROUNDING, rtol=0)
    assert all(a != b for a, b in zip(seen[:-1], seen[1:], strict=True))
    left = [
        file.name for file in (tmp_path / "vllm").iterdir() if "adapter" in file.name or file.suffix == ".safetensors"
    ]
    assert not left, "weights go once they are read"

"""An adapter on a base that lies in shards: the gradient of one process, and a whole checkpoint."""

from pathlib import Path

import pytest
import torch

from prerl_spec.engine.processes.ranks import Ranks
from tests.engine.adapter_worker import COMPUTE, trained
from tests.engine.forked_ranks import torchrun


@pytest.mark.slow
def test_two_processes_with_a_sharded_base_give_the_gradient_of_one(tmp_path: Path) -> None:
    torchrun("tests.engine.adapter_worker", str(tmp_path / "found.pt"), cwd=tmp_path)
    both = torch.load(tmp_path / "found.pt", weights_only=True)
    for dtype in COMPUTE:
        alone = trained(Ranks.start(), dtype, sharded=False)
        # Sums in another order: of float32, or of products rounded to 16 bits.
        within = 1e-6 if dtype == "float32" else 1e-2
        torch.testing.assert_close(both[dtype].pop("gradient"), alone.pop("gradient"), atol=within, rtol=0)
        assert both[dtype].keys() == alone.keys()
        assert all(torch.equal(both[dtype][name], tensor) for name, tensor in alone.items())

"""The model that an adapter leaves alone: what it is held in, and that a resumed run stands on the same one."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from prerl_spec.engine.policy.weights import tensors_hash
from prerl_spec.errors import Drift
from prerl_spec.registry.kinds import LoadedModel


def with_base(loaded: LoadedModel, compute_dtype: torch.dtype) -> LoadedModel:
    """The model computing in `compute_dtype`, its base held in it: 2 bytes a weight where full training keeps 16. Says in
    `source` which base it is. A model without an adapter keeps float32 weights."""
    changed = replace(loaded, compute_dtype=compute_dtype)
    if loaded.adapter is None:
        return changed
    for _, weight, _ in loaded.adapter.weights():
        # Others (those of a router, say) are in float32 because the model wants them so.
        if weight.dtype == loaded.compute_dtype:
            weight.data = weight.data.to(compute_dtype)
    base = {
        "dtype": str(compute_dtype).removeprefix("torch."),
        "sha256": tensors_hash((name, weight) for name, weight, _ in loaded.adapter.weights()),
    }
    return replace(changed, source={**loaded.source, "base": base})


def refuse_another_base(loaded: LoadedModel, manifest: Mapping[str, Any]) -> None:
    """Checkpoints hold the adapter alone, so the base comes from its source each time. Raises Drift where that is not what
    it was at the first start."""
    was, now = manifest["model"].get("base"), loaded.source.get("base")
    if was != now:
        raise Drift(
            f"the frozen weights of {loaded.source['name']} are not those that this run's adapter was trained on",
            hint="bring back the folder, or write the commit as `revision`; or start a new run",
        )

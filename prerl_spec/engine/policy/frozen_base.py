"""The model that a run began with: an adapter's frozen base and its dtype, and checks that a resumed run loads the same."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from prerl_spec.engine.policy.weights import tensors_hash
from prerl_spec.errors import Drift
from prerl_spec.registry.kinds.model import LoadedModel


def with_base(loaded: LoadedModel, compute_dtype: torch.dtype) -> LoadedModel:
    """The model computing in `compute_dtype`, with its frozen base stored in it: 2 bytes per weight, where full
    training needs 16. Records the base's dtype and hash in `source`. A model without an adapter keeps float32
    weights."""
    changed = replace(loaded, compute_dtype=compute_dtype)
    if loaded.adapter is None:
        return changed
    for _, weight, _ in loaded.adapter.weights():
        # Others (a router's, for example) are in float32 because the model requires it.
        if weight.dtype == loaded.compute_dtype:
            weight.data = weight.data.to(compute_dtype)
    base = {
        "dtype": str(compute_dtype).removeprefix("torch."),
        "sha256": tensors_hash((name, weight) for name, weight, _ in loaded.adapter.weights()),
    }
    return replace(changed, source={**loaded.source, "base": base})


def refuse_another_base(loaded: LoadedModel, manifest: Mapping[str, Any]) -> None:
    """Raises Drift if the base weights differ from those at the first start: checkpoints hold only the adapter, and
    every start loads the base from its source."""
    was, now = manifest["model"].get("base"), loaded.source.get("base")
    if was != now:
        raise Drift(
            f"the frozen weights of {loaded.source['name']} differ from those that this run's adapter was trained on",
            hint="restore the model folder, or set `revision` to the original commit; or start a new run",
        )


def refuse_another_commit(loaded: LoadedModel, manifest: Mapping[str, Any]) -> None:
    """Raises Drift if the hub's branch has moved since the first start: tokenizer, chat template and initial weights would
    be those of another commit."""
    was, now = manifest["model"].get("revision"), loaded.source.get("revision")
    if was is not None and now is not None and was != now:
        raise Drift(
            f"{loaded.source['name']} is at commit {str(now)[:12]}, this run began with {str(was)[:12]}",
            hint=f'set revision = "{was}", or start a new run',
        )

"""The laws of data and models: every opening has the same rows, every build the same weights."""

from typing import Any

import torch

from prerl_spec.registry.component import Component
from prerl_spec.registry.kinds.data import Data
from prerl_spec.registry.kinds.model import Model, ModelSite
from prerl_spec.testing.laws.together import Laws


def check_data(component: Component, *, rows: int = 50) -> None:
    """Opens a data set twice and reads its first `rows` rows: they are equal, have a location, and have something to
    train on."""
    with Laws(component):
        named: Any = component
        data: Data = named
        one, other = data.open("train"), data.open("train")
        assert one.fingerprint == other.fingerprint, "the fingerprint differs between two calls of open()"
        assert len(one) == len(other) > 0, f"{len(one)} rows, then {len(other)}"
        for index in range(min(rows, len(one))):
            row = one.row(index)
            assert row == one.row(index) == other.row(index), f"row {index} differs when read again"
            assert row.where, f"row {index} has an empty `where`"
            trains = row.document is not None or row.question is not None or one.rendering.template is not None
            assert trains, f"row {index} has neither a question nor a document"


def check_model(component: Component, site: ModelSite) -> None:
    """Builds a model twice: equal float32 weights, a tokenizer that fits, and no change of the global random
    generator."""
    with Laws(component):
        named: Any = component
        model: Model = named
        state = torch.get_rng_state()
        one, other = model.build(site), model.build(site)
        assert torch.equal(torch.get_rng_state(), state), "build() changes the global random generator"
        again = dict(other.module.named_parameters())
        for name, parameter in one.module.named_parameters():
            trained = parameter.requires_grad
            assert not trained or parameter.dtype == torch.float32, (
                f"{name} is {parameter.dtype}: trained weights are float32"
            )
            assert torch.equal(parameter, again[name]), f"{name} differs between two builds of one seed"
        embedding: Any = one.module.get_input_embeddings()  # type: ignore[operator]
        num_embeddings = int(embedding.weight.shape[0])
        assert one.codec.vocab_size <= num_embeddings, (
            f"the tokenizer has {one.codec.vocab_size} ids, the embedding {num_embeddings}"
        )
        assert one.codec.eos_ids, "the codec has no EOS id: no token ends a response"

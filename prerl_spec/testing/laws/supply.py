"""What data and models obey: the same rows and the same weights, whenever they are asked for."""

from typing import Any

import torch

from prerl_spec.registry.component import Component
from prerl_spec.registry.kinds import Data, Model, ModelSite
from prerl_spec.testing.laws.component import check_component


def check_data(component: Component, *, rows: int = 50) -> None:
    """Opens a data set twice and reads its first `rows` rows: equal, with a place, and with something to train on."""
    check_component(component)
    named: Any = component
    data: Data = named
    one, other = data.open("train"), data.open("train")
    assert one.fingerprint == other.fingerprint, "the fingerprint differs between two openings"
    assert len(one) == len(other) > 0, f"{len(one)} rows, then {len(other)}"
    for index in range(min(rows, len(one))):
        row = one.row(index)
        assert row == one.row(index) == other.row(index), f"row {index} is another the second time"
        assert row.where, f"row {index} does not say where it is from"
        trains = row.document is not None or row.question is not None or one.rendering.template is not None
        assert trains, f"row {index} has neither a question nor a document"


def check_model(component: Component, site: ModelSite) -> None:
    """Builds a model twice: equal float32 weights, a tokenizer that fits, and no trace in the global generator."""
    check_component(component)
    named: Any = component
    model: Model = named
    state = torch.get_rng_state()
    one, other = model.build(site), model.build(site)
    assert torch.equal(torch.get_rng_state(), state), "build() moves the global random generator"
    again = dict(other.module.named_parameters())
    for name, parameter in one.module.named_parameters():
        trained = parameter.requires_grad
        assert not trained or parameter.dtype == torch.float32, (
            f"{name} is {parameter.dtype}: trained weights are float32"
        )
        assert torch.equal(parameter, again[name]), f"{name} differs between two builds of one seed"
    embedding: Any = one.module.get_input_embeddings()  # type: ignore[operator]
    room = int(embedding.weight.shape[0])
    assert one.codec.vocab_size <= room, f"the tokenizer has {one.codec.vocab_size} ids, the embedding {room}"
    assert one.codec.eos_ids, "no token ends a response"

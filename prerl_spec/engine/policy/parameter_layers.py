"""Which layer of a transformers model each parameter belongs to: the embeddings, a decoder layer, or the head."""

from torch import nn

from prerl_spec.engine.policy.decoder_layers import decoder_layers
from prerl_spec.errors import EnvironmentUnmet


def parameter_layers(module: nn.Module) -> dict[str, str]:
    """Parameter name -> "embeddings", "layer_0" … or "head", which is all that is neither (final norm, LM head, a
    projection beside the layers). A tied head is counted with the embeddings; so is a model without decoder layers with
    its head."""
    try:
        number = {id(layer): i for i, layer in enumerate(decoder_layers(module))}
    except EnvironmentUnmet:
        number = {}
    found = {name: "head" for name, _ in module.named_parameters()}
    for prefix, part in module.named_modules():
        layer = "embeddings" if isinstance(part, nn.Embedding) else f"layer_{number.get(id(part), '')}"
        if layer != "layer_":
            found |= {name: layer for name, _ in part.named_parameters(prefix)}
    return found

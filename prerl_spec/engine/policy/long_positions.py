"""Whether a model's positions depend on the longest text of a forward.

LongRoPE (arXiv:2402.13753) has two sets of frequencies; transformers takes that of long texts for all texts of a forward in
which one is longer than the length the model was first trained at. Texts as short as those measured at open never show it.
"""

from typing import Any

BY_THE_LONGEST = "longrope"


def take_the_longest_texts(config: Any) -> bool:
    """Whether a text's rotations differ with the others of its forward, for the configuration of a text model."""
    told = getattr(config, "rope_parameters", None)
    if not isinstance(told, dict):
        return False
    # A model with several kinds of layers has parameters for each of them.
    of_layers = [told, *(one for one in told.values() if isinstance(one, dict))]
    return any(one.get("rope_type") == BY_THE_LONGEST for one in of_layers)

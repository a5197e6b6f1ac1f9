"""Saves a tiny model for `plugin check`: random weights and the tokenizer of `arithmetic_chains`, in milliseconds."""

from pathlib import Path

from prerl_components.data.chain_tokenizer import tokenizer_files
from prerl_components.models.from_scratch import SMALLEST
from prerl_components.models.initialising import initialise
from prerl_spec.sdk import ModelSite


def save_trial_model(folder: Path) -> None:
    """Writes a folder that `from_pretrained` can load."""
    for name, text in tokenizer_files().items():
        (folder / name).write_text(text, encoding="utf-8")
    site = ModelSite(seed=0, device="cpu", tokenizer_folder=lambda name: folder)
    loaded = initialise(SMALLEST, str(folder), "float32", site)
    loaded.module.save_pretrained(folder)  # type: ignore[operator]
    loaded.tokenizer.save_pretrained(folder)

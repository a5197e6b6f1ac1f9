"""Loads a declared model as the policy, for a run and for scoring a checkpoint later."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from prerl_spec.engine.policy.frozen_base import with_base
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.policy.tokenizer_files import tokenizer_files, write_tokenizer
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.registry.kinds.data import Data
from prerl_spec.registry.kinds.model import Model, ModelSite


def open_policy(
    declared: Model, data: Mapping[str, Data], ranks: Ranks, folder: Path, *, seed: int, precision: str | None = None
) -> Policy:
    """Builds the model on this rank's device; a collective call.

    `data` are the declared data sets, one of which may provide the tokenizer: the main rank writes it below `folder`.
    `precision` is the compute dtype of forwards, by its name in torch; None means the model's. Raises EnvironmentUnmet
    if the data set named as tokenizer provides none, RunFailed for weights that are not finite.
    """

    tokenizer_folder = tokenizers_in(folder, data, ranks)
    loaded = declared.build(ModelSite(seed=seed, device=str(ranks.device), tokenizer_folder=tokenizer_folder))
    compute_dtype = loaded.compute_dtype if precision is None else getattr(torch, precision)
    return Policy(with_base(loaded, compute_dtype), ranks.device)


def tokenizers_in(folder: Path, data: Mapping[str, Data], ranks: Ranks) -> Callable[[str], Path]:
    """Writes the tokenizer files that a data set provides below `folder`, and returns their folder; a collective call."""

    def tokenizer_folder(name: str) -> Path:
        files, place = tokenizer_files(name, data[name]), folder / "tokenizers" / name
        ranks.main_does(lambda: write_tokenizer(files, place), f"the tokenizer of data.{name}")
        return place

    return tokenizer_folder

"""The laws of adapters hold for the built-in one, and tell a broken one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from prerl_components.adapters.lora import Lora
from prerl_components.adapters.low_rank import LowRank
from torch import Tensor

from prerl_spec.testing.laws import check_adapter


@pytest.mark.parametrize("settings", [{}, {"rank": 3, "alpha": 1.0, "targets": ("q_proj", "down_proj")}])
def test_lora_obeys(settings: dict[str, Any]) -> None:
    check_adapter(Lora(**settings))


class BeginsAnywhere(LowRank):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        with torch.no_grad():
            for parameter in self.parameters().values():
                parameter.fill_(0.1)


class StaysOn(LowRank):
    @contextmanager
    def off(self) -> Iterator[None]:
        yield


class ForgetsHalf(LowRank):
    def save(self, folder: Path, tensors: Mapping[str, Tensor]) -> None:
        super().save(folder, {name: value.bfloat16().float() for name, value in tensors.items()})


@pytest.mark.parametrize(
    ("broken", "words"),
    [(BeginsAnywhere, "output before training"), (StaysOn, "off"), (ForgetsHalf, "other values than were saved")],
)
def test_a_broken_adapter_is_told(broken: type[LowRank], words: str) -> None:
    class Broken(Lora):
        """Attaches what breaks a law."""

        def attach(self, module: torch.nn.Module, base: str, revision: str | None, seed: int) -> LowRank:
            return broken(
                module,
                rank=self.rank,
                alpha=self.alpha,
                targets=self.targets,
                dropout=self.dropout,
                merge=self.merge,
                base=base,
                revision=revision,
                seed=seed,
            )

    with pytest.raises(AssertionError, match=words):
        check_adapter(Broken())

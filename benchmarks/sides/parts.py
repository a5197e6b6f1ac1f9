"""Components of the side by side runs, as a plugin: a reward that gives every group signal, and two that write down what is
compared with TRL: the gradient of an update, the tokens of a step.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from prerl_components.optimizers.adamw import Adamw
from pydantic import Field

from prerl_spec.sdk import Attempt, Component, Group, RewardTerm, Step

ENTRY_POINTS = """[prerl_spec.reward]
bench.alternating = parts:Alternating

[prerl_spec.probe]
bench.tokens = parts:TokensWritten

[prerl_spec.optimizer]
bench.adamw = parts:GradientWritten
"""


def install(folder: Path) -> None:
    """Makes the folder one in which the interpreter finds these components, beside this file on the path."""
    found = folder / "bench_parts-1.dist-info"
    found.mkdir(parents=True, exist_ok=True)
    (found / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-parts\nVersion: 1\n")
    (found / "entry_points.txt").write_text(ENTRY_POINTS)


class Alternating(RewardTerm):
    """1 for every other response of a group, whatever it says: half right, half wrong, at any length."""

    formula: ClassVar[str] = "1[index in the group is odd]"

    def reward(self, attempt: Attempt, group: Group) -> float:
        # By identity: short responses of a group may be equal.
        return float(next(i for i, a in enumerate(group.attempts) if a is attempt) % 2)


class TokensWritten(Component):
    """Writes the contexts and responses of a step."""

    kind = "probe"
    every: int = Field(1, ge=1, description="steps between measurements")
    path: str = Field(description="file")

    def measure(self, step: Step) -> Mapping[str, float]:
        groups = [{"context": g.prompt.context, "responses": [a.tokens for a in g.attempts]} for g in step.groups]
        Path(self.path).write_text(json.dumps(groups))
        return {}


class GradientWritten(Adamw):
    """AdamW that writes the gradient of its first update."""

    path: str = Field(description="file")

    def build(self, named_parameters: Any) -> list[Any]:
        import torch

        named = list(named_parameters)
        (optimizer,) = super().build(named)

        def written(*_: Any) -> None:
            torch.save({name: parameter.grad for name, parameter in named}, self.path)

        optimizer.register_step_pre_hook(written)
        return [optimizer]

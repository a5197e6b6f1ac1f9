"""Draws the stored batches on which every objective is compared, from fixed seeds, and writes them as JSON.

    python benchmarks/agreement/make_batches.py tests/components/agreement/batches.json

Every value is a multiple of 2⁻¹⁰, hence the same number in float32, float64 and decimal. Each batch has three prompts of
four responses of 1 to 12 tokens; in one group all rewards are equal, and one response is cut off by the token budget.

- `near`: log-ratios of ±0.2 nats, rewards 0 and 1: what an update or two away from the sampler looks like;
- `far`: log-ratios of ±0.8, so that three of four tokens lie outside the default bounds; a sampler that is off by ±0.5;
- `graded`: rewards between 0 and 1 in two parts;
- `first`: as `near`, at the first update of a batch: the current log-probabilities are the old ones. For a few cases;
- `unscored`: as `near`, with one response in a group of mixed rewards that has no reward (a timeout). Advantages only.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

GROUPS, GROUP_SIZE, BUDGET = 3, 4, 12
GRID = 1024.0


@dataclass(frozen=True)
class Recipe:
    """How one batch is drawn: standard deviations in nats of what differs from the old log-probabilities."""

    name: str
    seed: int
    update: float
    sampler: float
    reference: float
    graded: bool = False
    unscored: bool = False


RECIPES = (
    Recipe("near", seed=3, update=0.2, sampler=0.1, reference=0.3),
    Recipe("far", seed=5, update=0.8, sampler=0.5, reference=0.8),
    Recipe("graded", seed=7, update=0.4, sampler=0.2, reference=0.4, graded=True),
    Recipe("first", seed=11, update=0.0, sampler=0.4, reference=0.3),
    Recipe("unscored", seed=3, update=0.2, sampler=0.1, reference=0.3, unscored=True),
)
RIGHT = ((1.0, 0.0, 0.0, 1.0), (1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 1.0, 0.0))
"""Group 1 has equal rewards: it teaches nothing where the baseline is the group's."""
GRADED = ((0.25, 1.0, 0.0, 0.5), (0.5, 0.5, 0.5, 0.5), (0.0, 0.75, 0.25, 1.0))
FORMAT = ((0.5, 0.0, 0.5, 0.0), (0.25, 0.25, 0.25, 0.25), (0.0, 0.0, 0.5, 0.5))
TRUNCATED = 8
"""This response is as long as the budget and lacks its EOS; it is wrong in every batch."""


def on_grid(values: Any) -> list[float]:
    return [float(v) for v in np.round(np.asarray(values, dtype=np.float64) * GRID) / GRID]


def draw(recipe: Recipe) -> dict[str, Any]:
    rng = np.random.default_rng(recipe.seed)
    lengths = rng.integers(1, BUDGET - 1, GROUPS * GROUP_SIZE)
    lengths[TRUNCATED] = BUDGET
    truncated = [bool(length == BUDGET) for length in lengths]
    count = int(lengths.sum())
    old = -np.clip(rng.gamma(1.2, 0.8, count), 0.02, 6.0)

    def moved(deviation: float) -> list[float]:
        return on_grid(np.minimum(old + rng.normal(0.0, deviation, count), -1.0 / GRID))

    old_N = on_grid(old)
    reward: list[float | None] = [r for row in (GRADED if recipe.graded else RIGHT) for r in row]
    parts: dict[str, list[float | None]] = {"score": list(reward), "format": [f for row in FORMAT for f in row]}
    if recipe.unscored:
        reward[2] = parts["score"][2] = None
    return {
        "name": recipe.name,
        "group_size": GROUP_SIZE,
        "max_new_tokens": BUDGET,
        "length_S": [int(length) for length in lengths],
        "truncated_S": truncated,
        "reward_S": reward,
        "parts_S": parts,
        "current_N": moved(recipe.update),
        "old_N": old_N,
        "sampler_N": moved(recipe.sampler),
        "reference_N": moved(recipe.reference),
        "entropy_N": on_grid(rng.gamma(1.5, 0.6, count)),
    }


def main() -> None:
    text = ",\n".join(json.dumps(draw(recipe)) for recipe in RECIPES)
    Path(sys.argv[1]).write_text(f"[\n{text}\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Does each family of objectives raise the reward in 45 steps? Paired seeds, from one pre-trained model.

    OMP_NUM_THREADS=1 python -m tests.product.learning [NAME ...] [--seeds 3] [--model FOLDER]

Pre-trains the quickstart's model on its corpus (once: a FOLDER that holds one is used), then trains an objective of each
family, or those named, from it, with the quickstart's task and optimizer, and scores 64 held-out chains, 8 responses each,
before and after. The last line of an objective is the mean change over seeds with its 95 % interval (Student's t). About a
minute of pre-training and 25 seconds a seed and objective on one core.
"""

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from prerl_spec.statistics.intervals import Interval, mean_interval
from tests.engine.runs import start
from tests.product.built_ins import built_ins

QUICKSTART = (Path(__file__).parents[2] / "specs" / "quickstart.toml").read_text()
STEPS = 45
FAMILIES: Mapping[str, str] = {
    "group_relative": "grpo",
    "off_policy": "cispo",
    "ppo": "reinforce_pp",
    "pretrain_space": "marginal_pg",
    "reinforce": "rloo",
    "sign_weighted": "w_reinforce",
}
"""Module of presets -> the one that is trained: of both signs where the family has one."""

PRETRAIN = (
    QUICKSTART[: QUICKSTART.index("[[evaluate]]")]
    + QUICKSTART[QUICKSTART.index("[[phases]]") : QUICKSTART.index('[[phases]]\nid = "prune"')]
)
TRAIN = """
spec = 1
run = {{ name = "learning", seed = {seed}, output_dir = "runs" }}
verifier = "exact_match"
sampler = {{ use = "transformers", group_size = 8, max_new_tokens = 110 }}
checkpoint = {{ every = 1000 }}
optimizer = {{ use = "adamw", lr = 2e-4, betas = [0.9, 0.95] }}
[model]
use = "hf_causal"
name = "{model}"
[data]
train = {{ use = "arithmetic_chains", part = "prompts" }}
heldout = {{ use = "arithmetic_chains", part = "easy" }}
[[evaluate]]
use = "holdout"
data = "heldout"
samples = 8
limit = 64
at = ["base", "end"]
[[phases]]
id = "train"
prompts_per_step = 8
objective = "{use}"
schedule = {{ use = "fixed_steps", steps = {steps} }}
"""


def families() -> dict[str, list[str]]:
    """Module of presets -> names of the registry."""
    found: dict[str, list[str]] = {}
    for use, cls in built_ins("objective").items():
        package, _, module = cls.__module__.rpartition(".")
        if package.endswith(".presets"):
            found.setdefault(module, []).append(use)
    return found


def pretrained(folder: Path) -> Path:
    """The folder of the quickstart's model after its first phase."""
    last = folder / "runs" / "quickstart" / "checkpoints" / "step-000650"
    if not last.exists():
        start(folder, PRETRAIN)
    return last


def change(folder: Path, model: Path, use: str, seed: int, *, steps: int = STEPS) -> tuple[float, float]:
    """Held-out reward before and after."""
    run = start(folder, TRAIN.format(model=model, use=use, seed=seed, steps=steps))
    scores = json.loads((run / "scores.json").read_text())
    before, after = (next(s["value"] for s in scores if s["global_step"] == step) for step in (0, steps))
    return before, after


def changes(folder: Path, model: Path, use: str, seeds: Sequence[int]) -> tuple[list[float], Interval]:
    """The change of each seed, and the interval of their mean."""
    found = []
    for seed in seeds:
        begun = time.monotonic()
        before, after = change(folder / f"{use}-{seed}", model, use, seed)
        found.append(after - before)
        print(f"{use:15} seed {seed}: {before:.3f} -> {after:.3f}, {time.monotonic() - begun:.0f} s", flush=True)
    return found, mean_interval(found)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("names", nargs="*", default=list(FAMILIES.values()))
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--model", type=Path)
    given = arguments.parse_args()
    with TemporaryDirectory() as scratch:
        model = pretrained(given.model or Path(scratch))
        for use in given.names:
            found, interval = changes(Path(scratch), model, use, range(given.seeds))
            mean = sum(found) / len(found)
            print(f"{use:15} change {mean:+.3f} [{interval.low:+.3f}, {interval.high:+.3f}]", flush=True)


if __name__ == "__main__":
    main()

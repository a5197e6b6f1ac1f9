"""Within a pass the host never waits for the device: what must be known of an update is asked for once, after its passes."""

import ast
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.token_losses.entropy import Entropy
from prerl_components.objectives.weighted_sum import WeightedSum
from torch.utils._python_dispatch import TorchDispatchMode

from tests.engine.steps import make_trainer, random_step, tiny_policy

ROOT = Path(__file__).parents[2]
ENGINE, COMPONENTS = ROOT / "prerl_spec/engine", ROOT / "components/prerl_components"
OF_A_PASS: dict[Path, tuple[str, ...]] = {
    ENGINE / "policy/forward.py": ("forward",),
    ENGINE / "policy/logprobs.py": ("chosen_logprobs", "forward", "backward"),
    ENGINE / "policy/head/blocks.py": (
        "places",
        "as_autocast_has_it",
        "blocks",
        "into",
        "add_into",
        "of",
        "joined",
        "of_logits",
    ),
    ENGINE / "policy/norms.py": ("_forward", "_apply", "_inverse_rms", "forward", "backward"),
    ENGINE / "policy/policy.py": ("logprobs", "_view", "row_logprobs"),
    ENGINE / "training/pass_loss.py": ("pass_loss", "_terms"),
    ENGINE / "training/part_inputs.py": ("part_inputs", "_without_gradient_elsewhere"),
    ENGINE / "training/pass_faults.py": ("keep_terms", "watch", "keep_gradients", "_kept"),
    ENGINE / "training/measured.py": ("add",),
    ENGINE / "training/on_policy.py": ("saw",),
    ENGINE / "training/trainer.py": ("_vectors", "_loss", "_tensors"),
}
"""File -> functions that every pass calls."""
OF_COMPONENTS = ("loss", "bounded", "weight", "ratio", "terms", "measures")
"""Methods of objectives, surrogates and corrections that every pass calls."""
FETCHING = {"item", "tolist", "nonzero", "cpu", "numpy", "argwhere", "masked_select", "unique"}
"""Methods and functions that need a value, or a number of values, of the device."""
ALLOWED = {
    ("forward.py", "forward", "unique"): "a model whose head is more than a matrix waits once a pass",
    ("part_inputs.py", "part_inputs", "unique"): "of a numpy array",
    ("part_inputs.py", "part_inputs", "tolist"): "of a numpy array",
}


def called(function: ast.FunctionDef) -> set[str]:
    """Names of what a function calls: `x.item()`, `torch.unique(x)`, `bool(x)`."""
    calls = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {f.attr if isinstance(f, ast.Attribute) else f.id for f in calls if isinstance(f, (ast.Attribute, ast.Name))}


def functions(file: Path) -> list[ast.FunctionDef]:
    return [n for n in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(n, ast.FunctionDef)]


@pytest.mark.parametrize("file", OF_A_PASS, ids=lambda file: file.name)
def test_no_function_of_a_pass_fetches_a_value(file: Path) -> None:
    found = {function.name: called(function) for function in functions(file) if function.name in OF_A_PASS[file]}
    assert set(found) == set(OF_A_PASS[file]), "a function was renamed: name it here again"
    for name, names in found.items():
        fetched = {word for word in names & (FETCHING | {"bool", "float"}) if (file.name, name, word) not in ALLOWED}
        # `x.float()` is a cast; `float(x)` would fetch.
        assert not fetched - {"float"}, (file.name, name, fetched)


def test_no_method_that_every_pass_calls_of_a_component_fetches_a_value() -> None:
    files = [f for kind in ("objectives", "surrogates", "corrections") for f in (COMPONENTS / kind).rglob("*.py")]
    methods = [(file, function) for file in files for function in functions(file) if function.name in OF_COMPONENTS]
    assert len(methods) > 20
    assert [(file.name, f.name) for file, f in methods if called(f) & (FETCHING | {"bool"})] == []


class _Fetched(TorchDispatchMode):
    """How often a value was fetched outside transformers' own code, by operation."""

    def __init__(self) -> None:
        super().__init__()
        self.count: Counter[str] = Counter()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(function)
        masked = "aten.index" in name and any(
            isinstance(i, torch.Tensor) and i.dtype == torch.bool
            for i in (args[1] if isinstance(args[1], (list, tuple)) else ())
        )
        fetches = ("local_scalar_dense", "nonzero", "masked_select", "unique", "is_nonzero", "aten.equal")
        if (masked or any(word in name for word in fetches)) and not _within("transformers"):
            self.count[name] += 1
        return function(*args, **(kwargs or {}))


def _within(package: str) -> bool:
    frame = sys._getframe(1)
    while frame is not None:
        if f"/{package}/" in frame.f_code.co_filename:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


@pytest.mark.parametrize("updates", [1, 2])
def test_an_update_of_many_passes_fetches_no_more_than_one_of_one_pass(updates: int) -> None:
    objective = WeightedSum(terms=(Grpo(importance="truncate"), Entropy(coefficient=0.01)))
    step = random_step(4, 4, seed=1)
    counts = []
    for tokens_per_pass in (4096, 64):
        passes: list[int] = []
        trainer = make_trainer(tiny_policy(), objective, updates_per_batch=updates, tokens_per_pass=tokens_per_pass)
        object.__setattr__(trainer, "tick", lambda stage, done, total, seen=passes: seen.append(total))
        with _Fetched() as fetched:
            trainer.train(step)
        counts.append((max(passes), fetched.count))
    (few, of_few), (many, of_many) = counts
    assert (few, many > 2) == (1, True)
    assert of_many == of_few
    assert of_few, "the optimizer and the loss are asked for, once an update"

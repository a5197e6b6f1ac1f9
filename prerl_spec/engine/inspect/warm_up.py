"""Keeps the pre-trained model of `try` in the user's cache: only the first trial pays for it."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from prerl_spec import __version__
from prerl_spec.compiler.compare.code_hash import code_hash, settings_hash
from prerl_spec.compiler.graph import Graph
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.planning.digest import meaning
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.run.position import Position
from prerl_spec.registry.component import Component

ENGINE = Path(__file__).parents[1]
_DIGITS = 16
"""Of the hash in a file's name."""


@dataclass(frozen=True)
class WarmUp:
    """The file of one pre-trained model: `WarmUp.of(plan, graph)`."""

    file: Path

    @classmethod
    def of(cls, plan: Plan, graph: Graph) -> "WarmUp":
        """The file for the first phase of a plan: one for each meaning of that phase, each seed, and each version of the
        code that trains it."""
        whole = hashlib.sha256()
        for part in _parts(plan, graph):
            whole.update(part.encode() + b"\0")
        for source in sorted(ENGINE.rglob("*.py")):
            whole.update(source.read_bytes())
        home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        return cls(Path(home) / "prerl-spec" / "try" / f"{whole.hexdigest()[:_DIGITS]}.safetensors")

    def load(self, policy: Policy) -> Position | None:
        """Puts the weights into the policy and returns the position after the phase; None if there is no such file, or
        none that can be read: then nothing is changed."""
        try:
            with safe_open(self.file, framework="pt") as saved:
                position = Position.from_json(json.loads((saved.metadata() or {})["position"]))
                names = saved.keys()
                found = {name: saved.get_tensor(name) for name in names}
        except (OSError, SafetensorError, KeyError, ValueError):
            return None
        parameters = dict(policy.parameters())
        if {n: t.shape for n, t in found.items()} != {n: p.shape for n, p in parameters.items()}:
            return None
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(found[name])
        return position

    def save(self, policy: Policy, at: Position) -> None:
        """Writes the weights and the position. A cache that cannot be written is none: the next trial trains again."""
        weights = {name: parameter.detach().contiguous() for name, parameter in policy.parameters()}
        partial = self.file.with_suffix(f".{os.getpid()}")
        with suppress(OSError, SafetensorError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            save_file(weights, partial, metadata={"position": json.dumps(at.to_json())})
            partial.replace(self.file)


def _parts(plan: Plan, graph: Graph) -> Iterator[str]:
    """What the pre-trained weights depend on."""
    tree = meaning(plan)
    first = graph.phases[0]
    yield __version__
    yield torch.__version__
    yield json.dumps(
        {"seed": plan.seed, "model": tree["model"], "phase": tree["phases"][0]}, sort_keys=True, default=str
    )
    yield json.dumps(tree["data"], sort_keys=True, default=str)
    named = (graph.model, first.objective, first.optimizer, *(graph.data[name] for name in first.data))
    for one in named:
        cls = type(one.component)
        assert issubclass(cls, Component), f"{one.use} is not a component"
        yield settings_hash(cls) + code_hash(cls)

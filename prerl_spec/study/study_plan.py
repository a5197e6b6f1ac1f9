"""The plan of a study: every arm at every seed, what several of them share, and what they are compared on."""

import json
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from prerl_spec.compiler.graph import Counted
from prerl_spec.compiler.plan import Plan
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.errors import Diagnostic
from prerl_spec.study.shared_phases import SharedPhases


@dataclass(frozen=True)
class Cell:
    """One arm at one seed: `Cell("dsrl", 3, plan, ("shared/0a1b…",))`.

    `plan` has all phases, as if nothing were shared, and no cut. `continues` are the shared runs that lead to it, each
    going on from the one before; none where its phases are its own from the first.
    """

    arm: str
    seed: int
    plan: Plan
    continues: tuple[SharedPhases, ...]

    @property
    def name(self) -> str:
        """`dsrl/3`, as `--cell` takes it."""
        return cell_name(self.arm, self.seed)


@dataclass(frozen=True)
class StudyPlan:
    """Arms in the order of the spec, the first one being what the others are compared with.

    `cells` are ordered by seed, then arm. `budget` is in what `match` counts, None for what the first arm takes.
    """

    name: str
    output_dir: Path
    spec_file: Path
    spec_text: str
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    match: Counted
    budget: float | None
    primary: str | None
    prior_sd: float | None
    cells: tuple[Cell, ...]
    notes: tuple[str, ...]
    warnings: tuple[Diagnostic, ...]
    resolved: Resolved
    """The spec itself, for places in it; its arms are those before the study has set anything."""
    unpaired: tuple[str, ...] = ()
    """In what arms are not paired with the first one, in words."""
    is_cut: bool = True
    """Whether arms end at a budget: not where none of them takes anything of what `match` counts."""

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the meaning of all cells and over what they are compared on; a prior is no part of it."""
        whole = {
            "cells": [[cell.arm, cell.seed, cell.plan.digest] for cell in self.cells],
            "match": self.match,
            "budget": self.budget,
            "primary": self.primary,
        }
        return sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()

    @cached_property
    def shared(self) -> tuple[SharedPhases, ...]:
        """Every shared run once, each after the one that it goes on from."""
        return tuple(dict.fromkeys(shared for cell in self.cells for shared in cell.continues))

    def cell(self, arm: str, seed: int) -> Cell:
        """The cell of an arm at a seed."""
        return next(cell for cell in self.cells if (cell.arm, cell.seed) == (arm, seed))

    def common(self, seed: int) -> SharedPhases | None:
        """The last shared run that all arms continue at a seed: amounts are counted from its end. None: from the start."""
        every = [cell.continues for cell in self.cells if cell.seed == seed]
        both = [shared for shared in every[0] if all(shared in continues for continues in every)]
        return both[-1] if both else None

    def base(self) -> str:
        """On what the seeds are paired, in words."""
        bases = list(dict.fromkeys(_base(cell.plan) for cell in self.cells if cell.arm == self.arms[0]))
        one = bases[0]
        if one is None:
            return "crosses bases and seeds: run.seed draws the initial weights too (model.seed or start.from give one base)"
        if len(bases) > 1:
            return f"crosses bases and seeds: {'; '.join(str(base) for base in bases)}"
        one = one if one.startswith("model.seed") else f"every seed {one}"
        first = self.common(self.seeds[0])
        trained = (
            "" if first is None else f"; each seed then trains {first.in_words()} of its own, which all its arms share"
        )
        return f"pairs on one base: {one}{trained}"


def _base(plan: Plan) -> str | None:
    """Where a run begins; None where run.seed draws its initial weights."""
    settings = plan.model.settings
    if plan.start is not None:
        return f"starts from {plan.start.origin}"
    if "name" in settings:
        return f"starts from {settings['name']}"
    return None if settings.get("seed") is None else f"model.seed = {settings['seed']}"


def cell_name(arm: str, seed: int) -> str:
    return f"{arm}/{seed}"

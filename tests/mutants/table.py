"""Faults that somebody could make tomorrow, each with the tests that must see it.

A row is an exact text of a file, what takes its place, what that breaks, and the tests (files, or single tests) every one
of which fails then. Whoever moves or rewrites such a line carries its row along: a text that is not there exactly once
fails the default suite.

Rows stand by the room of the code that they change; a new one may stand at the end of this file until it is sorted.
"""

from tests.mutants.components import (
    advantages,
    corrections,
    objectives,
    points,
    samplers,
    selections,
    stock,
    surrogates,
    verifiers,
)
from tests.mutants.core import compiler, declarations, language, laws, registry, rules, scores, storage, templates
from tests.mutants.engine import batches, head, policy, run, trainer, training, verification
from tests.mutants.mutant import Mutant

MUTANTS = (
    *advantages.ROWS,
    *corrections.ROWS,
    *objectives.ROWS,
    *points.ROWS,
    *samplers.ROWS,
    *selections.ROWS,
    *stock.ROWS,
    *surrogates.ROWS,
    *verifiers.ROWS,
    *compiler.ROWS,
    *declarations.ROWS,
    *language.ROWS,
    *laws.ROWS,
    *registry.ROWS,
    *rules.ROWS,
    *scores.ROWS,
    *storage.ROWS,
    *templates.ROWS,
    *batches.ROWS,
    *head.ROWS,
    *policy.ROWS,
    *run.ROWS,
    *trainer.ROWS,
    *training.ROWS,
    *verification.ROWS,
    Mutant(
        "hb01",
        "prerl_spec/engine/policy/head/blocks.py",
        "        highest_n = highest_n.clamp(min=torch.finfo(highest_n.dtype).min)\n",
        "",
        "a block of masked entries makes every log-probability no number",
        ("tests/engine/test_logprobs.py",),
    ),
)

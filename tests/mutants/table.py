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
from tests.mutants.places import INTEGRITY, PHASE

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
    Mutant(
        "qr01",
        "prerl_spec/evaluation/scores/question_results.py",
        "return read_header(file) == header",
        "return True",
        "two evaluators of one task leave the questions of the second alone",
        ("tests/evaluation/test_question_results.py",),
    ),
    Mutant(
        "qr02",
        "prerl_spec/storage/counted_lines.py",
        "if found.torn or len(entries) != header[COUNT]:",
        "if found.torn:",
        "the last questions of a file can be lost without a word",
        ("tests/evaluation/test_question_results.py",),
    ),
    Mutant(
        "qr03",
        "prerl_spec/evaluation/holdout.py",
        "return keep_questions(site, known)",
        "return known.scores",
        "a score from the cache has no questions beside it",
        ("tests/evaluation/test_question_results.py",),
    ),
    Mutant(
        "qr04",
        "prerl_spec/evaluation/scores/question_results.py",
        "if aggregate != MEAN:",
        "if False:",
        "a perplexity is taken for the mean of its questions",
        ("tests/evaluation/test_question_results.py",),
    ),
    Mutant(
        "qr05",
        "prerl_spec/engine/inspect/check_scores.py",
        "if now[name] == expected.get(name, now[name])",
        "if True",
        "the questions of another score stand unseen under this one's name",
        INTEGRITY,
    ),
    Mutant(
        "pa01",
        "prerl_spec/engine/processes/streams.py",
        'named_seed(self.run.seed, "phase", self.phase, self.step, refill, slot, sample)',
        'named_seed(self.run.seed, "phase", self.phase, self.global_step, refill, slot, sample)',
        "arms with other warm-ups draw other samples",
        ("tests/engine/test_streams.py",),
    ),
    Mutant(
        "pa02",
        "prerl_spec/compiler/build_graph.py",
        'restart_data=plan.streams == "phase" or schedule.component.data == "restart"',
        'restart_data=schedule.component.data == "restart"',
        "a phase continues in the data of the one before it, and arms with other warm-ups meet other prompts",
        ("tests/engine/test_streams.py",),
    ),
    Mutant(
        "pa03",
        "prerl_spec/engine/processes/streams.py",
        'named_seed(self.run.seed, "order", data, epoch)',
        'named_seed(self.run.seed, "order", self.phase, data, epoch)',
        "a run that an earlier version began goes on with other rows",
        ("tests/engine/test_streams.py",),
    ),
    Mutant(
        "pa04",
        PHASE,
        "len(minibatches) if trains(self.objective) else 0",
        "len(minibatches)",
        "the null arm counts updates that it never takes",
        ("tests/engine/test_streams.py",),
    ),
)

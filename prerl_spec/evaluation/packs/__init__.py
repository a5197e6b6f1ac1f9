"""Our own benchmarks: YAML files of lm-eval's format, with what is known about their rows, and the reader of both."""

from prerl_spec.evaluation.packs.columns import Columns, question_and_answer
from prerl_spec.evaluation.packs.pack import Pack, own_tasks, packs

__all__ = ["Columns", "Pack", "own_tasks", "packs", "question_and_answer"]

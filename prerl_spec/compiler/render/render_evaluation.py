"""How each task is sampled, in words: a line a task, and a note where its source samples otherwise."""

from collections.abc import Mapping, Sequence
from typing import Any

from prerl_spec.compiler.plan import TaskPlan
from prerl_spec.compiler.render.human_units import line, plural, table


def render_tasks(tasks: Sequence[TaskPlan]) -> list[str]:
    """The lines of all tasks, then the notes."""
    lines = table((f"  {task.task}", _asked(task), _sampled(task), _protocol(task)) for task in tasks)
    for task in tasks:
        if task.note:
            lines += line("  note", f"{task.task}: {task.note}")
    return lines


def _asked(task: TaskPlan) -> str:
    questions = "questions unknown" if task.questions is None else plural(task.questions, "question")
    if not task.generates:
        return questions
    return f"{questions} x {'?' if task.samples is None else task.samples}"


def _sampled(task: TaskPlan) -> str:
    if not task.generates:
        return "log-probabilities"
    return "as its own YAML says" if task.decoding is None else decoding_words(task.decoding)


def _protocol(task: TaskPlan) -> str:
    if not task.generates:
        return ""
    return "no protocol" if task.protocol == "off" else f"protocol {task.protocol}"


def decoding_words(decoding: Mapping[str, Any]) -> str:
    """ "T 0.6, top_p 0.95, at most 32,768 tokens"; what is off is left out."""
    words = ["greedy" if decoding["temperature"] == 0 else f"T {decoding['temperature']:g}"]
    if decoding["temperature"] != 0:
        words += [f"top_p {decoding['top_p']:g}"] if decoding["top_p"] != 1 else []
        words += [f"top_k {decoding['top_k']}"] if decoding["top_k"] else []
    return ", ".join([*words, f"at most {decoding['max_new_tokens']:,} tokens"])

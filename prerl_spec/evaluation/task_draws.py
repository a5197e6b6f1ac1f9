"""How each task of an evaluator is sampled: its settings, its protocol, and what the task's source uses instead."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from prerl_spec.evaluation.names import is_stock
from prerl_spec.evaluation.packs import packs
from prerl_spec.evaluation.protocols import PROTOCOLS, Sampling, said_by_task, says_tokens
from prerl_spec.registry.kinds.evaluator import TaskDraw
from prerl_spec.types import Decoding

SAMPLING_KEYS = ("output_type", "generation_kwargs", "repeats")
"""What of a stock task's configuration bears on how it is sampled."""


@dataclass(frozen=True)
class Wanted:
    """What the settings of an evaluator say about sampling; None is unwritten."""

    protocol: str
    written: Sampling
    samples: int = 1
    """Responses a question where neither the settings nor a protocol say a number."""


def task_draw(
    task: str, wanted: Wanted, base: Decoding, config: Mapping[str, Any] | None, questions: int | None
) -> TaskDraw:
    """Decoding and samples of one task; `base` is the sampler's decoding, `config` what is known of a stock task's YAML.

    None for decoding and samples of a task under the protocol "task" whose YAML is not known: a group's members may differ.
    """
    if config is not None and config.get("output_type", "generate_until") != "generate_until":
        return TaskDraw(task, None, 1, wanted.protocol, questions, generates=False)
    if wanted.protocol == "task" and config is None and _is_foreign(task):
        return TaskDraw(task, None, None, wanted.protocol, questions)
    decoding, samples = drawn(task, wanted, base, config)
    note = _note(task, wanted.protocol, decoding, samples, config)
    is_known = not _is_foreign(task) or (config is not None and "class" not in config)
    return TaskDraw(task, decoding, samples, wanted.protocol, questions, note, is_known=is_known)


def drawn(task: str, wanted: Wanted, base: Decoding, config: Mapping[str, Any] | None) -> tuple[Decoding, int]:
    """The decoding and the samples: written settings first, then the protocol's, then the sampler's."""
    said = protocol_sampling(wanted.protocol, task, config)
    decoding = wanted.written.decoding(said.decoding(base))
    samples = next((n for n in (wanted.written.samples, said.samples) if n is not None), wanted.samples)
    if wanted.written.samples is None and (decoding.temperature == 0 or not _may_repeat(config)):
        samples = 1
    return decoding, samples


def protocol_sampling(protocol: str, task: str, config: Mapping[str, Any] | None) -> Sampling:
    """What a protocol says about a task; nothing for "off"."""
    if protocol == "off":
        return Sampling()
    if protocol != "task":
        return PROTOCOLS[protocol].of_task(task)
    own = packs().get(task)
    if own is not None:
        return said_by_task(own.sampling, own.sampling["repeats"]) if own.hub else Sampling()
    # The repeats of a stock task belong to its own vote: they are lm-eval's to draw.
    return replace(said_by_task((config or {}).get("generation_kwargs")), samples=1)


def _may_repeat(config: Mapping[str, Any] | None) -> bool:
    """Whether more than one response can be asked for: not of log-probabilities, nor of a task that samples and votes."""
    said = config or {}
    return said.get("output_type", "generate_until") == "generate_until" and (said.get("repeats") or 1) == 1


def _is_foreign(task: str) -> bool:
    return is_stock(task) or task not in packs()


def _note(task: str, protocol: str, decoding: Decoding, samples: int, config: Mapping[str, Any] | None) -> str | None:
    """Where no protocol is stated and the task's source samples otherwise."""
    if protocol != "off":
        return None
    own = packs().get(task)
    if own is not None and own.protocol != "off":
        usual, name = PROTOCOLS[own.protocol].of_task(task), own.protocol
    elif own is None and config is not None:
        kwargs = config.get("generation_kwargs")
        said = said_by_task(kwargs)
        usual, name = replace(said, max_new_tokens=said.max_new_tokens if says_tokens(kwargs) else None), "task"
    else:
        return None
    others = usual.differences(decoding, samples)
    if not others:
        return None
    source = "its scores are usually stated at" if own else "its own YAML says"
    return f'{source} {", ".join(others)}: protocol = "{name}"'

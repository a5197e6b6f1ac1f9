"""Renders templates in a process of its own, in batches, with a cache of what was rendered before.

The process starts with the first rendering, ends with ours, and is replaced after it was ended.
"""

import atexit
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Literal, NamedTuple

from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.templates.render_process import RenderProcess

SECONDS = 5.0
"""Of CPU time for one batch: a prompt takes well below a millisecond."""
WALL_SECONDS = 60.0
"""On the clock, for a batch whose process gets no CPU time; tried twice."""
MEMORY_BYTES = 1 << 30
"""Address space of the process; Python with Jinja takes about 30 MB of it."""
BATCH = 128
CACHED_CHARACTERS = 1 << 24
"""Of all renderings in the cache together."""

Kind = Literal["chat", "row"]


class TemplateFault(NamedTuple):
    """Why a rendering failed: `TemplateFault("error", "division by zero (ZeroDivisionError)", 3)`, at line 3 of the template.

    "refused" is the template's own `raise_exception`, "undefined" a variable that is not there.
    """

    kind: Literal["refused", "undefined", "error", "time", "memory", "size", "death"]
    message: str
    line: int | None = None

    def __str__(self) -> str:
        line = "" if self.line is None else f" (line {self.line})"
        return f"the template failed{line}: {self.message}"

    @property
    def is_final(self) -> bool:
        """Whether nothing is rendered after it: with other variables it would cost as much again."""
        return self.kind in ("time", "memory", "size", "death")


Rendered = str | TemplateFault
"""A text, or why there is none."""


class Renderer:
    """`Renderer().render("row", "{{ a }}", [{"a": 1}])` is `["1"]`. May be used by several threads."""

    def __init__(self, *, seconds: float = SECONDS, memory_bytes: int = MEMORY_BYTES) -> None:
        self.seconds = seconds
        self.memory_bytes = memory_bytes
        self._process: RenderProcess | None = None
        self._lock = threading.Lock()
        self._cache: OrderedDict[bytes, str] = OrderedDict()
        self._cached_characters = 0

    def render(
        self, kind: Kind, template: str, each: Sequence[Mapping[str, Any]], shared: Mapping[str, Any] | None = None
    ) -> list[Rendered]:
        """A text, or why there is none, for each set of variables, which `shared` ones complete; after a final fault,
        nothing more. Raises EnvironmentUnmet if the process cannot be started, or ends whatever the template.

        Variables reach a template as JSON. A value of another type reaches a row's template as its text, and a chat
        template as the name of its type, as transformers does it.
        """
        words = str if kind == "row" else _name_of_type
        common = _json(shared or {}, words)
        fields = (
            ("kind", _json(kind)),
            ("template", _json(template)),
            ("seconds", _json(self.seconds)),
            ("shared", common),
        )
        opening = b"{" + b"".join(b'"%b":%b,' % (name.encode(), value) for name, value in fields) + b'"each":['
        start = blake2b(opening, digest_size=16)
        bodies = [_json(variables, words) for variables in each]
        keys = [_key(start, body) for body in bodies]
        with self._lock:
            found: dict[int, Rendered] = {n: self._cache[key] for n, key in enumerate(keys) if key in self._cache}
            missing = [n for n in range(len(bodies)) if n not in found]
            for first in range(0, len(missing), BATCH):
                numbers = missing[first : first + BATCH]
                outcomes = self._batch(opening, [bodies[n] for n in numbers])
                found.update(zip(numbers, outcomes, strict=False))
                if _is_final(outcomes[-1]):
                    break
            # What a template makes of the time is not what it makes of it later.
            if "strftime_now" not in template:
                for number in missing:
                    if isinstance(text := found.get(number), str):
                        self._keep(keys[number], text)
        return list(_up_to_a_final_fault(found, len(bodies)))

    def close(self) -> None:
        """Ends the process; the next rendering starts another."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def forget(self) -> None:
        """In a forked process: the process is the other one's, and the lock may be held for ever."""
        self._process = None
        self._lock = threading.Lock()

    def _batch(self, opening: bytes, bodies: Sequence[bytes]) -> list[Rendered]:
        """The outcomes of one request; where not all came, the last one is a final fault."""
        outcomes: list[Rendered] = []
        for _attempt in range(2):
            process = self._running()
            request = opening + b",".join(bodies[len(outcomes) :]) + b"]}"
            try:
                replies = process.ask(request, len(bodies) - len(outcomes), WALL_SECONDS)
            except BaseException:
                # A signal came in between: what the process still says would answer another question.
                self.close()
                raise
            outcomes += map(_outcome, replies)
            if outcomes and _is_final(outcomes[-1]):
                self.close()
                return outcomes
            if len(outcomes) == len(bodies):
                return outcomes
            if process.used_up_its_time:
                return [*outcomes, TemplateFault("time", f"it takes more than {self.seconds:g} s of CPU time")]
            fault = _of_an_ended(process)
        if fault.kind == "death" and not self._renders_at_all():
            raise EnvironmentUnmet(
                f"the process that renders templates {process.how_it_ended()}, whatever the template",
                hint="free memory or processes on this machine, then re-run the same command",
            )
        return [*outcomes, fault]

    def _renders_at_all(self) -> bool:
        """Whether a template without anything in it is rendered: what ended the process was then the other one."""
        request = b'{"kind":"row","template":"","seconds":5,"shared":{},"each":[{}]}'
        return len(self._running().ask(request, 1, WALL_SECONDS)) == 1

    def _running(self) -> RenderProcess:
        """The process, started where there is none that lives."""
        if self._process is not None and self._process.has_ended:
            self.close()
        if self._process is None:
            self._process = RenderProcess(self.memory_bytes)
        return self._process

    def _keep(self, key: bytes, text: str) -> None:
        self._cache[key] = text
        self._cached_characters += len(text)
        while self._cached_characters > CACHED_CHARACTERS:
            self._cached_characters -= len(self._cache.popitem(last=False)[1])


RENDERER = Renderer()
"""The one of this process."""
atexit.register(RENDERER.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=RENDERER.forget)


def _outcome(reply: Mapping[str, Any]) -> Rendered:
    return reply["text"] if "text" in reply else TemplateFault(reply["fault"], reply["message"], reply["line"])


def _of_an_ended(process: RenderProcess) -> TemplateFault:
    if process.is_overdue:
        return TemplateFault("time", f"it gave no answer within {WALL_SECONDS:g} s, twice")
    return TemplateFault("death", f"the process that renders it {process.how_it_ended()}, twice")


def _is_final(outcome: Rendered) -> bool:
    return isinstance(outcome, TemplateFault) and outcome.is_final


def _up_to_a_final_fault(found: Mapping[int, Rendered], count: int) -> Iterator[Rendered]:
    for number in range(count):
        if number not in found:
            return
        yield found[number]
        if _is_final(found[number]):
            return


def _key(start: Any, body: bytes) -> bytes:
    hasher = start.copy()
    hasher.update(body)
    digest: bytes = hasher.digest()
    return digest


def _json(value: Any, words: Callable[[Any], str] = str) -> bytes:
    return json.dumps(value, default=words).encode("ascii")


def _name_of_type(value: Any) -> str:
    return f"<{type(value).__name__}>"

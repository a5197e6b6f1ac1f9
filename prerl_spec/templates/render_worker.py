"""The process that renders templates: `python -m prerl_spec.templates.render_worker MEMORY_BYTES`.

Reads requests from stdin and writes one reply a rendering to stdout, in frames of JSON, until stdin closes. The kernel ends
it when a request takes more than its seconds of CPU time, also within a single operation that is not Python code, and
limits its address space. Where there are no such limits (Windows), the other end's clock ends it.
"""

import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateError, TemplateSyntaxError, UndefinedError

from prerl_spec.process.json_frames import frame, read_frame
from prerl_spec.process.memory_limit import limit_memory
from prerl_spec.templates.environment import CHAT, ROW, Refused

MAX_CHARACTERS = 1 << 24
"""Of one rendering: more is no prompt."""
MAX_MESSAGE = 500
OUT_OF_MEMORY = 3
"""Exit code after an allocation failed: what is left of the heap is not used again."""
_HALF_A_PAIR = re.compile("[\\ud800-\\udfff]")
"""No tokenizer takes it; in a row's template it is the row that is unreadable."""
_CODE_OF_TEMPLATES = ("<template>", "<unknown>")
"""The names that Jinja gives to the code of a template without a file."""


def main() -> None:
    """Renders until stdin closes. A request: `kind` ("chat", "row"), `template`, `shared` and `each` variables, `seconds`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    limit_memory(int(sys.argv[1]))
    _write_no_core()
    while (request := read_frame(sys.stdin.buffer)) is not None:
        _cpu_time(request["seconds"])
        for reply in _replies(request):
            _write(frame(reply))
            if reply.get("fault") == "memory":
                os._exit(OUT_OF_MEMORY)
        _cpu_time(0)


def _replies(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for own in request["each"]:
        try:
            text = _template(request["kind"], request["template"]).render({**request["shared"], **own})
            if len(text) > MAX_CHARACTERS:
                yield {"fault": "size", "message": f"it renders {len(text):,} characters", "line": None}
            elif request["kind"] == "chat" and (half := _HALF_A_PAIR.search(text)):
                where = f"at character {half.start() + 1}"
                yield {"fault": "error", "message": f"it renders half of a surrogate pair {where}", "line": None}
            else:
                yield {"text": text}
        except MemoryError:
            yield {"fault": "memory", "message": "it needs too much memory", "line": None}
        except Exception as error:  # a template may raise whatever Python can raise
            yield {"fault": _kind(error), "message": _message(error), "line": _line(error)}


@lru_cache(maxsize=64)
def _template(kind: str, text: str) -> Template:
    return (ROW if kind == "row" else CHAT).from_string(text)


def _kind(error: Exception) -> str:
    if isinstance(error, Refused):
        return "refused"
    return "undefined" if isinstance(error, UndefinedError) else "error"


def _message(error: Exception) -> str:
    # Python's own syntax errors (a `{% break %}` outside a loop) name a line of the code that Jinja has made.
    words = error.msg if isinstance(error, SyntaxError) else str(error)
    text = " ".join(words.split())[:MAX_MESSAGE]
    if isinstance(error, TemplateError):
        return text
    return f"{text} ({type(error).__name__})" if text else type(error).__name__


def _line(error: Exception) -> int | None:
    """The line of the template at which it failed: the innermost one that is the template's own."""
    if isinstance(error, TemplateSyntaxError):
        return error.lineno
    line, traceback = None, error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename in _CODE_OF_TEMPLATES:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def _cpu_time(seconds: float) -> None:
    """The kernel sends SIGPROF, which ends the process, after so many seconds of CPU time; 0: never."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _write_no_core() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()

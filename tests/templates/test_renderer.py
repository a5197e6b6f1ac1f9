"""The process that renders: what a template costs is bounded, a killed process is replaced, nothing of ours is in it."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.templates import renderer as renderer_module
from prerl_spec.templates.render_process import RenderProcess
from prerl_spec.templates.renderer import RENDERER, Renderer, TemplateFault

LOOPS = "{% for a in range(n) %}{% for b in range(n) %}{% for c in range(n) %}{% endfor %}{% endfor %}{% endfor %}"

BOMBS = {
    "loops": ("{% set n = 99999 %}" + LOOPS, "time"),
    "an expression": ("{{ 3 ** (10 ** 8) }}", "time"),
    "doubling": ("{% set ns = namespace(s='xx') %}{% for i in range(40) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "memory"),
    "a width": ("{{ '%999999999d' % 5 }}", "memory"),
    "a repetition": ("{{ 'x' * 10 ** 11 }}", "memory"),
    "a list": ("{{ [0] * 10 ** 10 }}", "memory"),
    "a long text": ("{% for i in range(1) %}{{ i | string | center(20000000) }}{% endfor %}", "size"),
    "a range": ("{{ range(10 ** 9) | list }}", "error"),
    "macros": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "error"),
    "nesting": ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "error"),
    "a file": ("{% include '/etc/passwd' %}", "error"),
    "an import": ("{% import 'os' as os %}{{ os.environ }}", "error"),
}  # fmt: skip


@pytest.fixture(scope="module")
def bounded() -> Iterator[Renderer]:
    made = Renderer(seconds=0.3, memory_bytes=256 << 20)
    yield made
    made.close()


@pytest.fixture
def fresh() -> Iterator[Renderer]:
    made = Renderer()
    yield made
    made.close()


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_with_its_cause_and_the_next_template_renders(bounded: Renderer, name: str) -> None:
    template, kind = BOMBS[name]
    (outcome,) = bounded.render("row", template, [{}])
    assert isinstance(outcome, TemplateFault)
    assert outcome.kind == kind
    # Not by the clock, which other processes may hold up.
    assert kind != "time" or "CPU time" in outcome.message
    assert bounded.render("row", "{{ a }}", [{"a": name}]) == [name]


def test_the_rows_before_a_bomb_are_rendered_and_those_after_it_are_not(bounded: Renderer) -> None:
    outcomes = bounded.render("row", LOOPS + "{{ n }}", [{"n": n} for n in (1, 2, 99999, 3)])
    assert outcomes[:2] == ["1", "2"]
    assert [isinstance(o, TemplateFault) and o.kind for o in outcomes[2:]] == ["time"]


def test_a_fault_of_one_row_is_not_that_of_the_next(fresh: Renderer) -> None:
    outcomes = fresh.render("row", "\n{{ 6 // n }}", [{"n": 1}, {"n": 0}, {"n": 2}, {}])
    assert outcomes == [
        "\n6",
        TemplateFault("error", "integer division or modulo by zero (ZeroDivisionError)", 2),
        "\n3",
        TemplateFault("undefined", "'n' is undefined", 2),
    ]


def test_many_rows_come_back_in_their_order(fresh: Renderer) -> None:
    rows: list[dict[str, Any]] = [{"n": n % 700} for n in range(1000)]
    assert fresh.render("row", "{{ n }}é\ud800", rows) == [f"{row['n']}é\ud800" for row in rows]


def test_a_killed_process_is_replaced(fresh: Renderer) -> None:
    assert fresh.render("row", "{{ a }}", [{"a": 1}]) == ["1"]
    assert fresh._process is not None
    killed = fresh._process._process.pid
    os.kill(killed, signal.SIGKILL)
    os.waitid(os.P_PID, killed, os.WEXITED | os.WNOWAIT)
    assert fresh.render("row", "{{ a }}", [{"a": 2}]) == ["2"]


def killing(monkeypatch: pytest.MonkeyPatch, which: str) -> list[int]:
    """Each process is killed, as the kernel does when memory is short, at a request with `which` in it."""
    killed: list[int] = []
    ask = RenderProcess.ask

    def ask_one_that_dies(process: RenderProcess, request: bytes, *arguments: Any) -> Any:
        if which.encode() in request:
            killed.append(process._process.pid)
            os.kill(process._process.pid, signal.SIGKILL)
            os.waitid(os.P_PID, killed[-1], os.WEXITED | os.WNOWAIT)
        return ask(process, request, *arguments)

    monkeypatch.setattr(RenderProcess, "ask", ask_one_that_dies)
    return killed


def test_a_template_whose_process_dies_twice_is_at_fault(fresh: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = killing(monkeypatch, "{{ a }}")
    (outcome,) = fresh.render("row", "{{ a }}", [{"a": 1}])
    assert outcome == TemplateFault("death", "the process that renders it was ended by SIGKILL, twice")
    assert len(set(killed)) == 2


def test_a_machine_where_no_template_renders_is_at_fault(fresh: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    killing(monkeypatch, "template")
    with pytest.raises(EnvironmentUnmet) as caught:
        fresh.render("row", "{{ a }}", [{"a": 1}])
    assert caught.value.message == "the process that renders templates was ended by SIGKILL, whatever the template"


def test_a_process_that_does_not_answer_is_asked_once_more(fresh: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderer_module, "WALL_SECONDS", 0.3)
    asked: list[int] = []
    ask = RenderProcess.ask

    def ask_a_stopped_one(process: RenderProcess, *arguments: Any) -> Any:
        asked.append(process._process.pid)
        os.kill(process._process.pid, signal.SIGSTOP)
        return ask(process, *arguments)

    monkeypatch.setattr(RenderProcess, "ask", ask_a_stopped_one)
    (outcome,) = fresh.render("row", "{{ a }}", [{"a": 1}])
    assert isinstance(outcome, TemplateFault)
    assert outcome.kind == "time"
    assert len(set(asked)) == 2


def test_a_signal_between_question_and_answer_leaves_no_answer_behind(
    fresh: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(stream: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("prerl_spec.templates.render_process.read_frame", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fresh.render("row", "{{ a }}", [{"a": "old"}])
    assert fresh.render("row", "{{ a }}", [{"a": "new"}]) == ["new"]


def test_what_was_rendered_once_needs_no_process(fresh: Renderer) -> None:
    rows = [{"a": n} for n in range(3)]
    assert fresh.render("row", "{{ a }}", rows) == ["0", "1", "2"]
    fresh.close()
    assert fresh.render("row", "{{ a }}", rows) == ["0", "1", "2"]
    assert fresh._process is None
    assert fresh.render("row", "{{ a }}!", rows) == ["0!", "1!", "2!"]


def test_the_time_is_not_remembered(fresh: Renderer) -> None:
    first = fresh.render("chat", "{{ strftime_now('%f') }}", [{}])
    time.sleep(0.002)
    assert fresh.render("chat", "{{ strftime_now('%f') }}", [{}]) != first


def test_a_long_memory_forgets_the_oldest(fresh: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderer_module, "CACHED_CHARACTERS", 10)
    fresh.render("row", "{{ a }}", [{"a": "x" * 4}, {"a": "y" * 4}, {"a": "z" * 4}])
    assert list(fresh._cache.values()) == ["yyyy", "zzzz"]


def test_no_secret_is_in_the_process(fresh: Renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "a-secret-of-ours")
    fresh.render("row", "x", [{}])
    assert fresh._process is not None
    environment = Path(f"/proc/{fresh._process._process.pid}/environ").read_bytes()
    assert b"PYTHONPATH" in environment
    assert b"a-secret-of-ours" not in environment


def test_a_forked_process_does_not_talk_to_its_parents_renderer() -> None:
    assert RENDERER.render("row", "{{ a }}", [{"a": "parent"}]) == ["parent"]
    before = RENDERER._process
    child = os.fork()
    if child == 0:
        os._exit(0 if RENDERER._process is None else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert RENDERER._process is before

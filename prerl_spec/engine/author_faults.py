"""An exception in a component of somebody's own is reported as its author's: component, file and line, and what to do.

A failure of a built-in component propagates unchanged: there it is a bug of prerl-spec. So do what the machine refuses
(no memory left), errors that a component raises on purpose (`RunFailed` of `prerl_spec.sdk`), and signals.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from prerl_spec.errors import AuthorFault, PrerlError, RunFailed
from prerl_spec.needs import Need
from prerl_spec.registry.author_code import CodePlace, authored_in, definition, frame_of_authors
from prerl_spec.registry.entry_points import cause_of, name_of
from prerl_spec.situations import no_memory_left
from prerl_spec.types import Array, Group, Step

SHOWN_CAUSE = 400
"""Characters of an exception's own message: libraries append whole C++ stacks."""

BY_TERMS = ("terms", "measures", "loss", "bounded")
"""Methods that read the vectors named by `needs()`; what is computed before them reads those of `reads()`."""


@contextmanager
def blames(component: object, method: str, *, name: str | None = None) -> Iterator[None]:
    """Inside, `method` of a component is called, and nothing else: what it raises becomes AuthorFault (exit 5).

    `name` is the component's name in the spec, its class's without one. A component of ours with one of an author's in
    a slot is judged with it: the frame that is deepest in an author's code is named, else where their class is defined.
    """
    try:
        yield
    except PrerlError:
        raise
    except Exception as error:  # an author's code may raise anything
        authored = authored_in(component)
        if not authored or no_memory_left(error) is not None:
            raise
        frame = frame_of_authors(error, authored) or definition(authored[0])
        raise AuthorFault(
            f"the {_named(component, name)} failed in `{frame.function}` ({frame.where}): "
            f"{_shortened(cause_of(error))}",
            hint=f"{_what_to_do(error, method, frame)}; the step was not taken. `prerl-spec try FILE.py` and `plugin "
            "check` test a component against the laws of its kind; --traceback shows the whole traceback",
        ) from error


def require_finite(
    component: object,
    method: str,
    values: Array,
    place: Callable[[int], str],
    *,
    name: str | None = None,
    is_gradient: bool = False,
) -> None:
    """Raises RunFailed if one of the values that `method` gives, or of its gradient, is no finite number; `place` says in
    words what the value at an index belongs to: `partial(token_place, step)` for [N], `partial(sample_place, step)` for
    [S]."""
    bad = np.flatnonzero(~np.isfinite(values))
    if not len(bad):
        return
    gives, must = ("as the gradient of", "have a finite gradient") if is_gradient else ("in", "return finite numbers")
    raise RunFailed(
        f"the {_named(component, name)} gives {values[bad[0]]} {gives} `{method}` for {place(int(bad[0]))}: {len(bad)} of "
        f"{len(values)} values are not finite",
        hint=f"`{method}` ({defined_at(component, method)}) must {must}; nothing was applied, and the journal holds the "
        "step's responses",
    )


def defined_at(component: object, method: str) -> str:
    """Where the method that a component runs is defined: "FILE:LINE"."""
    return definition(getattr(type(component), method, type(component))).where


def token_place(step: Step, token: int) -> str:
    """A trained token of a step in words: "prompt train[17], attempt 2, token 5 (id 345)", all counted from 0."""
    tokens = step.tokens
    sample = int(tokens.sample_N[token])
    return f"{sample_place(step, sample)}, token {tokens.position_N[token]} (id {tokens.id_N[token]})"


def sample_place(step: Step, sample: int) -> str:
    """A sample of a step in words: "prompt train[17], attempt 2"."""
    group = int(step.group_S[sample])
    return attempt_place(step.groups[group], sample - int(np.searchsorted(step.group_S, group)))


def attempt_place(group: Group, attempt: int) -> str:
    """An attempt of a group in words, with the row of its prompt: "prompt train[17], attempt 2"."""
    return f"prompt {group.prompt.data}[{group.prompt.row}], attempt {attempt}"


def shown_name(component: object) -> str:
    """What the spec calls an author's component; a class's own name where that is not known."""
    return name_of(type(component)) or type(component).__name__


def _named(component: object, name: str | None) -> str:
    return f"{getattr(component, 'kind', 'component')} `{name or shown_name(component)}`"


def _what_to_do(error: Exception, method: str, frame: CodePlace) -> str:
    need = error.args[0] if isinstance(error, KeyError) and error.args else None
    if isinstance(need, Need):
        declared = "needs()" if method in BY_TERMS else "reads()"
        return f"add the `{need.of}` vector of the view `{need.view.name}` to its `{declared}`: `{method}` reads it"
    return f"fix `{frame.function}`"


def _shortened(cause: str) -> str:
    return cause if len(cause) <= SHOWN_CAUSE else f"{cause[:SHOWN_CAUSE]}…"

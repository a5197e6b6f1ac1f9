"""Checks names that refer to phases (`after`) and data sets (`data`, settings marked DataName): E0602, E0604."""

from collections.abc import Iterator

from prerl_spec.codes import Code
from prerl_spec.compiler.resolve.resolved import Built, Resolved
from prerl_spec.compiler.rules.rule_diagnostic import use_place
from prerl_spec.compiler.rules.served import Served, nested, served_data
from prerl_spec.errors import Diagnostic, Label, Suggestion
from prerl_spec.language.document import join_path
from prerl_spec.language.suggest import nearest, one_of
from prerl_spec.registry.component import DataName


def phase_order(resolved: Resolved) -> Iterator[Diagnostic]:
    """`after` must name a phase and must not form a cycle."""
    phases = resolved.spec.phases
    index: dict[str, int] = {}
    for number, phase in enumerate(phases):
        index.setdefault(phase.id, number)
    for number, phase in enumerate(phases):
        if phase.after is not None and phase.after not in index:
            others = tuple(name for name in index if name != phase.id)
            yield _unknown(resolved, f"phases[{number}].after", phase.after, "phase", others)
    reported: set[int] = set()
    for number in range(len(phases)):
        cycle = _cycle(number, [index.get(p.after, -1) if p.after is not None else -1 for p in phases])
        if cycle and not reported & set(cycle):
            reported |= set(cycle)
            yield _cyclic(resolved, cycle)


def _cycle(start: int, after: list[int]) -> list[int]:
    """Indices of the cycle through `start`; empty if there is none."""
    walked = [start]
    while (following := after[walked[-1]]) >= 0:
        if following == start:
            return sorted(walked)
        if following in walked:
            return []
        walked.append(following)
    return []


def _cyclic(resolved: Resolved, cycle: list[int]) -> Diagnostic:
    names = [resolved.spec.phases[i].id for i in cycle]
    first, *others = sorted((f"phases[{i}].after" for i in cycle), key=resolved.order)
    labels = [Label(span, "and this") for path in others if (span := resolved.value_span(path)) is not None]
    message = f"phase `{names[0]}` comes after itself"
    if len(cycle) > 1:
        message = f"phases {' and '.join(f'`{n}`' for n in names)} each come after the other"
    return Diagnostic(
        Code.PHASE_CYCLE,
        message,
        resolved.value_span(first),
        path=first,
        labels=tuple(labels),
        help="remove one `after`",
    )


def phase_data(resolved: Resolved) -> Iterator[Diagnostic]:
    """Every data set that a phase names must be defined in the spec."""
    known = tuple(resolved.spec.data)
    for number, phase in enumerate(resolved.spec.phases):
        path = f"phases[{number}].data"
        if not resolved.is_written(path):
            continue
        if isinstance(phase.data, str):
            if phase.data not in known:
                yield _unknown(resolved, path, phase.data, "data set", known)
            continue
        for name in phase.data:
            if name not in known:
                yield _unknown(resolved, join_path(path, name), name, "data set", known, at_key=True)


def data_named_by(resolved: Resolved, served: Served[object]) -> Iterator[Diagnostic]:
    """Every data set that a component's settings name must be defined in the spec."""
    for path, built in nested(served):
        for setting, name in named_data(built):
            if name not in resolved.spec.data:
                yield _unknown(resolved, f"{path}.{setting}", name, "data set", tuple(resolved.spec.data))


def named_data(built: Built) -> Iterator[tuple[str, str]]:
    """(setting, data set) for each setting of a component that names one."""
    for setting, info in type(built.component).model_fields.items():
        value = getattr(built.component, setting)
        for mark in info.metadata:
            if isinstance(mark, DataName) and isinstance(value, str) and value.startswith(mark.prefix):
                yield setting, value.removeprefix(mark.prefix)


def tokenizer_from_data(resolved: Resolved) -> Iterator[Diagnostic]:
    """A model or teacher whose tokenizer comes from a data set needs a data set that provides one: E0601."""
    for path, built in resolved.built.items():
        if built.kind == "model":
            yield from _tokenizer_from_data(resolved, path, built)


def _tokenizer_from_data(resolved: Resolved, path: str, model: Built) -> Iterator[Diagnostic]:
    for setting, name in named_data(model):
        served = served_data(resolved, name)
        data, declaration = served.built, served.component
        if (
            data is not None
            and declaration is not None
            and setting == "tokenizer"
            and declaration.tokenizer_files() is None
        ):
            place = use_place(resolved, path)
            yield Diagnostic(
                Code.UNMET_REQUIREMENT,
                f"`{model.use}` requires a tokenizer, and `{data.use}` provides none",
                resolved.value_span(place),
                path=place,
                labels=_label(resolved, f"{path}.{setting}", "taken from here"),
                help="name a folder or a hub model with tokenizer files",
            )


def _unknown(
    resolved: Resolved, path: str, name: str, what: str, known: tuple[str, ...], *, at_key: bool = False
) -> Diagnostic:
    near = nearest(name, known)
    return Diagnostic(
        Code.UNKNOWN_PHASE_OR_DATA,
        f"unknown {what} `{name}`",
        resolved.key_span(path) if at_key else resolved.value_span(path),
        path=path,
        caret=f"did you mean {one_of(near)}?" if near else "",
        help=f"the spec has: {one_of(known)}" if known and not near else None,
        suggestions=tuple(Suggestion(f"did you mean `{n}`?", n) for n in near),
    )


def _label(resolved: Resolved, path: str, text: str) -> tuple[Label, ...]:
    span = resolved.value_span(path)
    return () if span is None else (Label(span, text),)

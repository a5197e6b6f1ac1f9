"""Diagnoses a name that no component of the wanted kind has: the code of the error, and the name that was probably meant."""

from collections.abc import Sequence
from contextlib import suppress

from prerl_spec.codes import Code
from prerl_spec.compiler.resolve.findings import Details
from prerl_spec.compiler.resolve.foreign.lookup import foreign_value
from prerl_spec.errors import Suggestion
from prerl_spec.language.spec import places_of
from prerl_spec.language.suggest import fold, nearest, one_of
from prerl_spec.registry.component import Kind
from prerl_spec.registry.entry_points import PluginFault, Registry, load
from prerl_spec.registry.local import NAMESPACE
from prerl_spec.registry.settings import settings_of, shown


def unknown_name(registry: Registry, kind: Kind, name: str, words: Sequence[str]) -> tuple[Code, str, Details]:
    """Code, message and hints for a name that no component of the kind has. `words` are the fixed words that may stand in
    its place.

    In the language's order: the same name once folded, or behind a namespace; the name of another kind; the nearest.
    """
    names = (*registry.names(kind), *words)
    same = tuple(n for n in names if fold(n) == fold(name))
    # Authors also write a component's class: `PassAtK` is `local.pass_at_k`.
    behind = tuple(n for n in names if "." in n and _run_together(n.partition(".")[2]) == _run_together(name))[:3]
    others = registry.kinds_of(name)
    is_other_kind = not same and bool(others)
    code = Code.WRONG_KIND if is_other_kind else Code.UNKNOWN_COMPONENT
    message = _of_other_kinds(name, others, kind) if is_other_kind else f"unknown {noun(kind)} `{name}`"
    part = None if same or behind else _part_of_preset(registry, kind, name)
    folded = () if same or behind or others else tuple(n for n in registry.all_names() if fold(n) == fold(name))
    if same or behind:
        close = nearest(name, same) or behind
    elif others or folded:
        close = ()
    else:
        # `ppo` is nearer to `dppo` than to what it means: the surrogate of `ppo_clip`.
        close = (*((part[1],) if part else ()), *(n for n in nearest(name, names) if part is None or n != part[1]))
    if close:
        caret = f"did you mean {one_of(close)}?"
    elif others:
        caret = _belongs(name, others)
    else:
        caret = _of_other_kinds(folded[0], registry.kinds_of(folded[0]), kind) if folded else ""
    found = [f"the {noun(kind)} of `{part[0]}` is `{part[1]}`"] if part else []
    elsewhere = None if same or others else foreign_value(kind, name)
    if elsewhere is not None:
        close, caret = (elsewhere.ours,), elsewhere.sentence(f"`{name}`", f"`{elsewhere.ours}`")
        found += [elsewhere.note] if elsewhere.note else []
    found.append(_where_to_look(registry, kind, name, names, knows_better=bool(close or others or part)))
    suggestions = tuple(Suggestion(caret if elsewhere else f"did you mean `{n}`?", n) for n in close)
    if part and not close:
        suggestions = (Suggestion(found[0], part[1]),)
    return code, message, Details(caret=caret, help="; ".join(found), suggestions=suggestions)


FILES = (".jsonl", ".json", ".parquet", ".csv")
CODE = ".py"


def written_as_setting(registry: Registry, kind: Kind, text: str) -> str | None:
    """How a file, or a name on the hub, is written where a component's name is wanted: `{ use = "hf_causal", name =
    "Qwen/Qwen3-0.6B" }`. None for another text, and for a kind of which no component requires a name or a path."""
    if text.endswith(CODE):
        return (
            f"a file with {article(kind)} of yours is listed in `[plugins] files`, and the {noun(kind)} is `local.NAME`"
        )
    if "/" not in text and not text.endswith(FILES):
        return None
    ways: dict[str, str] = {}
    for name in registry.names(kind):
        with suppress(PluginFault):
            required = [s.key for s in settings_of(load(registry.providers(kind, name)[0])).values() if s.required]
            key = next((key for key in required if key in ("name", "path")), None)
            ways |= {} if key is None else {name: f"{{ use = {shown(name)}, {key} = {shown(text)} }}"}
    fitting = [way for name, way in ways.items() if text.endswith(f".{name}")]
    return f"write {one_of(fitting or ways.values())}" if ways else None


def _where_to_look(registry: Registry, kind: Kind, name: str, names: Sequence[str], *, knows_better: bool) -> str:
    """Where the names of the kind are found: the command that lists them, the list, or a distribution to install."""
    namespace, dot, _ = name.partition(".")
    if (written := written_as_setting(registry, kind, name)) is not None:
        return written
    if dot and not any(n.startswith(f"{namespace}.") for n in registry.all_names()):
        if namespace == NAMESPACE:
            return "`local` names the components of `[plugins] files`, and no file is listed there"
        return f"no installed distribution provides `{namespace}.` names: install the one that does"
    if knows_better:
        listed = [n for n in registry.names(kind) if not n.startswith(f"{NAMESPACE}.")]
        return f"`prerl-spec components list --kind {kind}` shows all {len(listed)}"
    return f"known: {one_of(names)}" if names else f"no {noun(kind)} is installed"


def _part_of_preset(registry: Registry, kind: Kind, name: str) -> tuple[str, str] | None:
    """The built-in objective that the word names (`GRPO`), or alone begins with it (`ppo`: `ppo_clip`), and its part of
    the wanted kind: ("grpo", "group_std"). None if there is none."""
    own = [e for e in registry.entries if e.kind == "objective" and e.is_own]
    found = [e for e in own if e.name == fold(name)] or [e for e in own if e.name.startswith(f"{fold(name)}_")]
    if len(found) != 1:
        return None
    try:
        part = load(found[0])().expansion().get(kind, "").partition(" ")[0]
    except (PluginFault, ValueError):
        return None  # one with required settings stands for no single point
    return (found[0].name, part) if part in registry.names(kind) else None


def _run_together(name: str) -> str:
    return fold(name).replace("_", "")


def _of_other_kinds(name: str, found: Sequence[Kind], wanted: Kind) -> str:
    """States the kind of a name and the kind needed here."""
    return f"`{name}` is {' and '.join(map(article, found))}; {article(wanted)} is needed here"


def _belongs(name: str, kinds: Sequence[Kind]) -> str:
    """States where a component of these kinds belongs."""
    places = [place for kind in kinds for place in places_of(kind)]
    return f"`{name}` belongs in {' or '.join(f'`{p}`' for p in places)}" if places else ""


def noun(kind: str) -> str:
    return "data set" if kind == "data" else kind


def article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {noun(kind)}"

"""Renders the first row of a data set as the model will see it, and measures row lengths, without a model."""

from collections.abc import Iterable, Sequence
from statistics import fmean

from prerl_spec.compiler.plan import Example, ViewPlan
from prerl_spec.needs import View
from prerl_spec.prompts import render_all
from prerl_spec.registry.kinds.data import DataSet
from prerl_spec.registry.plugin_contract import blame_author
from prerl_spec.text import Codec
from prerl_spec.types import Attempt, Prompt, Rendering

UNANSWERED = Attempt((), "", "length")
"""An empty response: a plan shows the context that precedes a response."""
LOOKED_AT = 64
"""Number of rows whose lengths are averaged."""


def example_of(name: str, data: DataSet, codec: Codec, views: Iterable[View], *, documents: bool) -> Example:
    """Row 0 through tokenizer, template and every view; mean lengths over the first 64 rows.

    Raises EnvironmentUnmet if a view has no prefix, SpecInvalid for a template that fails, PluginFault for an author's
    view that fails.
    """
    rows = [(i, data.row(i)) for i in range(min(LOOKED_AT, len(data)))]
    prompts = list(render_all(rows, name, data.rendering, codec))
    first, row = prompts[0], data.row(0)
    texts = [data.row(i).document for i in range(len(prompts))] if documents else []
    return Example(
        data=name,
        where=row.where,
        text=codec.decode(first.context, skip_special=False),
        ids=first.context,
        gold=row.gold,
        document=row.document if documents else None,
        template=_template(first, data.rendering, codec),
        views=tuple(_view(view, first, codec) for view in views),
        mean_context_tokens=fmean(len(p.context) for p in prompts),
        mean_document_tokens=_mean_tokens([t for t in texts if t is not None], codec),
    )


def _mean_tokens(texts: Sequence[str], codec: Codec) -> float | None:
    return fmean(len(codec.encode(t)) + 1 for t in texts) if texts else None


def _view(view: View, prompt: Prompt, codec: Codec) -> ViewPlan:
    with blame_author(view):
        ids = view.lay(prompt, UNANSWERED, codec).context
    return ViewPlan(view.name, ids, codec.decode(ids, skip_special=False))


def _template(prompt: Prompt, rendering: Rendering, codec: Codec) -> str:
    if prompt.question is None:
        return "no question"
    if rendering.chat == "off":
        return "chat = off"
    return "no chat template" if codec.template_for(rendering.chat) is None else "the chat template"

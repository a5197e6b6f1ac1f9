"""A row becomes the model's input: the row's template, the system prompt, the chat template, the tokens."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import NoReturn

from prerl_spec.codes import Code
from prerl_spec.errors import Diagnostic, SpecInvalid
from prerl_spec.templates.chat_templates import ChatTemplate
from prerl_spec.templates.renderer import Rendered, TemplateFault
from prerl_spec.templates.row_templates import fill_all, fill_template
from prerl_spec.text import Codec
from prerl_spec.types import Prompt, Rendering, Row

RENDERED_TOGETHER = 256
"""Rows whose prompts are rendered in one go."""


def question_text(row: Row, rendering: Rendering) -> str:
    """The user message: the rendered row template, else the bare question. Raises SpecInvalid."""
    if rendering.template is not None:
        return fill_template(rendering.template, row.fields)
    assert row.question is not None, f"{row.where} has no question"
    return row.question


def question_texts(rows: Sequence[Row], rendering: Rendering) -> list[Rendered]:
    """Each row's user message, or why its template gives none; nothing after a fault that is final."""
    if rendering.template is None:
        return [question_text(row, rendering) for row in rows]
    return fill_all(rendering.template, [row.fields for row in rows])


def context_ids(question: str, rendering: Rendering, codec: Codec) -> tuple[int, ...]:
    """The model's input for a question: rendered by the chat template if there is one and chat is not "off", else the
    system prompt (if any), a blank line and the question, with the tokenizer's own BOS."""
    return next(_contexts([question], rendering, codec, ["a question"]))


def render(row: Row, index: int, data: str, rendering: Rendering, codec: Codec) -> Prompt:
    """The prompt of a row; a row without a question gets the prefix "auto" as its context. Raises SpecInvalid, with the
    path of the setting at fault, for a template that fails."""
    return next(render_all([(index, row)], data, rendering, codec))


def render_all(rows: Iterable[tuple[int, Row]], data: str, rendering: Rendering, codec: Codec) -> Iterator[Prompt]:
    """The prompt of each row, as `render` makes it: templates render many rows in the time of a few."""
    waiting = iter(rows)
    while chunk := list(islice(waiting, RENDERED_TOGETHER)):
        asking = [row for _, row in chunk if row.question is not None or rendering.template is not None]
        try:
            questions = list(_questions(asking, rendering))
            contexts = _contexts(questions, rendering, codec, [row.where for row in asking])
            texts = iter(zip(questions, contexts, strict=True))
            for index, row in chunk:
                asks = row.question is not None or rendering.template is not None
                question, context = next(texts) if asks else (None, codec.prefix("auto"))
                if not context:
                    raise SpecInvalid([_no_token(row.where, rendering)])
                yield Prompt(data, index, question, row.gold, context)
        except SpecInvalid as error:
            raise SpecInvalid([_within(f"data.{data}", d) for d in error.diagnostics], error.sources) from error


def _questions(rows: Sequence[Row], rendering: Rendering) -> Iterator[str]:
    for row, outcome in zip(rows, question_texts(rows, rendering), strict=False):
        if isinstance(outcome, TemplateFault):
            message = f"{row.where}: {outcome}"
            raise SpecInvalid([Diagnostic(Code.CONSTRAINT_BROKEN, message, path="template")])
        yield outcome


def _contexts(
    questions: Sequence[str], rendering: Rendering, codec: Codec, where: Sequence[str]
) -> Iterator[tuple[int, ...]]:
    chat, system = rendering.chat, rendering.system
    template = codec.template_for(chat)
    if chat == "off" or template is None:
        for question in questions:
            yield codec.encode(question if system is None else f"{system}\n\n{question}", special=True)
        return
    before = [] if system is None else [{"role": "system", "content": system}]
    asked = [[*before, {"role": "user", "content": question}] for question in questions]
    for place, outcome in zip(where, codec.chat_texts(asked, chat), strict=False):
        if isinstance(outcome, TemplateFault):
            _fail(template, outcome, place, rendering)
        yield codec.encode(outcome)


def _fail(template: ChatTemplate, fault: TemplateFault, where: str, rendering: Rendering) -> NoReturn:
    """Raises SpecInvalid at the setting that the template does not take: the system prompt, the arguments, the model."""
    if fault.kind == "refused" and rendering.system is not None:
        path, help = "system", 'a row\'s `template` can hold this text: template = "… {{ question }}"'
    else:
        path, help = ("chat" if rendering.chat else "model"), 'chat = "off" leaves the chat template out'
    raise SpecInvalid([Diagnostic(Code.CONSTRAINT_BROKEN, template.why_not(fault, where), path=path, help=help)])


def _no_token(where: str, rendering: Rendering) -> Diagnostic:
    message = f"the prompt of {where} has no token: nothing could be sampled after it"
    path, help = ("chat" if rendering.chat else "model"), "use a chat template, or a tokenizer, that keeps the question"
    return Diagnostic(Code.CONSTRAINT_BROKEN, message, path=path, help=help)


def _within(parent: str, diagnostic: Diagnostic) -> Diagnostic:
    """A diagnostic of a data set's setting, with its path in the spec."""
    settings = ("template", "system", "chat")
    return replace(diagnostic, path=f"{parent}.{diagnostic.path}") if diagnostic.path in settings else diagnostic

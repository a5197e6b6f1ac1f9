"""HTML and SVG from nested calls; text is escaped unless it is `Html`, so that responses cannot inject markup."""

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from typing import TypeAlias

from prerl_spec.report.formatting.printable import printable


class Html(str):
    """Markup built by this module; the only strings that are not escaped."""

    __slots__ = ()


Child: TypeAlias = str | int | None
Attribute: TypeAlias = str | int | float | bool | None

_VOID = frozenset({"meta", "br", "hr"})


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """`tag("p", "a < b", class_="note")` is `<p class="note">a &lt; b</p>`.

    In attribute names a trailing underscore is dropped and other underscores become hyphens (`stroke_width`). False and
    None omit the attribute, True writes its bare name. Floats are written with at most two decimals (SVG coordinates).
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Html:
    """Concatenates the children: text is escaped, None is omitted."""
    return Html("".join(_child(c) for c in children))


def document(title: str, body: Html, *, style: str, script: str) -> str:
    """A self-contained page whose content security policy permits this style and this script only.

    The policy lists both by their SHA-256, so that markup which escaped escaping could neither run nor load anything.
    """
    policy = f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; base-uri 'none'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        Html(f"<style>{style}</style>"),
    )
    page = tag("html", head, tag("body", body, Html(f"<script>{script}</script>")), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def _child(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    return escape(printable(str(child)), quote=False)


def _attribute(key: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    text = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else printable(str(value))
    return f' {name}="{escape(text, quote=True)}"'


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()

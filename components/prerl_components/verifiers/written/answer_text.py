"""What decorates an answer without changing what it says: delimiters, spaces, styles, colours, emphasis, full stops."""

import re

from prerl_components.verifiers.boxed import braced
from prerl_components.verifiers.written.unicode_marks import in_latex

_ROW_SPACING = re.compile(r"\\\\\s*\[\s*-?[\d.]+\s*(?:pt|em|ex|mm|cm|in|mu|\\baselineskip)\s*\]")
_SIZES = re.compile(r"\\(?:left|right|middle|m?left|m?right|[bB]ig{1,2}[lrm]?)(?![A-Za-z])\s*(?:\.(?!\d))?")
_THIN_COMMA = re.compile(r",\s*\\!\s*|\\!\s*,|\{\s*,\s*\}")
_NOTHING = re.compile(
    r"(?<!\\)\\!|\\(?:display|text|script|scriptscript)style(?![A-Za-z])|\\(?:no)?limits(?![A-Za-z])|\\(?:rm|bf|it|sf|tt|cal)(?![A-Za-z])"
    r"|\\(?:mathstrut|strut|null|relax|noindent|centering|large|Large|huge|Huge|small|normalsize)(?![A-Za-z])"
    r"|\\[hv]?phantom(?:\{[^{}]*\}|(?=-))|\\(?:tag\*?|label|hspace\*?|vspace\*?)\{[^{}]*\}|(?<![\\A-Za-z}^_])\{\}"
)
_SPACES = re.compile(r"(?<!\\)\\[,;:> ]|(?<!\\)~|\\q?quad(?![A-Za-z])|\\(?:thin|med|thick|en)space(?![A-Za-z])|\s+")
_COLOUR = re.compile(
    r"\\(?:color|pagecolor)\s*\{[^{}]*\}|\\(?=(?:textcolor|colorbox)\s*\{)(?:textcolor|colorbox)\s*\{[^{}]*\}"
)
_BORDERS = re.compile(
    r"\\(?:underline|uline|boxed|fbox|framebox|mathbf|mathsf|mathtt|mathit|mathnormal|boldsymbol|bm|pmb|ensuremath|textcolor"
    r"|mathord|mathop|mathrel|mathclose|mathopen|smash|emph|strong|hl|Large)\s*(?=\{)"
)
_TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|normal|sf|tt|sc|up|md)?|mathrm|mbox|hbox|text\s)\s*(?=\{)|(?<![\\A-Za-z])(?:text)?normal(?=\{)"
)
_WORDLESS = re.compile(r"\s*(?:[-+]?[\d.,]+(?:\s*[-+*/^:]\s*[\d.,]+)*|[eiπ]|\\pi\s*|[(\[]\s*[-+\d.,\s]+[)\]]|)\s*")
_OVER = re.compile(r"\{([^{}]*)\\over(?![A-Za-z])([^{}]*)\}")
_OVER_BARE = re.compile(r"([^{}]*)\\over(?![A-Za-z])([^{}]*)")
_OPERATOR_GLUED = re.compile(r"\\(sin|cos|tan|csc|sec|cot|log|ln|pi|leq|le|geq|ge|triangle|angle)(?=[A-Za-z])")
_LONGER_COMMANDS = re.compile(
    r"\\(?:sinh|cosh|tanh|coth|left[a-z]*|leq?q?(?:slant)?|geq?q?(?:slant)?|ge|triangle[a-z]+|leftrightarrow)(?![A-Za-z])"
)
_WRAPPERS = (
    ("$$", "$$"),
    ("$", "$"),
    ("\\(", "\\)"),
    ("\\[", "\\]"),
    ("**", "**"),
    ("__", "__"),
    ("`", "`"),
    ("*", "*"),
    ("_", "_"),
)
_TRAILING = re.compile(
    r"(?:\s|\\\\|(?<!\\)[,;:]|(?<![.\\])\.(?!\.)|\\(?:newline|checkmark|square|blacksquare|Box|qed|blacktriangle)(?![A-Za-z]))+$"
)
_QUOTED_NUMBER = re.compile(r"\\text\{\s*([-+]?\\?\$?\d[\d.,:]*)(\s*\\?%|\s+[A-Za-z][A-Za-z ./]*)\}")
_TURNING = re.compile(r"\b(?:or|and|to|of|mod|out)\b")
_SINGLE = re.compile(r"\\(?:math(?:rm|bf|it|sf|tt|normal)|boldsymbol|bm|text)\s+([A-Za-z0-9])(?![A-Za-z])")
_SYNONYMS = re.compile(
    r"(?P<dots>\\[lc]?dots[cbmio]?(?![A-Za-z])|\.{3})|(?P<empty>\\varnothing(?![A-Za-z])|\\O(?![A-Za-z]))"
)
_UNIT_QUOTIENT = re.compile(r"\\frac\{\s*\\text\{([^{}]*)\}\s*\}\{\s*\\text\{([^{}]*)\}\s*(\^\s*\{?\d\}?)?\s*\}")
_NAMED_BRACKETS = {
    "langle": "(",
    "rangle": ")",
    "lbrace": "\\{",
    "rbrace": "\\}",
    "lbrack": "[",
    "rbrack": "]",
    "lparen": "(",
    "rparen": ")",
}
_NAMED_BRACKET = re.compile(rf"\\({'|'.join(_NAMED_BRACKETS)})(?![A-Za-z])\s*")
_INTRODUCTION = re.compile(
    r"(?:\\text\{(?![^{}]*\bnot\b)[^{}]*(?::|\bis|=)\s*\}|(?:[Tt]he\s+)?(?:[Ff]inal\s+)?[Aa]nswer(?:\s+is|\s*:|\s*=)+)\s*(?=\S)"
)
_STARS = re.compile(r"(?<=[\w)}])\s*\*\*\s*(?=[\w({-])")
_COLON = re.compile(r"(?<=\d)\s*(?:\\text\{\s*(?:to|:)\s*\}|\\colon(?![A-Za-z])|\sto\s)\s*(?=\d)")
_ORDINAL = re.compile(r"^\s*(\d+)\s*\^?\s*\{?\s*(?:\\text\s*\{)?\s*(?:st|nd|rd|th)\s*\}*\s*$")
_CHOOSE = re.compile(r"\{([^{}]*)\\choose(?![A-Za-z])([^{}]*)\}")
_LONE_DOLLAR = re.compile(r"(?<!\\)\$")


def plain_text(text: str) -> str:
    """The answer without decoration, in ASCII LaTeX: `**27**.` is `27`, `\\color{red}{x²}` is `x^{2}`.

    Words stand in `\\text{…}`, whatever command they were in; a number in such a command stands bare.
    """
    plain = in_latex(text).strip()
    if plain.isalnum() and plain.isascii():
        return _ORDINAL.sub(r"\1", plain)
    plain = _ROW_SPACING.sub(r"\\\\ ", plain)
    plain = _unwrapped(plain)
    plain = _THIN_COMMA.sub("{,}", plain)
    plain = _SIZES.sub("", plain)
    plain = _COLOUR.sub("", plain)
    plain = _NOTHING.sub("", plain)
    plain = _SPACES.sub(" ", plain)
    plain = _SYNONYMS.sub(lambda sign: "\\ldots " if sign["dots"] else "\\emptyset ", plain)
    plain = _SINGLE.sub(r"\1", plain)
    plain = _opened(_BORDERS, plain, keep_words=False)
    plain = _opened(_TEXT, plain, keep_words=True)
    plain = _QUOTED_NUMBER.sub(_unquoted, plain)
    plain = _UNIT_QUOTIENT.sub(lambda unit: f"\\text{{{unit[1]}}}/\\text{{{unit[2]}}}{unit[3] or ''}", plain)
    plain = _NAMED_BRACKET.sub(lambda bracket: _NAMED_BRACKETS[bracket[1]], plain)
    plain = _COLON.sub(":", plain)
    plain = _ORDINAL.sub(r"\1", plain)
    plain = _CHOOSE.sub(r"\\binom{\1}{\2}", _STARS.sub("^", plain))
    plain = _OVER.sub(r"\\frac{\1}{\2}", plain)
    if (fraction := _OVER_BARE.fullmatch(plain)) is not None:
        plain = f"\\frac{{{fraction[1]}}}{{{fraction[2]}}}"
    plain = _LONE_DOLLAR.sub("", _unwrapped(plain)) if not _is_money(plain) else plain
    plain = _INTRODUCTION.sub("", plain, count=1) if _INTRODUCTION.match(plain) else plain
    plain = _unbraced(_TRAILING.sub("", plain).strip())
    return _TRAILING.sub("", re.sub(r" {2,}", " ", plain)).strip()


def separated(text: str) -> str:
    """The text with a space after each function or sign that letters are glued to: `\\pir` is `\\pi r`."""
    if not _OPERATOR_GLUED.search(text):
        return text
    pieces, last = [], 0
    for command in re.finditer(r"\\[A-Za-z]+", text):
        if _LONGER_COMMANDS.fullmatch(command[0]) is None:
            pieces += [text[last : command.start()], _OPERATOR_GLUED.sub(r"\\\1 ", command[0])]
            last = command.end()
    return "".join(pieces) + text[last:]


def _unquoted(words: re.Match[str]) -> str:
    """`\\text{27 apples}` as `27\\text{ apples}`; several numbers, or words that join, stay words."""
    if _TURNING.search(words[2]):
        return words[0]
    return f"{words[1]}\\%" if "%" in words[2] else f"{words[1]}\\text{{{words[2]}}}"


def _is_money(text: str) -> bool:
    return bool(re.match(r"\s*-?\s*\\?\$\s*-?\s*[\d.]", text))


def _unwrapped(text: str) -> str:
    """The text without the delimiters around the whole of it."""
    changed = True
    while changed:
        changed = False
        for opening, closing in _WRAPPERS:
            inside = text[len(opening) : len(text) - len(closing)]
            whole = len(text) > len(opening) + len(closing) and text.startswith(opening) and text.endswith(closing)
            if whole and opening not in inside and closing not in inside:
                text, changed = inside.strip(), True
    return text


def _opened(commands: re.Pattern[str], text: str, *, keep_words: bool) -> str:
    """The text with the arguments of the commands in their place; words stay arguments, of `\\text`."""
    place = 0
    while (command := commands.search(text, place)) is not None:
        content = braced(text, command.end())
        if content is None:
            place = command.end()
            continue
        end = command.end() + len(content) + 2
        shown = content
        if keep_words:
            inner = _SPACES.sub(" ", _opened(commands, content, keep_words=False))
            inner = _LONE_DOLLAR.sub("", inner.replace("\\$", "$")) if "$" in inner and "\\" in content else inner
            inner = re.sub(r"\^\{(-?\d)\}", r"^\1", inner)
            shown = inner.strip() if _WORDLESS.fullmatch(inner) else f"\\text{{{inner}}}"
            if not shown.strip() and inner:
                shown = " "
        text = text[: command.start()] + shown + text[end:]
        place = command.start() + (len(shown) if keep_words else 0)
    return text


def _unbraced(text: str) -> str:
    """The text without braces around the whole of it."""
    while text.startswith("{") and (content := braced(text, 0)) is not None and len(content) + 2 == len(text):
        text = content.strip()
    return text

"""The wording of a question without what changes nothing about it: spacing, case, LaTeX layout, sentence punctuation."""

import hashlib
import re
import unicodedata

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_WRAPPED = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
# Read from the left, so that the second half of a row break (\\\\) is not taken for the start of a command.
_LAYOUT = re.compile(
    r"\\(?:(?P<kept>\\)|(?P<nothing>!)|[,;:> ()\[\]$]|(?:q?quad|left|right|displaystyle|limits)(?![a-z])"
    r"|[dt](?P<fraction>frac)(?![a-z])|(?P<percent>%))|[~$]"
)
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_TOKEN = re.compile(r"\d{1,3}(?:,\d{3})+(?!\d)|\d+(?:\.\d+)?|[^\W\d_]+|\S")
_PUNCTUATION = frozenset(".,;:?'\"`\u2018\u2019\u201c\u201d\u2026")


def tokens(question: str) -> list[str]:
    """Words, numbers and single symbols: `Find $x^2+1{,}000$.` is find x ^ 2 + 1000.

    After NFKC and case folding; without invisible characters, spacing and size commands of LaTeX, the marks around its
    formulas, quotes and the punctuation of sentences. Thousands separators are dropped, decimal points stay.
    """
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", question)).casefold()
    text = _LAYOUT.sub(_without_layout, _WRAPPED.sub(r" \1 ", _DASHES.sub("-", text).replace("{,}", ",")))
    found = _TOKEN.findall(text)
    return [t.replace(",", "") if t[0].isdigit() else t for t in found if t not in _PUNCTUATION]


def words(question: str) -> list[str]:
    """The tokens that are words or numbers, of which 13 in a row count as a shared passage."""
    return [token for token in tokens(question) if token[0].isalnum()]


def is_blank(text: str) -> bool:
    """Whether a text has nothing that can be seen."""
    return not _INVISIBLE.sub("", text).strip()


def question_hash(question: str) -> bytes:
    """A hash of the tokens: equal for two questions that are one. A text of punctuation alone is hashed as it stands."""
    normalised = " ".join(tokens(question)) or question
    return hashlib.blake2b(normalised.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _without_layout(found: re.Match[str]) -> str:
    if found["kept"] is not None:
        return found[0]
    if found["nothing"] is not None:
        return ""
    return r"\frac" if found["fraction"] is not None else found["percent"] or " "

"""Decodes UTF-8, with the position of every invalid byte."""

from prerl_spec.codes import Code
from prerl_spec.errors import Diagnostic, Span

UNREADABLE = "\ufffd"
"""Replaces a byte that is not UTF-8."""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_UTF_32 = (b"\xff\xfe\0\0", b"\0\0\xfe\xff")
"""Byte-order marks."""


def decode(data: bytes, file: str) -> tuple[str | None, list[Diagnostic]]:
    """The text without its byte-order mark, and one E0107 for each run of invalid bytes; no text if the whole file is
    UTF-16 or UTF-32."""
    if data[:4] in _UTF_32 or data[:2] in _UTF_16:
        where = Span(file, 1, 1, 1, 2)
        message = f"the file is not UTF-8 but {'UTF-32' if data[:4] in _UTF_32 else 'UTF-16'}"
        return None, [Diagnostic(Code.NOT_UTF8, message, where, help="save the file as UTF-8")]
    data = data.removeprefix(b"\xef\xbb\xbf")
    pieces: list[str] = []
    faults: list[Diagnostic] = []
    while True:
        try:
            pieces.append(data.decode("utf-8"))
            break
        except UnicodeDecodeError as error:
            pieces.append(data[: error.start].decode("utf-8"))
            before = "".join(pieces)
            line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
            pieces.append(UNREADABLE)
            if not faults or faults[-1].span != Span(file, line, column - 1, line, column):
                faults.append(
                    Diagnostic(
                        Code.NOT_UTF8,
                        f"byte 0x{data[error.start]:02x} is not UTF-8",
                        Span(file, line, column, line, column + 1),
                        help="save the file as UTF-8",
                    )
                )
            data = data[error.start + 1 :]
    return "".join(pieces), faults

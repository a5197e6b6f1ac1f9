"""Reading TOML with places: tomllib's values, the exact place of each, and a way on behind every mistake."""

import random
import re
import tomllib

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from prerl_spec.language import lexing
from prerl_spec.language.document import Array, Invalid, Scalar, Table, plain, walk
from prerl_spec.language.lexing import LONG_STRING
from prerl_spec.language.recovery import closing_brackets
from prerl_spec.language.toml import read, read_text
from tests.language.toml_documents import DOCUMENT

FEW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def refused(text: str) -> bool:
    try:
        tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError):
        return True
    return False


@FEW
@given(DOCUMENT)
@example('a = """x\r\ny"""\r\nb = 1')
def test_what_tomllib_reads_is_read_to_the_same_values(text: str) -> None:
    document = read_text(text, "a.toml")
    if not refused(text):
        assert document.diagnostics == []
        assert repr(plain(document.root)) == repr(tomllib.loads(text))


@FEW
@given(DOCUMENT)
def test_what_tomllib_refuses_is_an_error(text: str) -> None:
    if refused(text):
        assert read_text(text, "a.toml").diagnostics


@FEW
@given(DOCUMENT)
def test_every_value_stands_where_its_span_says(text: str) -> None:
    if refused(text):
        return
    lines = text.split("\n")
    for _, node in walk(read_text(text, "a.toml").root):
        if isinstance(node, Scalar):
            assert node.span is not None, "tree and tomllib agree, so nothing lost its place"
            span = node.span
            part = lines[span.line - 1 : span.end_line]
            part[-1] = part[-1][: span.end_column - 1]
            part[0] = part[0][span.column - 1 :]
            assert repr(tomllib.loads("v = " + "\n".join(part))["v"]) == repr(node.value)


@FEW
@given(st.text(max_size=60))
def test_any_text_at_all_is_read_or_refused_without_a_crash(text: str) -> None:
    document = read_text(text, "a.toml")
    assert bool(document.diagnostics) == refused(text.removeprefix("\ufeff"))


@FEW
@given(st.binary(max_size=60))
def test_any_bytes_at_all_are_read_or_refused_without_a_crash(data: bytes) -> None:
    read(data, "a.toml")


def codes(text: str) -> list[tuple[str, int, int]]:
    found = []
    for diagnostic in read_text(text, "a.toml").diagnostics:
        assert diagnostic.span is not None
        found.append((diagnostic.code, diagnostic.span.line, diagnostic.span.column))
    return found


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('a = "x\nb = .5\nc = [1,\nd = 017', [("E0104", 1, 5), ("E0106", 2, 5), ("E0104", 3, 5), ("E0106", 4, 5)]),
        ('a = [\n "x" "y",\n "z",\n]\nb = .5', [("E0101", 2, 6), ("E0106", 5, 5)]),
        ("a = { b = 1,\n c = 2 }\nd = ]", [("E0101", 1, 13), ("E0101", 3, 5)]),
        ("a = { b = 1\nc = 2", [("E0104", 1, 5)]),
        ("x = [1, { a = 2 ]\ny = 3", [("E0104", 1, 9)]),
        ('x = """abc\nfoo bar\n[run]\nname = tru', [("E0104", 1, 5), ("E0101", 4, 8)]),
        ("[a\nb = 1\n[[c]\nd = 2\n[e]]\nf = ?", [("E0104", 1, 1), ("E0104", 3, 1), ("E0101", 5, 4), ("E0101", 6, 5)]),
        ("a = 1\n[a]\n[b]\n[b]\n[b.c]\n", [("E0102", 2, 2), ("E0103", 4, 2)]),
        ("a = \"\\q\"\nb = '\\q'", [("E0101", 1, 6)]),
        ("a = [[1, 2]\nb = 3", [("E0104", 1, 5)]),
        ("a = 2024-13-01\nb = True", [("E0101", 1, 5), ("E0101", 2, 5)]),
    ],
)
def test_one_run_finds_every_syntax_error(text: str, wanted: list[tuple[str, int, int]]) -> None:
    assert codes(text) == wanted


def test_a_value_that_cannot_be_read_leaves_its_key_behind() -> None:
    root = read_text("a = tru\nb", "a.toml").root
    assert isinstance(root.get("a"), Invalid)
    assert isinstance(root.get("b"), Invalid)


def test_the_keys_of_a_table_defined_twice_fill_gaps() -> None:
    assert plain(read_text("[a]\nx = 1\n[a]\nx = 2\ny = 3", "a.toml").root) == {"a": {"x": 1, "y": 3}}


def test_a_header_that_cannot_be_read_makes_gaps_rather_than_missing_tables() -> None:
    assert read_text("[mo del]\nx = 1", "a.toml").has_gaps
    assert not read_text("[model]\nx = tru", "a.toml").has_gaps


def test_columns_count_code_points_and_a_byte_order_mark_is_none() -> None:
    document = read('\ufeff"𝒳ü" = 1'.encode(), "a.toml")
    entry = document.root.entries["𝒳ü"]
    assert entry.span is not None
    assert (entry.span.column, entry.span.end_column) == (1, 5)


def test_each_stretch_of_bytes_that_is_not_utf8_is_one_error_at_its_place() -> None:
    found = read(b"a = 1 # caf\xe9\n# \xff\xfe x\nb = tru", "a.toml").diagnostics
    assert [(d.code, d.span.line, d.span.column) for d in found if d.span] == [
        ("E0107", 1, 12),
        ("E0107", 2, 3),
        ("E0101", 3, 5),
    ]


def test_a_value_with_a_lost_character_is_unreadable_and_its_neighbours_are_not() -> None:
    root = read(b'a = "caf\xe9"\nb = "caf\xc3\xa9"\nc = ["x", "\xff"]', "a.toml").root
    assert isinstance(root.get("a"), Invalid)
    assert plain(root) == {"b": "caf\u00e9", "c": ["x"]}


def test_a_file_in_utf16_is_one_error() -> None:
    found = read("spec = 1".encode("utf-16"), "a.toml").diagnostics
    assert [d.code for d in found] == ["E0107"]


def test_tables_know_their_headers() -> None:
    root = read_text("[a.b]\n[[c]]\nd.e = 1\n[c.f]\n", "a.toml").root
    a, c = root.get("a"), root.get("c")
    assert isinstance(a, Table)
    assert isinstance(c, Array)
    assert (a.header, a.form) == (None, "implicit")
    b, item = a.get("b"), c.items[0]
    assert isinstance(b, Table)
    assert isinstance(item, Table)
    assert b.header is not None
    assert (b.header.column, b.header.end_column) == (2, 5)
    assert item.header is not None
    assert item.header.column == 3


def test_nesting_that_no_spec_has_is_refused_before_it_hurts() -> None:
    for text in ("a = " + "[" * 5000 + "]" * 5000, ".".join(["a"] * 5000) + " = 1", f"[{'.'.join(['a'] * 5000)}]"):
        assert [d.code for d in read_text(text, "a.toml").diagnostics] == ["E0101"]


LETTERS = "x" * LONG_STRING
BODIES = ["", "it's ", '""\n"', "\n", "\\n", "\\\n   ", "é𝒳", "''' ", "\\x"]


@pytest.mark.parametrize("fence", ['"', "'", '"""', "'''"])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_long_string_is_what_tomllib_reads(fence: str, body: str, ends: str) -> None:
    text = f"a = {fence}{body}{LETTERS}{body}{fence} # c\nb = 1\n".replace("\n", ends)
    document = read_text(text, "a.toml")
    assert bool(document.diagnostics) == refused(text)
    if not refused(text):
        assert plain(document.root) == tomllib.loads(text)
        assert document.root.entries["b"].span is not None, "the tree kept its places"


def test_a_long_string_is_never_walked_by_tomllib(monkeypatch: pytest.MonkeyPatch) -> None:
    loads = tomllib.loads
    walked: list[str] = []

    def watched(text: str) -> dict[str, object]:
        walked.extend(re.findall(f'"[^"]*{LETTERS}[^"]*"', text))
        return loads(text)

    monkeypatch.setattr(tomllib, "loads", watched)
    assert read_text(f'a = "it\'s {LETTERS}"\nb = """{LETTERS}"""\n', "a.toml").diagnostics == []
    assert walked == []


ESCAPES = [
    "\\n",
    "\\t",
    "\\b",
    '\\"',
    "\\\\",
    "\\u0041",
    "\\u005C",
    "\\u0022",
    "\\u0000",
    "\\U0001F600",
    "\\U0010ffff",
    "\\U0000005c",
]
PARTS = [*ESCAPES, "n", "u0041", "U0001F600", "'", "/", "é", "😀", "\t", "${x}"]
OF_LINES = ["\\\n", "\\ \t\n \n  ", "\n", '"', '""', "\r\n"]


@pytest.mark.parametrize("seed", range(20))
def test_a_body_decoded_at_once_is_what_tomllib_reads(seed: int) -> None:
    chance = random.Random(seed)
    for fence, parts in (('"', PARTS), ('"""', PARTS + OF_LINES)):
        body = "".join(chance.choices(parts, k=LONG_STRING)).replace('"""', '""x') + "x"
        document = read_text(f"a = {fence}{body}{fence}\n", "a.toml")
        assert document.diagnostics == []
        assert plain(document.root) == tomllib.loads(f"a = {fence}{body}{fence}\n")


def test_no_escape_of_a_long_string_costs_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither here nor in tomllib, also where the spec has a mistake behind the string."""
    decoded: list[str] = []
    monkeypatch.setattr(lexing, "_decoded", lambda escape: decoded.append(escape[0]) or "")
    loads = tomllib.loads
    longest: list[int] = []
    monkeypatch.setattr(tomllib, "loads", lambda text: longest.append(len(text)) or loads(text))
    for escape in ESCAPES:
        for behind in ("b = 1", "b = null"):
            read_text(f'a = "{escape * LONG_STRING}"\n{behind}\n', "a.toml")
    assert decoded == []
    assert max(longest) < 100


def test_a_string_behind_a_fault_is_not_trusted_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks like a string there may be text of an earlier one: tomllib judges the text itself."""
    loads = tomllib.loads
    judged: list[str] = []
    monkeypatch.setattr(tomllib, "loads", lambda text: judged.append(text) or loads(text))
    text = f'a = "\\q"\nb = "{LETTERS}"\n'
    assert [d.code for d in read_text(text, "a.toml").diagnostics] == ["E0101"]
    assert judged[-1] == text


def test_brackets_that_never_close_are_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(text: str, start: int) -> dict[int, int]:
        asked.append(start)
        return closing_brackets(text, start)

    monkeypatch.setattr("prerl_spec.language.toml.closing_brackets", counted)
    found = read_text("".join(f"a{i} = {{ x = 1\n" for i in range(50)), "a.toml").diagnostics
    assert [d.code for d in found] == ["E0104"] * 50
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"\xef\xbb\xbfa = 1", []),
        (b"\xef\xbb\xbf\xef\xbb\xbfa = 1", [("E0101", 1, 1)]),
        (b"\xef\xbb\xbf\xef\xbb\xbfa = 1\xff", [("E0101", 1, 1), ("E0107", 1, 7)]),
        (b"a = 1\n\xef\xbb\xbfb = 1", [("E0101", 2, 1)]),
        (b"\xff\xfe\x00\x00a\x00\x00\x00", [("E0107", 1, 1)]),
    ],
)
def test_a_byte_order_mark_stands_once_and_at_the_start(data: bytes, wanted: list[tuple[str, int, int]]) -> None:
    found = [(d.code, d.span.line, d.span.column) for d in read(data, "a.toml").diagnostics if d.span is not None]
    assert sorted(found) == wanted


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        *(
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("5.", "5.0"),
            (".5e3", "0.5e3"),
            ("017", "17"),
            ("1__0", "1_0"),
            ("1_", "1"),
        ),
        *(("0X1f", "0x1f"), ("1e", None), ("1.2.3", None), ("12GB", None), (".", None)),
    ],
)
def test_a_malformed_number_suggests_the_one_that_was_meant(word: str, meant: str | None) -> None:
    (found,) = read_text(f"a = {word}\n", "a.toml").diagnostics
    assert [found.code, *(s.replacement for s in found.suggestions)] == ["E0106", *([meant] if meant else [])]


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("[phases]\n[[phases]]\n", "`phases` is a list: write `[[phases]]` in both places"),
        ("[[phases]]\n[phases]\n", "`phases` is a list: write `[[phases]]` in both places"),
        ("[filters]\n[[filters]]\n", "`filters` is a list: write `[[filters]]` in both places"),
        ("[run]\n[[run]]\n", "`run` is one table: write `[run]`"),
        ("[[run]]\n[run]\n", "`run` is one table: write `[run]`"),
        ("[sampler]\n[[sampler]]\n", "`sampler` is one table: write `[sampler]`"),
        ("[mine]\n[[mine]]\n", "write `[mine]` or `[[mine]]` in both places"),
        ("[[phases]]\n[phases.data]\n[[phases.data]]\n", "write `[data]` or `[[data]]` in both places"),
    ],
)
def test_a_header_of_the_other_form_is_told_which_one_the_language_has(text: str, form: str) -> None:
    (found,) = read_text(text, "a.toml").diagnostics
    assert (found.code, found.caret) == ("E0208", form)

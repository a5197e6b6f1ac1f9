"""Pages for people keep up with the tree: every link, path and name that they mention exists."""

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/vocabulary.md", "docs/guarantees.md")
LINKED = (*PAGES, "docs/verdicts.md", "docs/verifiers.md", "docs/formats.md", "docs/processes.md")
"""Pages whose links are checked; the last two name files of a run, not of this tree."""
SOURCES = ("prerl_spec", "components/prerl_components", "tests", "docs", ".ci", "plugins")

LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)(?:#[\w-]*)?\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"[\w./*-]*/[\w./*-]*|[\w.*-]+\.(?:py|md|toml|txt|yml|yaml|cff)")
NAME = re.compile(r"(?P<owner>[A-Z]\w*[a-z]\w*)(?:\.(?P<member>\w+))?(?:\(.*\))?")
CALL = re.compile(r"(?P<name>[a-z_]\w*)\([^)]*\)")
CONSTANT = re.compile(r"[A-Z][A-Z_]{3,}")
MODULE = re.compile(r"(?:prerl_spec|prerl_components|tests)(?:\.\w+)+")

LEFT_BY_A_RUN = {
    "spec.toml",
    "evaluation/questions/",
    "journal/",
    "checkpoints/",
    "checkpoints/step-…/",
    "runs/quickstart/report.html",
    "RUN/eval",
}
NOT_OURS = {
    "PRERL_VLLM_ENV",
    "prerl_spec.NAME",
    "AutoModelForCausalLM.from_pretrained",
    "Annotated",
    "Qwen/Qwen3-0.6B",
    "my_objective.py",
    "Code.NAME",
    "XDG_CACHE_HOME",
}
"""Names of other libraries, of variables of the shell, of a reader's own files, and placeholders."""


def text_of(page: str) -> str:
    """A page without its code blocks, which other tests run."""
    return FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))


@cache
def defined() -> tuple[dict[str, set[str]], dict[str, set[str]], set[str], set[str]]:
    """Classes with their own members, classes with their bases, functions and methods, module constants and aliases."""
    members: dict[str, set[str]] = {}
    bases: dict[str, set[str]] = {}
    functions: set[str] = set()
    assigned: set[str] = set()
    for file in (file for room in SOURCES for file in (ROOT / room).rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        assigned.update(_assigned(tree.body))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                functions.add(node.name)
            elif isinstance(node, ast.ClassDef):
                own = {child.name for child in node.body if isinstance(child, ast.FunctionDef)}
                members.setdefault(node.name, set()).update(own, _assigned(node.body))
                bases.setdefault(node.name, set()).update(
                    ast.unparse(b).split("[")[0].split(".")[-1] for b in node.bases
                )
    return members, bases, functions, assigned


def _assigned(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def has_member(owner: str, member: str) -> bool:
    members, bases, _, _ = defined()
    return member in members.get(owner, set()) or any(has_member(base, member) for base in bases.get(owner, set()))


def what_is_missing(words: str) -> str | None:
    """Why the words between two backticks mean nothing in this tree; None where they do, or mean nothing of ours."""
    members, _, functions, assigned = defined()
    if words in LEFT_BY_A_RUN | NOT_OURS or (" " in words and not CALL.fullmatch(words)):
        return None
    if MODULE.fullmatch(words):
        file = ROOT / ("components" if words.startswith("prerl_components") else "") / words.replace(".", "/")
        return None if file.is_dir() or file.with_suffix(".py").is_file() else "there is no such module"
    if PATH.fullmatch(words):
        return None if list(ROOT.glob(words.rstrip("/"))) or (ROOT / words).exists() else "there is no such path"
    if CONSTANT.fullmatch(words):
        return None if words in assigned else "no module assigns it"
    if found := NAME.fullmatch(words):
        if found["owner"] not in members and found["owner"] not in assigned:
            return "there is no such class"
        if found["member"] and not has_member(found["owner"], found["member"]):
            return f"{found['owner']} has no {found['member']}"
    if (found := CALL.fullmatch(words)) and found["name"] not in functions:
        return "there is no such function"
    return None


@pytest.mark.parametrize("page", LINKED)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    links = LINK.findall(text_of(page))
    assert links
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_path_and_name_of_a_page_is_there(page: str) -> None:
    missing = {words: why for words in CODE.findall(text_of(page)) if (why := what_is_missing(words)) is not None}
    assert missing == {}


@pytest.mark.parametrize("command", re.findall(r"`pytest ([^`]+)`", text_of("docs/guarantees.md")))
def test_every_proof_of_a_guarantee_selects_tests_in_each_file_that_it_names(command: str) -> None:
    words = shlex.split(command.removeprefix("-m slow "))
    words, expression = (words[:-2], words[-1]) if "-k" in words else (words, "")
    for path in words:
        assert (ROOT / path).exists(), path
        text = "".join(f.read_text(encoding="utf-8") for f in [ROOT / path, *(ROOT / path).glob("*.py")] if f.is_file())
        assert re.search(rf"def test_\w*({expression.replace(' or ', '|')})", text), path


def test_every_fault_of_the_table_names_a_test_a_file_of_tests_or_a_command() -> None:
    page = (ROOT / "docs/faults.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| \d+ \|.*\| ([^|]+) \|$", page, re.MULTILINE)
    assert len(cells) >= 60
    _, _, functions, _ = defined()
    tests = {name for name in functions if name.startswith("test_")} | {f.stem for f in ROOT.glob("tests/*/test_*.py")}
    words = [word for cell in cells for word in cell.replace(" (slow)", "").split(", ") if not word.startswith("`")]
    missing = [w for w in words if not any(w in test for test in tests) and not (ROOT / w).is_file()]
    assert missing == []


@pytest.mark.parametrize(
    ("words", "is_there"),
    [
        ("prerl_spec/codes.py", True),
        ("prerl_spec/gone.py", False),
        ("specs/*.toml", True),
        ("prerl_spec.compiler.rules", True),
        ("prerl_spec.compiler.gone", False),
        ("RunLoop.run", True),
        ("RunLoop.gone", False),
        ("Grpo.prerequisites", True),
        ("OpenShelf", False),
        ("consumes()", True),
        ("requirements()", False),
        ("COMMANDS", True),
        ("SHELVES", False),
    ],
)
def test_the_check_itself_tells_what_is_there_from_what_is_not(words: str, is_there: bool) -> None:
    assert (what_is_missing(words) is None) is is_there


def test_the_architecture_fits_a_page() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()) <= 120

"""Math-Verify's own tests as triples: the parametrize tables of its unpacked sdist, read without being run.

Its tests compare whole texts; here the gold is an answer and only a box counts. A row is taken if its gold text is one
formula or one box, and its prediction holds a box or is one formula, which is then boxed. The other rows are counted.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from prerl_components.verifiers.boxed import last_boxed

from benchmarks.verdicts.triples import Triple

FORMULA = re.compile(r"\s*(?:\$\$(.+)\$\$|\$([^$]+)\$|\\\((.+?)\\\)|\\\[(.+?)\\\])\.?\s*", re.DOTALL)


class Upstream(NamedTuple):
    """The triples taken and the number of rows left out."""

    triples: list[Triple]
    left_out: int


def upstream(sdist: Path) -> Upstream:
    """The rows (gold, prediction, expected) of every parametrize table under tests/."""
    triples: list[Triple] = []
    left_out = 0
    for path in sorted((sdist / "tests").glob("test_*.py")):
        for gold, prediction, expected in _rows(ast.parse(path.read_text(encoding="utf-8"))):
            answer, response = _answer(gold), _response(prediction)
            if answer is None or response is None:
                left_out += 1
            else:
                triples.append(Triple(path.stem, answer, response, expected))
    return Upstream(triples, left_out)


def _rows(tree: ast.Module) -> Iterator[tuple[str, str, bool]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or ast.unparse(node.func) != "pytest.mark.parametrize":
            continue
        for row in node.args[1].elts if isinstance(node.args[1], ast.List | ast.Tuple) else ():
            try:
                values = ast.literal_eval(row)
            except ValueError:
                continue
            match values:
                case (str(gold), str(prediction), bool(expected) | int(expected)):
                    yield gold, prediction, bool(expected)
                case _:
                    continue


def _formula(text: str) -> str | None:
    match = FORMULA.fullmatch(text)
    return None if match is None else next(group for group in match.groups() if group is not None).strip()


def _answer(gold: str) -> str | None:
    if gold.count("\\boxed") == 1:
        return last_boxed(gold)
    if "\\boxed" in gold:
        return None
    formula = _formula(gold)
    return formula if formula is not None else (gold.strip() if re.fullmatch(r"\s*-?[\d.,/]+\s*", gold) else None)


def _response(prediction: str) -> str | None:
    if "\\boxed" in prediction:
        return prediction if prediction.count("\\boxed") == 1 else None
    formula = _formula(prediction)
    return None if formula is None else f"\\boxed{{{formula}}}"

"""Gold answers judged against themselves and against each other, by the data set's verifier in its worker processes."""

import json
from collections.abc import Sequence

from prerl_spec.engine.data_check.report import Finding, Kind
from prerl_spec.engine.verification.verifier_pool import GoldCheck, Judge
from prerl_spec.registry.kinds.judging import Verifier, WritesAnswers
from prerl_spec.types import Outcome, Row, Verdict

MAX_QUOTED = 80
"""Characters of a gold answer that a message quotes."""


def failing_golds(
    verifier: Verifier, rows: Sequence[Row], judge: Judge, check_golds: GoldCheck, *, drops_refused: bool
) -> tuple[list[Finding], int]:
    """A finding for every distinct gold answer that is not right as an answer to itself, or that the verifier refuses;
    and the number of distinct ones. `drops_refused`: a run drops the rows of golds that the verifier refuses.

    A verifier that does not say how an answer is written is asked only whether it can use the gold.
    """
    places: dict[str, list[str]] = {}
    for row in rows:
        if row.gold is not None:
            places.setdefault(row.gold, []).append(row.where)
    golds = list(places)
    verdicts = (
        judge(verifier, [(_response(verifier, gold), gold, False) for gold in golds]) if _writes(verifier) else []
    )
    failed = {g: _words(v) for g, v in zip(golds, verdicts, strict=bool(verdicts)) if v.outcome != Outcome.RIGHT}
    refusals = dict(zip(golds, check_golds(verifier, golds, None), strict=True))
    found: list[Finding] = []
    for gold in golds:
        why = refusals[gold] or failed.get(gold)
        if why is not None:
            stops = refusals[gold] is None or not drops_refused
            found.append(Finding(Kind.GOLD, tuple(places[gold]), f"{quoted(gold)}: {why}", stops_run=stops))
    return found, len(golds)


def two_golds(
    verifier: Verifier | None, rows: Sequence[Row], groups: Sequence[Sequence[int]], judge: Judge
) -> list[Finding]:
    """A finding for every question whose rows have golds of which neither is right as an answer to the other; `groups`
    are the places of the rows that ask one question. By their text where no verifier says how an answer is written."""
    differing: list[dict[str, list[str]]] = []
    for group in groups:
        places: dict[str, list[str]] = {}
        for row in (rows[place] for place in group):
            if row.gold is not None:
                places.setdefault(row.gold, []).append(row.where)
        if len(places) > 1:
            differing.append(places)
    equal = _equal_pairs(verifier, [pair for places in differing for pair in _pairs(list(places))], judge)
    found: list[Finding] = []
    for places in differing:
        first, *others = places
        different = [other for other in others if (first, other) not in equal]
        if different:
            golds = [first, *different]
            everywhere = tuple(place for gold in golds for place in places[gold])
            found.append(Finding(Kind.TWO_GOLDS, everywhere, " and ".join(map(quoted, golds))))
    return found


def quoted(text: str) -> str:
    """A text on one line, in ASCII quotes, cut at 80 characters."""
    whole = json.dumps(text, ensure_ascii=False)
    return whole if len(whole) <= MAX_QUOTED else f"{whole[:MAX_QUOTED]}…"


def _pairs(golds: Sequence[str]) -> list[tuple[str, str]]:
    return [(golds[0], other) for other in golds[1:]]


def _equal_pairs(
    verifier: Verifier | None, pairs: Sequence[tuple[str, str]], judge: Judge
) -> frozenset[tuple[str, str]]:
    """The pairs of which one is right as an answer to the other, whichever is the gold: a verifier may look at the form
    of an answer that it would accept as a gold."""
    if verifier is None or not _writes(verifier):
        return frozenset()
    items = [item for one, other in pairs for item in ((other, one), (one, other))]
    verdicts = judge(verifier, [(_response(verifier, answer), gold, False) for answer, gold in items])
    right = [verdict.outcome == Outcome.RIGHT for verdict in verdicts]
    return frozenset(pair for pair, *either in zip(pairs, right[::2], right[1::2], strict=True) if any(either))


def _writes(verifier: Verifier) -> bool:
    return isinstance(verifier, WritesAnswers)


def _response(verifier: Verifier, answer: str) -> str:
    assert isinstance(verifier, WritesAnswers), "asked only of a verifier that says how an answer is written"
    return verifier.response_with(answer)


def _words(verdict: Verdict) -> str:
    detail = f" ({verdict.detail})" if verdict.detail else ""
    return f"judged {verdict.outcome} as an answer to itself{detail}"

"""Which responses to a question gave one answer, by the verifier's own notion of equality: what a majority votes on."""

from collections import Counter
from collections.abc import Sequence

from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.registry.kinds.judging import Verifier, WritesAnswers
from prerl_spec.types import Outcome, Verdict

Votes = tuple[tuple[int, bool], ...]
COMPARED, LONGEST = 16, 200
"""Different wrong texts of a question that the verifier compares, 120 pairs: the most frequent of up to so many characters.
The rest is told apart by its text: a long one may keep a verifier busy, once for each pair."""


def answer_votes(
    site: EvaluationSite, verifier: Verifier, verdict_QK: Sequence[Sequence[Verdict]]
) -> list[Votes] | None:
    """For each question how many responses gave each answer, and whether it is right; the most frequent first.

    Right responses gave one answer: each equals the gold. Wrong ones gave the same if their texts are equal but for spaces,
    or if a verifier that says how an answer is written judges a response with the one right against the other. Responses
    without a verdict of right or wrong have no vote. None for a verifier that does not say which answer it has judged wrong.
    """
    wrong_Q = [Counter(_text(v) for v in of_question if v.outcome is Outcome.WRONG) for of_question in verdict_QK]
    if any(None in wrong for wrong in wrong_Q):
        return None
    texts_Q = [[text for text, _ in wrong.most_common() if text is not None] for wrong in wrong_Q]
    same_Q = _same_answers(site, verifier, texts_Q)
    found = []
    for of_question, wrong, texts, same in zip(verdict_QK, wrong_Q, texts_Q, same_Q, strict=True):
        num_right = sum(verdict.outcome is Outcome.RIGHT for verdict in of_question)
        counts = Counter[str]()
        for text in texts:
            counts[same.get(text, text)] += wrong[text]
        votes = [(num_right, True)] if num_right else []
        votes += [(count, False) for count in counts.values()]
        found.append(tuple(sorted(votes, reverse=True)))
    return found


def _text(verdict: Verdict) -> str | None:
    """The answer without its spaces: `1, 2` and `1,2` are one text."""
    return None if verdict.answer is None else "".join(verdict.answer.split())


def _same_answers(site: EvaluationSite, verifier: Verifier, texts_Q: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    """For each question the texts that equal a more frequent one, each with the most frequent of them. One call for all."""
    if not isinstance(verifier, WritesAnswers):
        return [{} for _ in texts_Q]
    short_Q = [[text for text in texts if len(text) <= LONGEST][:COMPARED] for texts in texts_Q]
    pairs = [
        (question, rarer, other)
        for question, short in enumerate(short_Q)
        for place, rarer in enumerate(short)
        for other in short[:place]
    ]
    evidence = [(verifier.response_with(rarer), other, False) for _, rarer, other in pairs]
    verdicts = site.verify(verifier, evidence) if evidence else []
    same_Q: list[dict[str, str]] = [{} for _ in texts_Q]
    for (question, rarer, other), verdict in zip(pairs, verdicts, strict=True):
        if verdict.outcome is Outcome.RIGHT:
            # Pairs come with the most frequent text first, which has found its own answer before.
            same_Q[question].setdefault(rarer, same_Q[question].get(other, other))
    return same_Q

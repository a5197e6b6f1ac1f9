"""Synthetic steps for tests: groups of attempts with given outcomes and random tokens, without a model."""

from collections.abc import Sequence

import numpy as np

from prerl_spec.types import VERDICT_PART, Attempt, Group, Outcome, Prompt, Segment, Step, Stop, Verdict

Result = Outcome | float | Verdict
"""An outcome, a score in [0, 1] (1 is right, anything less is wrong), or a whole verdict."""

VOCABULARY = 64
BUDGET = 8
"""`max_new_tokens` of a step of responses."""


def made_attempt(result: Result | None, ids: Sequence[int], logps: Sequence[float] | None = None) -> Attempt:
    """An attempt of these tokens; None is a document, which has neither verdict nor reward."""
    stop: Stop = "document" if result is None else "length" if result is Outcome.UNPARSABLE else "eos"
    segment = Segment(tuple(ids), logps=None if logps is None else tuple(logps))
    verdict = None if result is None else _verdict(result)
    return Attempt(
        segments=(segment,),
        text=" ".join(str(i) for i in ids),
        stop=stop,
        verdict=verdict,
        reward=None if verdict is None else verdict.score,
        parts={} if verdict is None or verdict.score is None else {VERDICT_PART: verdict.score},
    )


def made_step(results_PG: Sequence[Sequence[Result]], *, seed: int = 0, lengths: Sequence[int] | None = None) -> Step:
    """A step of groups with these results: `made_step([[1.0, 0.0], [0.0, Outcome.TIMEOUT]])`.

    `lengths` are tokens per sample, group after group; by default 1 to 7, drawn from `seed` like the tokens and the
    sampler's log-probabilities.
    """
    random = np.random.default_rng(seed)
    num_samples = sum(len(results) for results in results_PG)
    drawn = random.integers(1, 8, size=num_samples).tolist() if lengths is None else list(lengths)
    assert len(drawn) == num_samples, f"{len(drawn)} lengths for {num_samples} samples"
    left = iter(drawn)
    groups = []
    for slot, results in enumerate(results_PG):
        attempts = []
        for result in results:
            ids = random.integers(0, VOCABULARY, size=next(left)).tolist()
            attempts.append(made_attempt(result, ids, random.uniform(-3, 0, size=len(ids)).tolist()))
        prompt = Prompt("train", slot, f"question {slot}", "1", context=(slot, slot + 1))
        groups.append(Group(slot, prompt, tuple(attempts), max_new_tokens=BUDGET))
    return Step("phase", 1, 1, tuple(groups), max_new_tokens=BUDGET)


def made_documents(lengths: Sequence[int], *, seed: int = 0) -> Step:
    """A supervised step: one document a group, no verdicts, no response budget."""
    random = np.random.default_rng(seed)
    groups = []
    for slot, length in enumerate(lengths):
        ids = random.integers(0, VOCABULARY, size=length).tolist()
        groups.append(Group(slot, Prompt("train", slot, None, None, context=(1,)), (made_attempt(None, ids),)))
    return Step("phase", 1, 1, tuple(groups))


def _verdict(result: Result) -> Verdict:
    if isinstance(result, Verdict):
        return result
    if isinstance(result, Outcome):
        scores = {Outcome.RIGHT: 1.0, Outcome.WRONG: 0.0, Outcome.UNPARSABLE: 0.0}
        return Verdict(result, scores.get(result))
    return Verdict(Outcome.RIGHT if result >= 1 else Outcome.WRONG, float(result))

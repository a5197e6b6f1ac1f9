"""The conditions of a score: n, seed, decoding, versions and template. Only scores that share them share a chart."""

from collections.abc import Sequence
from dataclasses import dataclass

from prerl_spec.report.drawing.markup import Html, join, tag
from prerl_spec.report.formatting.decoding import sampled_words
from prerl_spec.types import Score


@dataclass(frozen=True)
class Protocol:
    """The conditions of a score, except the weights: only scores of the same protocol share a chart."""

    task: str
    questions: int
    samples_per_question: int
    seed: int
    decoding: str
    harness: str
    task_version: str
    task_hash: str
    template_hash: str

    @classmethod
    def of(cls, score: Score) -> "Protocol":
        return cls(
            score.task,
            score.questions,
            score.samples_per_question,
            score.seed,
            sampled_words(score.decoding),
            score.harness,
            str(score.task_version),
            score.task_hash,
            score.template_hash,
        )

    def in_words(self, seeds: Sequence[int] = ()) -> Html:
        """The protocol as text, shown under each chart; with the seeds of all its scores where they are not its own."""
        n = self.questions * self.samples_per_question
        own = seeds or (self.seed,)
        told = f"seed{'s' if len(own) > 1 else ''} {', '.join(map(str, own))}"
        return join(
            [
                f"n = {self.questions} questions × {self.samples_per_question} samples = {n}; {told}; ",
                f"{self.decoding}; {self.harness}; task version {self.task_version}, hash ",
                tag("code", self.task_hash[:12], title=self.task_hash),
                "; template ",
                tag("code", self.template_hash[:12], title=self.template_hash),
            ]
        )


def final_scores(scores: Sequence[Score]) -> list[Score]:
    """The score of the latest global step for each phase, task, metric and protocol, in the order of the file."""
    latest: dict[object, Score] = {}
    for score in scores:
        key = (score.phase, score.metric, Protocol.of(score))
        if key not in latest or score.global_step >= latest[key].global_step:
            latest[key] = score
    return list(latest.values())

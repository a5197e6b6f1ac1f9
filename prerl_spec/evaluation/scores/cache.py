"""A cache of scores, keyed by everything they depend on: one JSON file each, written atomically."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prerl_spec.errors import Damaged
from prerl_spec.evaluation.scores.question_results import as_line, from_line
from prerl_spec.evaluation.scores.scored import Scored
from prerl_spec.evaluation.scores.scores import digest
from prerl_spec.registry.kinds.evaluator import EvaluationSite
from prerl_spec.storage.sealed import read_object, write_object
from prerl_spec.types import Score


@dataclass(frozen=True)
class ScoreCache:
    """Scores in a folder, with their questions' results, keyed by the SHA-256 of everything that determines them.

    Every rank reads before and writes after the same evaluation, with the same content, so ranks agree on what to score
    without communicating.
    """

    folder: Path

    def find(self, site: EvaluationSite, what: Any) -> Scored | None:
        """The scores of these weights under these conditions, with the current step and token counts; None if not cached,
        damaged, or kept without the questions' results: they are then scored again."""
        try:
            kept = read_object(self._file(site, what))
        except (FileNotFoundError, Damaged):
            return None
        if "questions" not in kept:
            return None
        metrics, questions = kept["header"]["metrics"], [from_line(line) for line in kept["questions"]]
        scores = [
            replace(
                Score.of_row(row),
                phase=site.phase,
                global_step=site.global_step,
                generated_tokens=site.generated_tokens,
                trained_tokens=site.trained_tokens,
            )
            for row in kept["scores"]
        ]
        lower = tuple(kept["header"].get("lower_is_better", ()))
        return Scored(scores, metrics, questions, lower_is_better=lower)

    def keep(self, site: EvaluationSite, what: Any, scored: Scored) -> None:
        """Stores the scores for later evaluations of this run or a resumed one."""
        rows = [score.as_row() for score in scored.scores]
        lines = [as_line(result) for result in scored.questions]
        write_object(self._file(site, what), {"scores": rows, "header": scored.header(), "questions": lines})

    def _file(self, site: EvaluationSite, what: Any) -> Path:
        named = {"sampler": site.sampled_by} if site.sampled_by else {}
        return self.folder / f"{digest({'weights': site.weights_hash, 'what': what, **named})}.json"

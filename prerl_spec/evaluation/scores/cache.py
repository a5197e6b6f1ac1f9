"""Nothing is scored twice: scores kept by what they depend on, one JSON file each, written whole or not at all."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from prerl_spec.evaluation.scores.scores import digest
from prerl_spec.registry.kinds import EvaluationSite
from prerl_spec.types import Score
from prerl_spec.whole_file import write_whole


@dataclass(frozen=True)
class ScoreCache:
    """Scores in a folder, by the SHA-256 of everything that decides them.

    Every rank reads before and writes after the same evaluation, each the same content: ranks agree on what is to be
    scored without a message.
    """

    folder: Path

    def find(self, site: EvaluationSite, what: Any) -> list[Score] | None:
        """The scores of these weights under these conditions, as of now in the run; None where there are none yet."""
        file = self._file(site, what)
        if not file.is_file():
            return None
        return [
            replace(
                Score(**row),
                phase=site.phase,
                global_step=site.global_step,
                generated_tokens=site.generated_tokens,
                trained_tokens=site.trained_tokens,
            )
            for row in json.loads(file.read_text(encoding="utf-8"))
        ]

    def keep(self, site: EvaluationSite, what: Any, scores: Sequence[Score]) -> None:
        """Writes the scores for later evaluations, of this run or a resumed one."""
        write_whole(self._file(site, what), json.dumps([asdict(score) for score in scores], indent=1))

    def _file(self, site: EvaluationSite, what: Any) -> Path:
        return self.folder / f"{digest({'weights': site.weights_hash, 'what': what})}.json"

"""Scores as one of several processes and writes what it got: `torchrun … rank_worker.py FOLDER ROWS`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from prerl_components.evaluators.lm_eval import LmEval

from prerl_spec.engine.processes.ranks import Ranks
from tests.evaluation.sites import invariant_logps, tiny_scene

folder, rows = Path(sys.argv[1]), sys.argv[2]
rank = Ranks.start().rank
with tiny_scene(folder / f"rank-{rank}") as scene:
    scores = LmEval(tasks=("math500",), data={"math500": rows}, samples=3).score(scene.site)
    pairs = [(scene.site.codec.encode("2 + 2 ="), scene.site.codec.encode(str(number))) for number in range(5)]
    found = {
        "scores": [asdict(score) for score in scores],
        "questions": [list(request.context) for request in scene.heard.requests],
        "logps": scene.site.continuation_logps(pairs),
        "invariant logps": invariant_logps(scene),
    }
(folder / f"{rank}.json").write_text(json.dumps(found), encoding="utf-8")

"""Scores as one of several processes and writes what it got: `torchrun … rank_worker.py FOLDER ROWS`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from prerl_components.evaluators.lm_eval import LmEval

from prerl_spec.engine.processes.heartbeat import heartbeat
from prerl_spec.engine.processes.ranks import Ranks, joined_ranks
from prerl_spec.engine.processes.signals import Signals
from prerl_spec.engine.run import kept_rounds
from prerl_spec.engine.run.kept_rounds import UNFINISHED
from prerl_spec.engine.run.shared_calls import SharedCalls
from prerl_spec.engine.run.stages import Stages
from prerl_spec.errors import Interrupted
from prerl_spec.types import Decoding, Request
from tests.evaluation.sites import Scene, check_golds, invariant_logps, judge, opened, tiny_scene


def interrupted_and_resumed(scene: Scene, folder: Path, ranks: Ranks) -> dict[str, object]:
    """What the ranks sample, undisturbed and with an interrupt of rank 1 after its second round."""
    requests = [Request(tuple(range(3, 5 + i % 4)), (2 * i, 2 * i + 1)) for i in range(24)]
    decoding = Decoding(max_new_tokens=6)
    kept_rounds.SAMPLES_PER_ROUND = 4
    with Signals() as signals, heartbeat(ranks, signals):

        def report(stage: str, done: int, total: int) -> None:
            if ranks.rank == 1 and done > 16:  # of both ranks, where the other is as far
                signals.stop()

        def calls(where: str, tick: object = None) -> SharedCalls:
            stages = Stages(report if tick else lambda *_: None, signals, ranks)
            found = SharedCalls(
                scene.policy,
                scene.heard,
                ranks,
                judge,
                stages.tick,
                check_golds=check_golds,
                alone=stages.alone,
                conditions={},
            )
            found.keep_rounds(folder / where / UNFINISHED, "weights")
            return found

        whole = calls("undisturbed").generate(requests, decoding)
        before = len(scene.heard.requests)
        try:
            calls("kept", tick=True).generate(requests, decoding)
            interrupted = False
        except Interrupted:
            interrupted = True
        signals.raised = False
        ranks.barrier()
    first = len(scene.heard.requests) - before
    with Signals() as signals:
        again = calls("kept").generate(requests, decoding)
    second = len(scene.heard.requests) - before - first
    return {"interrupted": interrupted, "equal": again == whole, "asked": [first, second]}


folder, rows = Path(sys.argv[1]), sys.argv[2]
opened.cache_clear()  # a fork's parent may have opened it, as one process alone
with joined_ranks() as ranks, tiny_scene(folder / f"rank-{ranks.rank}") as scene:
    rank = ranks.rank
    scores = LmEval(tasks=("math500_boxed",), data={"math500_boxed": rows}, samples=3).score(scene.site)
    ticks = [told for told in scene.ticks if told[0] == "evaluate:math500_boxed"]
    pairs = [(scene.site.codec.encode("2 + 2 ="), scene.site.codec.encode(str(number))) for number in range(5)]
    found = {
        "ticks": ticks,
        "scores": [asdict(score) for score in scores],
        "questions": [list(request.context) for request in scene.heard.requests],
        "logps": scene.site.continuation_logps(pairs),
        "invariant logps": invariant_logps(scene),
        "stopped": interrupted_and_resumed(scene, folder, ranks),
    }
(folder / f"{rank}.json").write_text(json.dumps(found), encoding="utf-8")

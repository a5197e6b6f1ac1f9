"""A made-up run folder of three phases in the shape that the engine writes, with curves like those of a real one."""

import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prerl_spec.storage.journal_frames import group_frame, step_file, step_frame, verdicts_frame, with_verdicts
from prerl_spec.types import Attempt, Group, Outcome, Prompt, Segment, Verdict
from tests.run_files import write_events, write_frames, write_object, write_scores

HOSTILE = (
    '</pre></script><img src=x onerror="document.title=1"><script>document.title="owned"</script>\x1b[31m\u202egnp'
)
PHASES = (("pretrain", 1, 60), ("prune", 61, 75), ("refine", 76, 120))


def write_run(folder: Path, *, seed: int = 0, name: str = "quickstart") -> Path:
    """Writes the folder and returns it: 60 supervised steps, 15 of prune, 45 of refine, scored four times."""
    folder.mkdir(parents=True)
    draw = random.Random(seed)
    (folder / "spec.toml").write_text(f'spec = 1\nrun.name = "{name}"\n', encoding="utf-8")
    write_object(folder / "plan.json", plan(name, seed))
    write_object(folder / "manifest.json", manifest())
    lines = list(events(draw))
    write_events(folder / "events.jsonl", lines)
    write_scores(folder / "scores.json", [s for e in lines if e["event"] == "evaluate" for s in e["scores"]])
    for step in (61, 75, 76, 120):
        write_journal(folder, step, draw)
    return folder


def plan(name: str, seed: int) -> dict[str, Any]:
    """As much of plan.json as a report reads."""
    probe = {"kind": "probe", "use": "thoughts", "settings": {"rules": "seal", "every": 1}}
    return {
        "name": name,
        "seed": seed,
        "digest": "9c1f" * 16,
        "prerl_spec": "0.1.0",
        "model": {"kind": "model", "use": "from_scratch", "settings": {"tokenizer": "data:corpus"}},
        "num_parameters": 304_000,
        "phases": [
            {"id": "pretrain", "objective": {"use": "next_token"}, "probes": []},
            {"id": "prune", "objective": {"use": "marginal_nsr"}, "probes": [probe]},
            {"id": "refine", "objective": {"use": "grpo"}, "probes": [probe]},
        ],
    }


def manifest() -> dict[str, Any]:
    environment = {
        "versions": {"prerl-spec": "0.1.0", "torch": "2.13.0"},
        "cpu_count": 2,
        "threads": 1,
        "world_size": 1,
    }
    return {
        "git": {"commit": "4f2c1d9a", "dirty": True},
        "prefixes": {"auto": {"ids": [0], "text": "<|end|>"}},
        "lineage": [
            {"environment": environment, "changed": [], "bit_exact": True},
            {"environment": environment | {"threads": 2}, "changed": ["threads"], "bit_exact": False},
        ],
    }


def events(draw: random.Random) -> Iterator[dict[str, Any]]:
    generated = trained = 0
    yield evaluation("base", 0, 0.0, 0, 0)
    for phase, first, last in PHASES:
        yield {"event": "phase", "phase": phase, "global_step": first - 1, "state": "begin", "time": 1000.0 + first}
        for global_step in range(first, last + 1):
            event = step_event(phase, global_step - first + 1, global_step, draw)
            generated += event["tokens"]["generated"]
            trained += event["tokens"]["trained"]
            yield event
        yield {"event": "phase", "phase": phase, "global_step": last, "state": "end", "time": 1001.0 + last}
        level = {"pretrain": 0.3, "prune": 0.42, "refine": 0.64}[phase]
        yield evaluation(phase, last, level, generated, trained)
    yield {"event": "warning", "message": "sampler_gap 0.004 in step 75", "time": 1200.0}
    yield {"event": "end", "global_step": 120, "time": 1201.0}


def step_event(phase: str, step: int, global_step: int, draw: random.Random) -> dict[str, Any]:
    event = {
        "event": "step",
        "phase": phase,
        "step": step,
        "global_step": global_step,
        "updates": 1,
        "applied": 1,
        "time": 1000.0 + global_step,
    }
    if phase == "pretrain":
        metrics = {
            "loss": 4.4 * math.exp(-step / 20) + 0.5 + draw.gauss(0, 0.03),
            "grad_norm": 1.0 + 3 / step,
            "lr": 0.02,
        }
        seconds = {"sample": 0.0, "verify": 0.0, "train": 0.12, "total": 0.13}
        return event | {"metrics": metrics, "tokens": {"generated": 0, "trained": 2230}, "seconds": seconds}
    right = min(0.9, max(0.05, (0.25 + 0.007 * (global_step - 60)) + draw.gauss(0, 0.04)))
    unparsable = 0.1 * math.exp(-step / 30)
    metrics = {
        "reward_mean": right,
        "verdict_right": right,
        "verdict_wrong": 1 - right - unparsable,
        "verdict_unparsable": unparsable,
        "verdict_timeout": 0.0,
        "verdict_error": 0.0,
        "groups_with_signal": 0.9 - 0.4 * right,
        "response_length": 47 + draw.gauss(0, 2),
        "truncated": 0.02,
        "entropy": 0.36 - 0.001 * step,
        "logp_conditional": -0.4 + 0.001 * step,
        "logp_marginal": -0.9 + 0.002 * step,
        "grad_norm": 0.4 + abs(draw.gauss(0, 0.2)),
        "sampler_gap": 1e-6,
        "parameters_moved": 1.0,
        "lr": 2e-4,
        "loss": 0.0,
        "thoughts/thoughts_reflection": 0.36 - 0.0028 * (global_step - 61),
        "thoughts/thoughts_transition": 0.5 + 0.01 * step,
    }
    seconds = {"sample": 0.5, "verify": 0.04, "train": 0.48, "total": 1.05}
    return event | {"metrics": metrics, "tokens": {"generated": 6100, "trained": 6000}, "seconds": seconds}


def evaluation(phase: str, global_step: int, level: float, generated: int, trained: int) -> dict[str, Any]:
    scores = [
        score(phase, global_step, task, metric, value, generated, trained)
        for task, scale in (("arithmetic_chains_easy", 1.0), ("arithmetic_chains_hard", 0.11))
        for metric, value in (("avg@16", level * scale), ("pass@16", min(0.97, level * scale * 2.1)))
    ]
    return {
        "event": "evaluate",
        "phase": phase,
        "global_step": global_step,
        "evaluator": 0,
        "use": "lm_eval",
        "seconds": 11.0,
        "scores": scores,
        "time": 1000.5 + global_step,
    }


def score(
    phase: str, global_step: int, task: str, metric: str, value: float, generated: int, trained: int
) -> dict[str, Any]:
    return {
        "phase": phase,
        "global_step": global_step,
        "task": task,
        "metric": metric,
        "value": value,
        "low": max(0.0, value - 0.035),
        "high": min(1.0, value + 0.035),
        "questions": 128,
        "samples_per_question": 16,
        "seed": 0,
        "decoding": {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "max_new_tokens": 110, "stop": []},
        "harness": "lm-eval 0.4.13",
        "task_version": "1.0",
        "task_hash": "ab12" * 16,
        "template_hash": "cd34" * 16,
        "generated_tokens": generated,
        "trained_tokens": trained,
    }


def write_journal(folder: Path, global_step: int, draw: random.Random) -> Path:
    """Two groups of four: the first holds a response that would like to be markup."""
    phase, first = next((p, f) for p, f, last in PHASES if f <= global_step <= last)
    header = {"phase": phase, "step": global_step - first + 1, "global_step": global_step, "unknown": True}
    texts = [f" a:29+8=37. so b:37+9=46. then c:46*2=92. answer \\boxed{{{n}}}" for n in (92, 82, 92)]
    groups = []
    for slot, last_text in enumerate((HOSTILE, " a:29+8=27. wait a:29+8=37. so")):
        question = f"Q: 29 a:+8 b:+9 c:*2 ? <b>{slot}</b>"
        prompt = Prompt("train", draw.randrange(100), question, "92", (1, 2, 3))
        attempts = tuple(Attempt((Segment((5,) * 47),), text, "eos") for text in (*texts, last_text))
        groups.append(Group(slot, prompt, attempts))
    outcomes = ("right", "wrong", "right", "unparsable")
    verdicts = [
        Verdict(Outcome(o), float(o == "right"), a, "" if a else "no \\boxed{} in it")
        for o, a in zip(outcomes, ("92", "82", "92", None), strict=True)
    ]
    judged = [with_verdicts(group, verdicts, [v.score for v in verdicts]) for group in groups]
    file = step_file(folder / "journal", global_step)
    write_frames(file, [step_frame(header), *map(group_frame, groups), *map(verdicts_frame, judged)])
    return file

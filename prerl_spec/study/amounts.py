"""What a run has taken of what a study counts: tokens, steps or seconds, from its own events."""

from pathlib import Path

from prerl_spec.storage.run_events import amount_taken, read_run_events


def amount(run: Path, match: str) -> float:
    """Of the steps of this run alone, without those of the run that it started from. Raises Damaged.

    A step that a resumed run took again counts once: the later event of a step is the one that holds.
    """
    steps = {event["global_step"]: event for event in read_run_events(run).entries if event["event"] == "step"}
    return amount_taken(steps.values(), match)

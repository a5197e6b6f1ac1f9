"""The audit section: what each check has looked at and found, a table a run."""

from collections.abc import Sequence

from prerl_spec.report.drawing.markup import Html, tag
from prerl_spec.report.tables.arms import Arm
from prerl_spec.report.tables.audit import Finding, audit

NOTE = (
    "Looks back at what was recorded; nothing here stops a run or warns while it goes on. Thresholds are places to look, "
    "no proofs: docs/report.md names them."
)


def audit_cards(arms: Sequence[Arm]) -> list[Html]:
    """One card per arm: each check with its findings, one a seed. Raises Damaged."""
    cards = []
    for arm in arms:
        found = [(label, audit(run)) for label, run in zip(arm.labels, arm.runs, strict=True)]
        if any(findings for _, findings in found):
            cards.append(_card(arm, found, alone=len(arms) == 1))
    return cards


def _card(arm: Arm, found: Sequence[tuple[str, Sequence[Finding]]], *, alone: bool) -> Html:
    checks = dict.fromkeys(finding.check for _, findings in found for finding in findings)
    rows = []
    for check in checks:
        of = [(label, f) for label, findings in found for f in findings if f.check == check]
        words = {f.words for _, f in of}
        told = [tag("p", *words)] if len(words) == 1 else [tag("p", f"{label}: {f.words}") for label, f in of]
        rows.append(tag("tr", tag("th", check), tag("td", _state([f.alarm for _, f in of])), tag("td", *told)))
    heading = None if alone else tag("h3", arm.title)
    return tag("article", heading, tag("table", *rows, class_="audit"), class_="card")


def _state(alarms: Sequence[bool | None]) -> Html:
    raised, known = sum(a is True for a in alarms), [a for a in alarms if a is not None]
    if not known:
        return tag("span", "not measured", class_="badge")
    if not raised:
        return tag("span", "no alarm", class_="badge clear")
    return tag("span", "alarm" if len(alarms) == 1 else f"alarm in {raised} of {len(alarms)}", class_="badge raised")

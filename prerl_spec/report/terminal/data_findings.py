"""The findings of `check-data` as text, by data set and kind, and as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from prerl_spec.engine.data_check.report import BenchmarkReport, CheckReport, DataReport, Finding, Kind
from prerl_spec.report.formatting.printable import ascii_only

MAX_SHOWN = 10
"""Findings of one kind that the text names; the JSON names all."""
MAX_PLACES = 4
FORMAT_VERSION = 1


def findings_text(report: CheckReport) -> str:
    """A block for each data set: its counts, then the first findings of each kind with their places."""
    blocks = ["\n".join(_data_lines(one)) for one in report.data]
    if report.benchmarks:
        blocks.append(
            "\n".join(["benchmarks compared with the training texts", *map(_benchmark_line, report.benchmarks)])
        )
    total = sum(1 for _ in report.findings())
    words = "no findings" if not total else f"{total} finding{'s' * (total != 1)}"
    stopping = sum(finding.stops_run for finding in report.findings())
    blocks.append(f"{words}, {stopping} of them to be mended before a run" if stopping else words)
    return ascii_only("\n\n".join(blocks))


def findings_json(report: CheckReport, spec: str) -> dict[str, Any]:
    """Every finding with all its places."""
    return {
        "format": FORMAT_VERSION,
        "spec": spec,
        "num_findings": sum(1 for _ in report.findings()),
        "stops_run": report.stops_run,
        **asdict(report),
    }


def _data_lines(one: DataReport) -> Iterator[str]:
    if one.num_rows is None:
        yield f"data.{one.name}: unknown: {one.unknown['rows']}"
        return
    golds = f", {one.num_golds:,} different golds" if one.num_golds else ""
    yield f"data.{one.name}: {one.num_rows:,} rows{golds}"
    for what, why in one.unknown.items():
        yield f"  {what}: unknown: {why}"
    for kind in Kind:
        of_kind = [finding for finding in one.findings if finding.kind == kind]
        if of_kind:
            yield f"  {kind}: {len(of_kind)}"
            yield from (f"    {_finding_line(finding)}" for finding in of_kind[:MAX_SHOWN])
            if len(of_kind) > MAX_SHOWN:
                yield f"    ... and {len(of_kind) - MAX_SHOWN} more (--json names all)"
    if not one.findings:
        yield "  nothing found"


def _finding_line(finding: Finding) -> str:
    places = _listed(finding.places)
    return f"{places}: {finding.message}" if places else finding.message


def _listed(places: Sequence[str]) -> str:
    shown = ", ".join(places[:MAX_PLACES])
    return shown if len(places) <= MAX_PLACES else f"{shown} and {len(places) - MAX_PLACES} more"


def _benchmark_line(one: BenchmarkReport) -> str:
    if one.unknown is not None:
        return f"  {one.name}: unknown: {one.unknown}"
    return f"  {one.name}: {one.num_questions:,} questions"

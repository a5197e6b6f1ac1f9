"""Writes the tables of docs/benchmarks.md from the packs and the protocols.

`PYTHONPATH=.:components python docs/write_benchmarks.py` brings the page up to date; tests/evaluation/test_packs.py fails while
it is not.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from prerl_spec.evaluation.packs import Pack, packs
from prerl_spec.evaluation.protocols import PROTOCOLS, Protocol

PAGE = Path(__file__).parent / "benchmarks.md"
_END = "<!-- end -->"

RUN: dict[str, str] = {
    "aime24_boxed": "30, local",
    "aime25_boxed": "30, local",
    "amc23_boxed": "40, local",
    "gsm8k_boxed": "1,319, local",
    "arithmetic_chains_easy": "512, generated",
    "arithmetic_chains_hard": "512, generated",
}
"""Pack -> the real rows that it has been run on, by `PYTHONPATH=.:components python benchmarks/packs_on_real_rows.py`."""


def tables() -> dict[str, str]:
    """Name of a marked place of the page -> its table."""
    return {
        "packs": _table(
            ("name", "rows", "published", "licence", "usual protocol", "run on real rows", "source"),
            (_row(pack) for pack in packs().values()),
        ),
        "contents": _table(("name", "what it asks"), ((f"`{p.name}`", p.title.rstrip(".")) for p in packs().values())),
        "checked": _table(
            ("name", "hub data set", "split", "columns", "how the source was checked"),
            (_source(pack) for pack in packs().values() if pack.hub),
        ),
        "protocols": _table(
            ("protocol", "T", "top_p", "top_k", "tokens", "samples", "source"), map(_protocol, PROTOCOLS.values())
        ),
    }


def _row(pack: Pack) -> tuple[str, ...]:
    usual = "any" if pack.protocol == "off" else f"`{pack.protocol}`"
    hub = f"[{pack.hub}]({pack.source})" if pack.hub else pack.source
    run = RUN.get(pack.name, "no: written, content unknown")
    published = "-" if pack.published == "unknown" else pack.published
    return f"`{pack.name}`", f"{pack.rows:,}", published, pack.licence, usual, run, hub


def _source(pack: Pack) -> tuple[str, ...]:
    columns = pack.columns
    shown = f"{columns.question}, {columns.answer}" + (f" after `{columns.after}`" if columns.after else "")
    shown += f", {', '.join(columns.wrong)}; order by seed {columns.seed}" if columns.wrong else ""
    name = f"{pack.hub}, {pack.hub_name}" if pack.hub_name else str(pack.hub)
    return f"`{pack.name}`", name, pack.split, shown, pack.checked


def _protocol(protocol: Protocol) -> tuple[str, ...]:
    def number(value: float | None) -> str:
        return "the sampler's" if value is None else "off" if value in (0, 1) and value is not None else f"{value:,g}"

    temperature = "the sampler's" if protocol.temperature is None else f"{protocol.temperature:g}"
    tokens = number(protocol.max_new_tokens)
    if several := sorted(set(protocol.max_new_tokens_by_task.values())):
        tokens += f"; {several[0]:,} for AIME"
    counts: dict[int, list[str]] = {}
    for task, samples in protocol.samples_by_task.items():
        counts.setdefault(samples, []).append(task)
    samples_of = [f"{samples}: {', '.join(tasks)}" for samples, tasks in counts.items()]
    shown = "; ".join([*samples_of, f"{'else ' if samples_of else ''}{protocol.samples}"])
    source = f"{protocol.source}{f'. {protocol.unsaid[0].upper()}{protocol.unsaid[1:]}' if protocol.unsaid else ''}"
    return f"`{protocol.name}`", temperature, number(protocol.top_p), number(protocol.top_k), tokens, shown, source


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines)


def written(page: str) -> str:
    """The page with its tables as they are now."""
    for name, table in tables().items():
        before, mark, rest = page.partition(f"<!-- {name} -->\n")
        assert mark, f"docs/benchmarks.md has no place for the table `{name}`"
        _, end, after = rest.partition(_END)
        page = f"{before}{mark}{table}\n{end}{after}"
    return page


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

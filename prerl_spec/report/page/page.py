"""report.html: a self-contained page for one run, or for several side by side."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from prerl_spec.language.secrets import masked_line
from prerl_spec.report.drawing.markup import Html, document, tag
from prerl_spec.report.page.curves import constants, document_charts, sampled_charts
from prerl_spec.report.page.overview import facts, phase_table, state_words, time_bars
from prerl_spec.report.page.sample_responses import samples_to_read
from prerl_spec.report.page.scores import score_cards, score_curves
from prerl_spec.report.page.thoughts import thoughts_cards
from prerl_spec.report.tables.run_tables import RunRecord, read_run
from prerl_spec.situations import writing
from prerl_spec.storage.disk import write_whole


def write_report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Reads the runs, writes the page and returns its path: by default RUN/report.html, for several ./report.html.

    Raises UsageError for a folder that is not a run, RunFailed for a score with missing fields; an existing page is then
    left unchanged.
    """
    runs = [read_run(folder) for folder in folders]
    target = out or (folders[0] / "report.html" if len(folders) == 1 else Path("report.html"))
    page = render(runs)
    with writing(target, "choose another place with --out FILE"):
        write_whole(target, page)
    return target


def render(runs: Sequence[RunRecord]) -> str:
    """The page as text."""
    runs = _with_distinct_names(runs)
    title = runs[0].name if len(runs) == 1 else f"{len(runs)} runs"
    style, script = (
        files("prerl_spec.report.page").joinpath(name).read_text("utf-8") for name in ("page.css", "page.js")
    )
    sections = [
        _section("Overview", *(_run_card(run, alone=len(runs) == 1) for run in runs), kind=_columns(runs)),
        _section("Scores", *(score_cards(runs) or [tag("p", "No scores yet.")]), kind="wide"),
        _section("Scores during training", *score_curves(runs)),
        _section(
            "Sampled phases",
            *sampled_charts(runs),
            *thoughts_cards(runs),
            note=_ON_CURVES + (constants(runs, samples=True) or ""),
        ),
        _section("Phases on documents", *document_charts(runs), note=constants(runs, samples=False)),
        *(_section(_title_of(runs, run, "Sample responses"), *samples_to_read(run), kind="stack") for run in runs),
        *(_spec(runs, run) for run in runs),
    ]
    header = tag("header", tag("h1", title), tag("p", _subtitle(runs), class_="unit"))
    return document(f"{title} · prerl-spec", tag("main", header, *sections), style=style, script=script)


_ON_CURVES = "Over global steps. The loss of sampled phases is omitted: it does not measure their progress. "


def _section(title: str, *children: Html, kind: str = "grid", note: str | None = None) -> Html | None:
    if not children:
        return None
    paragraph = tag("p", note, class_="note") if note else None
    return tag("section", tag("h2", title), paragraph, tag("div", *children, class_=kind))


def _columns(runs: Sequence[RunRecord]) -> str:
    return "stack" if len(runs) == 1 else "wide"


def _run_card(run: RunRecord, *, alone: bool) -> Html:
    warned = [tag("li", w) for w in run.warnings]
    return tag(
        "article",
        None if alone else tag("h3", f"{run.name} ({state_words(run)})"),
        facts(run),
        tag("ul", *warned, class_="warnings") if warned else None,
        phase_table(run) if run.seconds else None,
        time_bars(run) if run.seconds else None,
        class_="card",
    )


def _spec(runs: Sequence[RunRecord], run: RunRecord) -> Html | None:
    if not run.spec_text:
        return None
    return tag(
        "details",
        tag("summary", _title_of(runs, run, "Spec as given")),
        tag("pre", masked_line(run.spec_text)),
        class_="spec",
    )


def _title_of(runs: Sequence[RunRecord], run: RunRecord, title: str) -> str:
    return title if len(runs) == 1 else f"{title}: {run.name}"


def _subtitle(runs: Sequence[RunRecord]) -> str:
    if len(runs) > 1:
        return ", ".join(r.name for r in runs)
    steps = f"{len(runs[0].steps)} steps" if runs[0].steps else "no step yet"
    return f"{steps}, {state_words(runs[0])}"


def _with_distinct_names(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Runs that share a name are named by their folders, or by their paths if the folder names are equal too."""
    for name_of in (lambda r: r.name, lambda r: r.folder.resolve().name, lambda r: str(r.folder)):
        names = [name_of(r) for r in runs]
        if len(set(names)) == len(names):
            break
    return [replace(r, name=n) for r, n in zip(runs, names, strict=True)]

"""report.html: a self-contained page for runs and folders of `eval`; runs that differ in their seeds only are drawn as one."""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from prerl_spec.language.secrets import masked_line
from prerl_spec.report.drawing.markup import Html, document, tag
from prerl_spec.report.page.audit_cards import NOTE, audit_cards
from prerl_spec.report.page.curves import constants, document_charts, sampled_charts
from prerl_spec.report.page.overview import facts, phase_table, seeds_table, state_words, time_bars
from prerl_spec.report.page.question_cards import changed_samples, heat_maps, pass_curves
from prerl_spec.report.page.sample_responses import samples_to_read
from prerl_spec.report.page.score_cards import score_cards, score_curves
from prerl_spec.report.page.thoughts import thoughts_cards
from prerl_spec.report.tables.arms import Arm, arms_of
from prerl_spec.report.tables.eval_folders import is_eval_folder, read_folders
from prerl_spec.report.tables.question_grids import question_grids
from prerl_spec.report.tables.run_tables import RunRecord
from prerl_spec.situations import writing
from prerl_spec.storage.disk import write_whole


def write_report(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Reads runs and folders of `eval`, writes the page and returns its path: by default FOLDER/report.html, for several
    ./report.html.

    Raises UsageError for another folder, Damaged, RunFailed for a score with missing fields; an existing page is then left
    unchanged.
    """
    runs = read_folders(folders)
    target = out or (folders[0] / "report.html" if len(folders) == 1 else Path("report.html"))
    page = render(runs)
    with writing(target, "choose another place with --out FILE"):
        write_whole(target, page)
    return target


def render(runs: Sequence[RunRecord]) -> str:
    """The page as text."""
    arms = arms_of(runs)
    grids = question_grids(arms)
    title = arms[0].title if len(arms) == 1 else _counted(arms)
    style, script = (
        files("prerl_spec.report.page").joinpath(name).read_text("utf-8") for name in ("page.css", "page.js")
    )
    every_run = [(arm.called(index), run) for arm in arms for index, run in enumerate(arm.runs)]
    sections = [
        _section("Overview", *(_arm_card(arm, alone=len(arms) == 1) for arm in arms), kind=_columns(arms)),
        _section("Scores", *(score_cards(arms) or [tag("p", "No scores yet.")]), kind="wide"),
        _section("Scores during training", *score_curves(arms)),
        _section("pass@k", *pass_curves(grids), note=_ON_PASS),
        _section("Questions", *heat_maps(grids), kind="wide"),
        _section("Audit", *audit_cards(arms), kind="stack", note=NOTE),
        _section(
            "Sampled phases",
            *sampled_charts(arms),
            *thoughts_cards(every_run),
            note=_ON_CURVES + (constants(arms, samples=True) or ""),
        ),
        _section("Phases on documents", *document_charts(arms), note=constants(arms, samples=False)),
        _section("Changed most", *changed_samples(grids), kind="stack", note=_ON_CHANGES),
        *(_section(_first(arms, arm, "Sample responses"), *samples_to_read(arm.runs[0]), kind="stack") for arm in arms),
        *(_spec(arms, arm) for arm in arms),
    ]
    header = tag("header", tag("h1", title), tag("p", _subtitle(arms), class_="unit"))
    return document(f"{title} · prerl-spec", tag("main", header, *sections), style=style, script=script)


_ON_CURVES = "Over global steps. The loss of sampled phases is omitted: it does not measure their progress. "
_ON_PASS = "The share of questions that at least one of k responses answers, estimated without bias from all of them."
_ON_CHANGES = "Held-out questions whose share of right responses rose and fell most from one place to the next."


def _section(title: str, *children: Html, kind: str = "grid", note: str | None = None) -> Html | None:
    if not children:
        return None
    paragraph = tag("p", note, class_="note") if note else None
    return tag("section", tag("h2", title), paragraph, tag("div", *children, class_=kind))


def _columns(arms: Sequence[Arm]) -> str:
    return "stack" if len(arms) == 1 else "wide"


def _arm_card(arm: Arm, *, alone: bool) -> Html:
    """What a run is and has taken; of several seeds what they share, and a row for each."""
    first = arm.runs[0]
    several = arm.num_seeds > 1
    warned = dict.fromkeys(
        f"{label}: {warning}" if several else warning
        for label, run in zip(arm.labels, arm.runs, strict=True)
        for warning in run.warnings
    )
    heading = arm.title if several or not first.steps else f"{arm.name} ({state_words(first)})"
    return tag(
        "article",
        None if alone else tag("h3", heading),
        facts(first, several=several),
        tag("ul", *(tag("li", words) for words in warned), class_="warnings") if warned else None,
        seeds_table(arm) if several else None,
        tag("p", f"Phases of {arm.labels[0]}", class_="note") if several and first.seconds else None,
        phase_table(first) if first.seconds else None,
        time_bars(first) if first.seconds else None,
        class_="card",
    )


def _spec(arms: Sequence[Arm], arm: Arm) -> Html | None:
    text = arm.runs[0].spec_text
    if not text:
        return None
    return tag(
        "details",
        tag("summary", _first(arms, arm, "Spec as given")),
        tag("pre", masked_line(text)),
        class_="spec",
    )


def _first(arms: Sequence[Arm], arm: Arm, title: str) -> str:
    """The title of what stands for the first run of an arm."""
    if len(arms) == 1:
        return title if arm.num_seeds == 1 else f"{title}: {arm.labels[0]}"
    return f"{title}: {arm.called(0)}"


def _counted(arms: Sequence[Arm]) -> str:
    """`2 runs`, `2 arms, 6 runs`, `3 scored models`."""
    runs = [run for arm in arms for run in arm.runs]
    num_models = sum(is_eval_folder(run.folder) for run in runs)
    if num_models == len(runs):
        return f"{num_models} scored models"
    return f"{len(runs)} runs" if len(runs) == len(arms) else f"{len(arms)} arms, {len(runs)} runs"


def _subtitle(arms: Sequence[Arm]) -> str:
    first = arms[0].runs[0]
    if len(arms) > 1:
        return ", ".join(arm.title for arm in arms)
    if arms[0].num_seeds > 1:
        return ", ".join(arms[0].labels)
    if is_eval_folder(first.folder):
        return "scores of one model"
    steps = f"{len(first.steps)} steps" if first.steps else "no step yet"
    return f"{steps}, {state_words(first)}"

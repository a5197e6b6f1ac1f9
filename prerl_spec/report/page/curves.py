"""The charts of a report and their titles; the loss is shown for phases on documents only."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from prerl_spec.report.drawing.markup import Html
from prerl_spec.report.drawing.plots import NUM_STYLES, Curve, curve_chart, stacked_chart
from prerl_spec.report.formatting.scales import short
from prerl_spec.report.tables.arms import Arm, common_stretches
from prerl_spec.report.tables.run_tables import RunRecord, Stretch


@dataclass(frozen=True)
class Chart:
    """One chart: title, unit, metric -> label, and values that the axis must show."""

    title: str
    unit: str
    metrics: Mapping[str, str]
    include: tuple[float, ...] = ()


VERDICTS = {
    "verdict_right": "right",
    "verdict_wrong": "wrong",
    "verdict_unparsable": "unparsable",
    "verdict_timeout": "timeout",
    "verdict_error": "error",
}
NOT_DRAWN = {("loss", "loss"), ("response_length", "mean"), ("response_length", "truncated")}
"""(probe, value): the loss is not informative in a sampled phase, the others repeat existing charts."""
PROBES = {
    "thoughts": ("Thoughts", "mean count per response"),
    "response_length": ("Response length in detail", "tokens"),
    "logp": ("Log-probability in other views", "nats per token"),
    "pass_at": ("pass@k of the step's prompts", "unbiased"),
    "solved": ("Prompts solved", "share of the step's prompts"),
    "entropy": ("Entropy by verdict", "nats per token, as sampled"),
    "surprisal": ("Surprisal by verdict", "-log p, nats per token, as sampled"),
    "reward_by_length": ("Reward by length", "mean, from the shortest responses to the longest"),
    "gradient_alignment_cosine": ("Gradient alignment: cosine", "of grad log P(y) and grad log P(y|x)"),
    "gradient_alignment_negative": ("Gradient alignment: negative", "share of responses with dot < 0"),
    "gradient_alignment_dot": ("Gradient alignment: inner product", ""),
    "gradient_alignment_delta_logp": ("Change of log P(y|x) by the update", "absolute, nats per token"),
    "gradient_alignment_change": ("Change of log P(y|x) by the update", "signed, nats per token"),
    "gradient_alignment_logp_gap": ("log P(y|x) against log P(y)", "absolute, nats per token"),
    "gradient_alignment_batch": ("Gradient alignment of the batch", ""),
}
"""Known probes -> title and unit of their chart."""
_VIEWS = {"logp_conditional": "log P(y | x)", "logp_marginal": "log P(y)"}
SAMPLED = (
    Chart("Reward", "mean over verified attempts", {"reward_mean": "reward"}),
    Chart("Right", "share of all attempts", {"verdict_right": "right"}, (0.0,)),
    Chart("Groups with signal", "share of groups", {"groups_with_signal": "with signal"}, (0.0,)),
    Chart("Response length", "tokens", {"response_length": "mean length"}, (0.0,)),
    Chart("Timeouts that answers caused", "share of all attempts", {"verdict_timeout_by_answer": "timeout"}, (0.0,)),
    Chart("Truncated", "share of attempts", {"truncated": "truncated"}, (0.0,)),
    Chart("Entropy", "nats per token", {"entropy": "entropy"}),
    Chart("Log-probability of responses", "nats per token", _VIEWS),
    Chart("Gradient norm", "before clipping", {"grad_norm": "norm"}, (0.0,)),
    Chart("Sampler gap", "mean |trainer - sampler|, nats per token", {"sampler_gap": "gap"}, (0.0,)),
    Chart("Parameters moved", "share", {"parameters_moved": "moved"}),
    Chart("Learning rate", "", {"lr": "lr"}, (0.0,)),
)
TRAINED_ON_DOCUMENTS = (
    Chart("Loss", "", {"loss": "loss"}),
    Chart("Gradient norm", "before clipping", {"grad_norm": "norm"}, (0.0,)),
    Chart("Learning rate", "", {"lr": "lr"}, (0.0,)),
)


def sampled_charts(arms: Sequence[Arm]) -> list[Html]:
    """Charts of the phases that sample: one arm with its verdict shares, or several arms overlaid."""
    stretches = common_stretches(_runs(arms))
    drawn: list[Html] = []
    for chart in (*SAMPLED, *_probe_charts(_runs(arms))):
        if len(arms) == 1 and chart.metrics.keys() == {"verdict_right"}:
            drawn += _verdict_shares(arms[0], stretches)
            continue
        drawn += _drawn(chart, arms, stretches, samples=True)
    return drawn


def document_charts(arms: Sequence[Arm]) -> list[Html]:
    """Charts of the phases that train on documents."""
    stretches = common_stretches(_runs(arms))
    return [c for chart in TRAINED_ON_DOCUMENTS for c in _drawn(chart, arms, stretches, samples=False)]


def constants(arms: Sequence[Arm], *, samples: bool) -> str | None:
    """A sentence that lists the constant metrics of a single arm, in place of flat charts; None if there are none."""
    if len(arms) != 1:
        return None
    charts = (*SAMPLED, *_probe_charts(_runs(arms))) if samples else TRAINED_ON_DOCUMENTS
    flat: dict[str, str] = {}
    for chart in charts:
        present = _curves(chart, arms[0], samples=samples)
        if present and all(_is_flat(c) for c in present):
            of = {c.label: f" ({c.label})" if len(present) > 1 else "" for c in present}
            flat |= {f"{chart.title.lower()}{of[c.label]}": short(c.ys[0]) for c in present}
    return "Constant throughout: " + ", ".join(f"{k} {v}" for k, v in flat.items()) + "." if flat else None


def arm_curve(arm: Arm, metric: str, label: str, style: int = 0, *, samples: bool) -> Curve | None:
    """The metric over the steps at which every seed that has it so far has it: the mean of the seeds, and a band from the
    least to the most of them; a single run's own values. None where no run has it."""
    of_run = [values for run in arm.runs if (values := _values(run, metric, samples=samples))]
    if not of_run:
        return None
    if len(of_run) == 1:
        return Curve(label, tuple(of_run[0]), tuple(of_run[0].values()), style)
    xs = tuple(step for step in of_run[0] if all(step in other for other in of_run))
    if not xs:
        return None
    columns = [[values[step] for values in of_run] for step in xs]
    spread = tuple((min(c), max(c)) for c in columns)
    return Curve(label, xs, tuple(map(fmean, columns)), style, bounds=spread, is_dense=True)


def _runs(arms: Sequence[Arm]) -> list[RunRecord]:
    return [run for arm in arms for run in arm.runs]


def _is_flat(curve: Curve) -> bool:
    ends = [end for pair in curve.bounds for end in pair]
    return len(curve.ys) > 1 and min([*curve.ys, *ends]) == max([*curve.ys, *ends])


def _drawn(chart: Chart, arms: Sequence[Arm], stretches: Sequence[Stretch], *, samples: bool) -> Iterator[Html]:
    """One chart for a single arm; for several arms, one chart per metric with one curve per arm."""
    band = "least to most of the seeds"
    if len(arms) == 1:
        present = _curves(chart, arms[0], samples=samples)
        if any(not _is_flat(c) for c in present):
            yield curve_chart(chart.title, chart.unit, present, stretches, chart.include, band=band)
        return
    for metric, label in chart.metrics.items():
        curves = [arm_curve(arm, metric, arm.title, i % NUM_STYLES, samples=samples) for i, arm in enumerate(arms)]
        title = chart.title if len(chart.metrics) == 1 else f"{chart.title}: {label}"
        if present := [c for c in curves if c is not None]:
            yield curve_chart(title, chart.unit, present, stretches, chart.include, band=band)


def _curves(chart: Chart, arm: Arm, *, samples: bool) -> list[Curve]:
    numbered = enumerate(chart.metrics.items())
    curves = [arm_curve(arm, metric, label, i % NUM_STYLES, samples=samples) for i, (metric, label) in numbered]
    return [curve for curve in curves if curve is not None]


def _verdict_shares(arm: Arm, stretches: Sequence[Stretch]) -> list[Html]:
    """Shares of the verdicts, their means over the seeds; one that a step has not recorded was never given."""
    of_run = [{s.global_step: s.metrics for s in run.steps if "verdict_right" in s.metrics} for run in arm.runs]
    xs = tuple(step for step in of_run[0] if all(step in other for other in of_run))
    if not xs:
        return []
    layers = [
        Curve(label, xs, tuple(fmean(metrics[step].get(metric, 0.0) for metrics in of_run) for step in xs))
        for metric, label in VERDICTS.items()
    ]
    return [
        stacked_chart("Verdicts", "share of all attempts", layers, stretches, [f"v-{v}" for v in VERDICTS.values()])
    ]


def _values(run: RunRecord, metric: str, *, samples: bool) -> dict[int, float]:
    """The metric by global step, in the phases that sample, or in those that do not."""
    sampled = {s.phase: s.samples for s in run.stretches}
    return {s.global_step: s.metrics[metric] for s in run.steps if metric in s.metrics and sampled[s.phase] == samples}


def _probe_charts(runs: Sequence[RunRecord]) -> Iterator[Chart]:
    """Charts of the other metrics of sampled phases; the values of one probe share a chart."""
    known = {m for chart in SAMPLED for m in chart.metrics} | VERDICTS.keys()
    probes: dict[str, dict[str, str]] = {}
    for metric in dict.fromkeys(m for run in runs for m in _metrics(run) if m not in known):
        probe, value = _probe_and_value(metric)
        if (probe, value) not in NOT_DRAWN:
            probes.setdefault(probe, {})[metric] = value
    for probe, members in probes.items():
        title, unit = PROBES.get(probe, (probe.replace("_", " ").capitalize(), ""))
        yield Chart(title, unit, members)


def _probe_and_value(metric: str) -> tuple[str, str]:
    """("thoughts", "reflection") for `thoughts/thoughts_reflection`; ("logp", "prefix") for `logp_prefix`; any other
    name is its own probe."""
    probe, _, value = metric.rpartition("/")
    if not probe:
        probe = next((p for p in PROBES if metric == p or metric.startswith(f"{p}_")), metric)
    return probe, "mean" if value == probe in PROBES else value.removeprefix(f"{probe}_")


def _metrics(run: RunRecord) -> list[str]:
    sampled = {s.phase for s in run.stretches if s.samples}
    return list(dict.fromkeys(m for s in run.steps if s.phase in sampled for m in s.metrics))

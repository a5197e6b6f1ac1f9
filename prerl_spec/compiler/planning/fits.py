"""Whether lengths, vocabulary, prefix, EOS and shards fit the model, as its configuration and tokenizer tell."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from prerl_spec.codes import Code
from prerl_spec.compiler.estimates.estimate import Shape
from prerl_spec.compiler.estimates.step_counts import views_of
from prerl_spec.compiler.estimates.unknown import Unknown
from prerl_spec.compiler.plan import EvaluatorPlan, PrerequisitePlan
from prerl_spec.compiler.planning.evaluation_plan import draws_of
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.phase_roles import PhaseRoles
from prerl_spec.compiler.rules.served import served_adapter, served_evaluator
from prerl_spec.errors import Diagnostic, EnvironmentUnmet
from prerl_spec.language.spec import DistributedSpec
from prerl_spec.registry.component import Prerequisite
from prerl_spec.registry.kinds.evaluator import Evaluator
from prerl_spec.text import Codec
from prerl_spec.types import Decoding
from prerl_spec.views import Marginal

CONTEXT = ("max_position_embeddings", "n_positions")
PLAIN_DECODERS = frozenset({"qwen2", "qwen3", "llama", "mistral", "gpt2"})
"""Types whose linear layers are all among those of `linear_layers` (estimates/estimate.py)."""
FSDP = ("gradients", "mp_policy", "reshard_after_forward")
"""Settings of `distributed.fsdp` that engine/policy/sharding.py takes."""

NO_EOS = "the tokenizer defines no EOS, nor does the model's generation config"
END_HINT = (
    "set eos_token in tokenizer_config.json or eos_token_id in generation_config.json, or give the sampler stop strings"
)


def context_length(config: Mapping[str, Any] | Unknown) -> int | None:
    """Tokens of context and response together that the model can score; None if its configuration does not say."""
    if isinstance(config, Unknown):
        return None
    text = config.get("text_config")
    for settings in (text, config) if isinstance(text, Mapping) else (config,):
        for name in CONTEXT:
            if isinstance(length := settings.get(name), int):
                return length
    return None


def length_needs(
    resolved: Resolved,
    phases: Sequence[PhaseRoles],
    config: Mapping[str, Any] | Unknown,
    evaluators: Sequence[EvaluatorPlan],
) -> Iterator[PrerequisitePlan]:
    """An unmet need where responses alone would fill the model's context: no prompt would fit before them."""
    limit = context_length(config)
    if limit is None:
        return
    by: dict[tuple[str, int], list[str]] = {}
    for roles in phases:
        if roles.uses_rollouts and roles.sampler is not None and roles.sampler.planned.max_new_tokens >= limit:
            by.setdefault((roles.sampler.path, roles.sampler.planned.max_new_tokens), []).append(roles.title)
    for number, evaluator in enumerate(evaluators):
        served = served_evaluator(resolved, number).planned
        for length, what in _lengths(served, evaluator):
            if length >= limit:
                by.setdefault((f"evaluate[{number}]", length), []).append(what)
        told = {length for _, length in by}
        for length, what in _inherited(served, evaluator, phases):
            if length >= limit and length not in told:
                by.setdefault((f"evaluate[{number}]", length), []).append(what)
    written = next((f"model.config.{name}" for name in CONTEXT if resolved.is_written(f"model.config.{name}")), None)
    other = "use a model with a longer context" if written is None else f"raise {written}"
    for (path, length), who in by.items():
        yield PrerequisitePlan(
            "length",
            f"max_new_tokens = {length}",
            None,
            (path,),
            False,
            f"{' and '.join(dict.fromkeys(who))} may sample {length:,} new tokens; the model's context holds {limit:,}, the "
            "prompt's included",
            f"lower {path}.max_new_tokens below {limit:,} by the length of the longest prompt, or {other}",
        )


def _lengths(evaluator: Evaluator, planned: EvaluatorPlan) -> Iterator[tuple[int, str]]:
    """The most tokens of a response, and of what: of each task whose sampling is known, whoever says it (the setting, a
    protocol, the task's own YAML). Of a sampler's see `_inherited`."""
    written = evaluator.max_new_tokens
    if not planned.tasks and written is not None and evaluator.data_sets():
        yield written, "this evaluator"
    for task in planned.tasks:
        length = None if task.decoding is None or not task.generates else int(task.decoding["max_new_tokens"])
        if length is None:
            continue
        if written == length:
            yield length, "this evaluator"
        elif task.protocol != "off":
            yield length, f"`{task.task}` under protocol {task.protocol}"


def _inherited(evaluator: Evaluator, planned: EvaluatorPlan, phases: Sequence[PhaseRoles]) -> Iterator[tuple[int, str]]:
    """The same of each task that takes its length from the spec's sampler, or the default one, where weights are scored that
    no phase has sampled from: the initial ones, and those behind supervised phases. Else it is the phase's need already."""
    scored = [
        phase
        for phase in phases
        if "phases" in evaluator.at or evaluator.every != "off" or ("end" in evaluator.at and phase is phases[-1])
    ]
    if phases and "base" not in evaluator.at and all(phase.uses_rollouts for phase in scored):
        return
    if evaluator.max_new_tokens is not None:
        return
    known = {draw.task for draw in draws_of(evaluator, Decoding()) if draw.is_known}
    for task in planned.tasks:
        if task.generates and task.decoding is not None and task.protocol == "off" and task.task in known:
            yield int(task.decoding["max_new_tokens"]), f"`{task.task}`, of which no length is written,"


def too_few_embeddings(
    resolved: Resolved, codec: Codec | Unknown, config: Mapping[str, Any] | Unknown
) -> Iterator[Diagnostic]:
    """E0202 at a written vocab_size that is smaller than the tokenizer's."""
    path = "model.config.vocab_size"
    lacking = _embeddings_lacking(codec, config)
    if lacking is not None and resolved.is_written(path):
        tokens, embeddings = lacking
        message = f"vocab_size = {embeddings}, but the tokenizer has {tokens} tokens"
        yield Diagnostic(Code.CONSTRAINT_BROKEN, message, resolved.value_span(path), path=path)


def strange_targets(
    resolved: Resolved, config: Mapping[str, Any] | Unknown, shape: Shape | Unknown
) -> Iterator[Diagnostic]:
    """E0207 at each target of an adapter that names no linear layer of a decoder whose layers are known by its type."""
    served = served_adapter(resolved)
    targets = () if served is None else served.planned.settings().get("targets", ())
    if isinstance(config, Unknown) or isinstance(shape, Unknown) or isinstance(targets, str) or served is None:
        return
    if config.get("model_type") not in PLAIN_DECODERS:
        return
    names = sorted({name.rpartition(".")[2] for name in shape.linear})
    for index, target in enumerate(targets):
        if target.rpartition(".")[2] not in names:
            path = f"{served.path}.targets[{index}]"
            near = next(iter(get_close_matches(target, names, n=1, cutoff=0.6)), None)
            yield Diagnostic(
                Code.NOT_A_CHOICE,
                f"{served.path}.targets: no linear layer of the model is named `{target}`",
                resolved.value_span(path),
                path=path,
                help=f"did you mean `{near}`?" if near else None,
                notes=(f"the linear layers are {', '.join(names)}; the output head cannot be adapted",),
            )


def _embeddings_lacking(codec: Codec | Unknown, config: Mapping[str, Any] | Unknown) -> tuple[int, int] | None:
    """(tokens of the tokenizer, embeddings of the model) where these are fewer."""
    if isinstance(codec, Unknown) or isinstance(config, Unknown):
        return None
    text = config.get("text_config")
    embeddings = (text if isinstance(text, Mapping) and "vocab_size" in text else config).get("vocab_size")
    is_lacking = isinstance(embeddings, int) and embeddings < codec.vocab_size
    return (codec.vocab_size, int(embeddings)) if is_lacking and embeddings is not None else None


def vocabulary_need(codec: Codec | Unknown, config: Mapping[str, Any] | Unknown) -> Iterator[PrerequisitePlan]:
    """An unmet need if the tokenizer has ids that the model has no embedding for."""
    if (lacking := _embeddings_lacking(codec, config)) is not None:
        yield PrerequisitePlan(
            "tokenizer",
            "of the model",
            None,
            ("model",),
            False,
            f"the tokenizer has {lacking[0]} tokens, the model has {lacking[1]} embeddings",
            "use the tokenizer that the model was trained with, or raise vocab_size",
        )


def prefix_needs(phases: Sequence[PhaseRoles], codec: Codec | Unknown) -> Iterator[PrerequisitePlan]:
    """An unmet need for each prefix of a view that the tokenizer has no tokens for."""
    if isinstance(codec, Unknown):
        return
    by: dict[str, list[str]] = {}
    for roles in phases:
        for view in views_of(roles.objective.planned):
            if isinstance(view, Marginal):
                by.setdefault(view.prefix, []).append(roles.objective.path)
    for prefix, paths in by.items():
        try:
            codec.prefix(prefix)
        except EnvironmentUnmet as error:
            name = f'with a token for prefix = "{prefix}"'
            hint = error.hint or "write an explicit prefix"
            yield PrerequisitePlan("tokenizer", name, None, tuple(dict.fromkeys(paths)), False, error.message, hint)


def shard_needs(asked: DistributedSpec) -> Iterator[tuple[str, Prerequisite]]:
    """A need that is never met for each entry of `distributed.fsdp` that sharding does not take."""
    if asked.strategy == "fsdp2" and asked.processes > 1:
        for key in sorted(set(asked.fsdp) - set(FSDP)):
            hint = f"remove it: {', '.join(FSDP[:-1])} and {FSDP[-1]} are supported"
            yield "distributed.fsdp", Prerequisite("setting", f"distributed.fsdp.{key}", hint)


def end_needs(phases: Sequence[PhaseRoles], codec: Codec | Unknown) -> Iterator[PrerequisitePlan]:
    """An unmet need, if responses of a phase could end at their token limit only, or its documents end with EOS and there
    is none. Nothing for a tokenizer that is not on this machine: the run looks at it."""
    if isinstance(codec, Unknown) or codec.eos_ids:
        return
    ending = [roles.sampler for roles in phases if roles.uses_rollouts and roles.sampler is not None]
    by = [served.path for served in ending if not served.planned.stop]
    by += [roles.objective.path for roles in phases if not roles.uses_rollouts]
    if by:
        yield PrerequisitePlan("tokenizer", "with an EOS", None, tuple(dict.fromkeys(by)), False, NO_EOS, END_HINT)


def end_notes(codec: Codec | Unknown) -> Iterator[str]:
    if isinstance(codec, Codec) and not codec.eos_ids:
        yield f"{NO_EOS}: a response ends at a stop string or at max_new_tokens"

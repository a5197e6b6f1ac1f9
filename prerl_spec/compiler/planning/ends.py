"""Whether a response can end: a tokenizer without EOS ends none but at the sampler's stop strings or the token limit."""

from collections.abc import Iterator, Sequence

from prerl_spec.compiler.estimates.unknown import Unknown
from prerl_spec.compiler.plan import PrerequisitePlan
from prerl_spec.compiler.rules.phase_roles import PhaseRoles
from prerl_spec.text import Codec

NO_EOS = "the tokenizer defines no EOS, nor does the model's generation config"
HINT = (
    "set eos_token in tokenizer_config.json or eos_token_id in generation_config.json, or give the sampler stop strings"
)


def end_needs(phases: Sequence[PhaseRoles], codec: Codec | Unknown) -> Iterator[PrerequisitePlan]:
    """An unmet need, if responses of a phase could end at their token limit only, or its documents end with EOS and there
    is none. Nothing for a tokenizer that is not on this machine: the run looks at it."""
    if isinstance(codec, Unknown) or codec.eos_ids:
        return
    ending = [roles.sampler for roles in phases if roles.uses_rollouts and roles.sampler is not None]
    by = [served.path for served in ending if not served.planned.stop]
    by += [roles.objective.path for roles in phases if not roles.uses_rollouts]
    if by:
        yield PrerequisitePlan("tokenizer", "with an EOS", None, tuple(dict.fromkeys(by)), False, NO_EOS, HINT)


def end_notes(codec: Codec | Unknown) -> Iterator[str]:
    if isinstance(codec, Codec) and not codec.eos_ids:
        yield f"{NO_EOS}: a response ends at a stop string or at max_new_tokens"

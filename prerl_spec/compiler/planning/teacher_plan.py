"""The teachers of a run: their size, and whether their vocabulary is the policy's, as far as this machine can tell."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prerl_spec.compiler.estimates.estimate import Shape, shape_of
from prerl_spec.compiler.estimates.local_files import model_codec, model_config
from prerl_spec.compiler.estimates.unknown import NotKnown, Unknown
from prerl_spec.compiler.plan import PrerequisitePlan
from prerl_spec.compiler.rules.phase_roles import PhaseRoles
from prerl_spec.needs import Teacher
from prerl_spec.registry.kinds.model import Model
from prerl_spec.registry.nested_components import nested_components
from prerl_spec.text import Codec
from prerl_spec.vocabularies import vocabulary_difference


@dataclass(frozen=True)
class PlannedTeacher:
    """A teacher, the paths of the slots that hold it, and what is known of it before a run."""

    teacher: Teacher
    by: tuple[str, ...]
    model: Model
    shape: Shape | Unknown
    codec: Codec | Unknown

    @property
    def num_bytes(self) -> int | Unknown:
        """Of its weights, which are kept in the dtype that it computes in."""
        if isinstance(self.shape, Unknown):
            return Unknown(f"the size of the {self.teacher} is unknown: {self.shape.why}")
        return self.shape.num_parameters * (4 if self.model.dtype == "float32" else 2)


def planned_teachers(
    phases: Sequence[PhaseRoles], policy: Codec | Unknown, tokenizers: Mapping[str, Mapping[str, str] | None]
) -> tuple[PlannedTeacher, ...]:
    """Every teacher of these phases, equal ones once. `tokenizers` are the tokenizer files that data sets provide."""
    found: dict[Teacher, list[tuple[str, Model]]] = {}
    for roles in phases:
        for path, model in nested_components(roles.objective.planned, roles.objective.path):
            if model.kind == "model":
                found.setdefault(Teacher.of(model), []).append((path, model))  # type: ignore[arg-type]
    vocabulary = policy.vocab_size if isinstance(policy, Codec) else None
    return tuple(
        PlannedTeacher(
            teacher,
            tuple(path for path, _ in places),
            places[0][1],
            _shape(places[0][1], vocabulary),
            _codec(places[0][1], tokenizers),
        )
        for teacher, places in found.items()
    )


def vocabulary_needs(teachers: Sequence[PlannedTeacher], policy: Codec | Unknown) -> Iterator[PrerequisitePlan]:
    """For each teacher that its vocabulary is the policy's: met, unmet, or unknown here and then compared by the run."""
    for one in teachers:
        unknown = next((codec.why for codec in (policy, one.codec) if isinstance(codec, Unknown)), None)
        if isinstance(policy, Unknown) or isinstance(one.codec, Unknown):
            met, found = None, f"unknown: {unknown}; compared when a run starts"
        else:
            difference = vocabulary_difference(policy, one.codec)
            met, found = difference is None, difference or "has the policy's vocabulary"
        hint = "use a teacher with the policy's tokenizer: it scores the policy's tokens by their ids"
        yield PrerequisitePlan("tokenizer", f"of {one.teacher.name}", None, one.by, met, found, hint)


def teacher_notes(teachers: Sequence[PlannedTeacher]) -> Iterator[str]:
    for one in teachers:
        size = "of unknown size" if isinstance(one.shape, Unknown) else f"{one.shape.num_parameters:,} parameters"
        yield (
            f"the {one.teacher} ({size}, {one.model.dtype}) is loaded beside the policy for the whole run, never trained, and "
            "in no checkpoint"
        )


def _shape(model: Model, vocab_size: int | None) -> Shape | Unknown:
    try:
        return shape_of(model_config(model.settings(), vocab_size))
    except NotKnown as cause:
        return Unknown(str(cause))


def _codec(model: Model, tokenizers: Mapping[str, Mapping[str, str] | None]) -> Codec | Unknown:
    try:
        return model_codec(model.settings(), tokenizers)
    except NotKnown as cause:
        return Unknown(str(cause))

"""The public interface for component authors (API 1): import from here, and from nowhere else in prerl_spec."""

from prerl_spec.codes import Code
from prerl_spec.errors import Diagnostic, EnvironmentUnmet, PrerlError, RunFailed, SpecInvalid
from prerl_spec.json_lines import UnreadableLine, count_json_lines, read_json_lines, text_fault
from prerl_spec.needs import Batch, Credit, Layout, Need, State, Teacher, View
from prerl_spec.prompts import question_text, question_texts
from prerl_spec.registry.binary_verifier import BinaryVerifier
from prerl_spec.registry.component import (
    API,
    Component,
    Conflict,
    DataName,
    LocalCode,
    MetricName,
    Mistake,
    PassedThrough,
    Place,
    Prerequisite,
    Refusal,
    Secret,
    Slot,
    SpecPath,
    Wiring,
    decided_elsewhere,
)
from prerl_spec.registry.evaluator_settings import EvaluatorSettings
from prerl_spec.registry.kinds.data import DataSet
from prerl_spec.registry.kinds.evaluator import EvaluationSite, TaskDraw, TaskQuestions
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.registry.kinds.model import AdaptedWeight, AttachedAdapter, LoadedModel, ModelSite, padded_embeddings
from prerl_spec.registry.kinds.objective import Objective
from prerl_spec.registry.kinds.objective_parts import Sign
from prerl_spec.registry.kinds.sampler import (
    EndedSample,
    ForetoldSampler,
    OpenSampler,
    PolicyAccess,
    SamplerSite,
    ServedModel,
    ServerProcess,
    StreamingSampler,
    ToldSampler,
)
from prerl_spec.registry.kinds.stateful import Stateful
from prerl_spec.registry.kinds.watching import GradientView, ProbeNeed, ProbeSite, UpdateProbe
from prerl_spec.registry.objective_base import OnePart, OnePartObjective
from prerl_spec.registry.part_bases import (
    Advantage,
    Coefficient,
    Correction,
    Ramp,
    Selection,
    Surrogate,
    coefficient_at,
    ratio_settings_without_effect,
)
from prerl_spec.registry.probe_base import AroundUpdate, gradient_needs
from prerl_spec.registry.reward_base import RewardTerm
from prerl_spec.registry.row_list import RowList
from prerl_spec.registry.sampler_settings import SamplerSettings
from prerl_spec.registry.schedule_base import Handover
from prerl_spec.statistics.baselines import minus_mean, without_rounding
from prerl_spec.templates.renderer import TemplateFault
from prerl_spec.templates.row_templates import template_fault
from prerl_spec.text import Codec, eos_ids_of
from prerl_spec.types import (
    Array,
    Attempt,
    Decoding,
    Draw,
    Generation,
    Group,
    Index,
    Outcome,
    Prompt,
    Rendering,
    Request,
    Row,
    Score,
    Segment,
    Step,
    StepRecord,
    Tokens,
    Verdict,
)
from prerl_spec.views import Conditional, ContextView, Marginal, Prefix

__all__ = [
    "API",
    "AdaptedWeight",
    "Advantage",
    "AroundUpdate",
    "Array",
    "AttachedAdapter",
    "Attempt",
    "Batch",
    "BinaryVerifier",
    "Code",
    "Codec",
    "Coefficient",
    "Component",
    "Conditional",
    "Conflict",
    "ContextView",
    "Correction",
    "Credit",
    "DataName",
    "DataSet",
    "Decoding",
    "Diagnostic",
    "Draw",
    "EndedSample",
    "EnvironmentUnmet",
    "EvaluationSite",
    "EvaluatorSettings",
    "ForetoldSampler",
    "Generation",
    "GradientView",
    "Group",
    "Handover",
    "Index",
    "Layout",
    "LoadedModel",
    "LocalCode",
    "Marginal",
    "MetricName",
    "Mistake",
    "ModelSite",
    "Need",
    "Objective",
    "OnePart",
    "OnePartObjective",
    "OpenSampler",
    "Outcome",
    "PassedThrough",
    "Place",
    "PolicyAccess",
    "Prefix",
    "Prerequisite",
    "PrerlError",
    "ProbeNeed",
    "ProbeSite",
    "Prompt",
    "Ramp",
    "Refusal",
    "Rendering",
    "Request",
    "RewardTerm",
    "Row",
    "RowList",
    "RunFailed",
    "SamplerSettings",
    "SamplerSite",
    "Score",
    "Secret",
    "Segment",
    "Selection",
    "ServedModel",
    "ServerProcess",
    "Sign",
    "Slot",
    "SpecInvalid",
    "SpecPath",
    "State",
    "Stateful",
    "Step",
    "StepRecord",
    "StreamingSampler",
    "Surrogate",
    "TaskDraw",
    "TaskQuestions",
    "Teacher",
    "TemplateFault",
    "Tokens",
    "ToldSampler",
    "UnreadableLine",
    "UpdateProbe",
    "Verdict",
    "Verifier",
    "View",
    "Wiring",
    "coefficient_at",
    "count_json_lines",
    "decided_elsewhere",
    "eos_ids_of",
    "gradient_needs",
    "minus_mean",
    "padded_embeddings",
    "question_text",
    "question_texts",
    "ratio_settings_without_effect",
    "read_json_lines",
    "template_fault",
    "text_fault",
    "without_rounding",
]

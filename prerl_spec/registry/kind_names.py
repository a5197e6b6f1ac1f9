"""The names of the component kinds, in a module of their own so that listing components imports no settings models."""

from typing import Literal, get_args

Kind = Literal[
    "model",
    "adapter",
    "data",
    "view",
    "sampler",
    "verifier",
    "reward",
    "filter",
    "objective",
    "advantage",
    "selection",
    "surrogate",
    "correction",
    "ramp",
    "schedule",
    "optimizer",
    "probe",
    "evaluator",
    "tracker",
]

KINDS: tuple[Kind, ...] = get_args(Kind)

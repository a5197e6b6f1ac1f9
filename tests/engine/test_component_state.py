"""What a component remembers over steps: seen by its credit, folded once a step, in the checkpoint, bit for bit after a stop."""

import json
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import Field

from prerl_components.objectives.policy_gradient import PolicyGradient
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.token_losses.entropy import Entropy
from prerl_components.objectives.weighted_sum import WeightedSum
from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.past_runs.run_folder import choose_run_folder, hold_run_folder
from prerl_spec.engine.inspect.replay import replay
from prerl_spec.engine.inspect.replay_credit import replay_credit
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.record.run_inputs import write_given
from prerl_spec.engine.run.position import Position
from prerl_spec.engine.run.run import run
from prerl_spec.engine.training.token_terms import token_terms
from prerl_spec.errors import Interrupted, RunFailed, UsageError
from prerl_spec.registry.component_state import (
    first_batch,
    from_json,
    initial_states,
    states_after,
    states_of_parts,
    to_json,
)
from prerl_spec.registry.plugin_contract import PluginFault, check_declared_types
from prerl_spec.sdk import Advantage, Batch, Credit, Need, OnePartObjective, State, Step, StepRecord
from prerl_spec.testing.laws import check_objective
from prerl_spec.testing.laws.schedule import made_record
from prerl_spec.testing.steps import made_step
from prerl_spec.types import Array
from tests.engine.runs import SPEC, Heard, steps_of, weights_at
from tests.engine.steps import make_trainer, random_step, tiny_policy

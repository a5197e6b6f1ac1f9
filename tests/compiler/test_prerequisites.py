"""Needs, told from metadata, files and caches alone."""

from pathlib import Path
from typing import Any

import pytest

from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.estimates.prerequisites import check_prerequisites, package_state
from prerl_spec.compiler.hardware import Gpu, Hardware, detect_hardware
from prerl_spec.registry.component import Prerequisite
from tests.compiler.specs import bent, written

CPU = Hardware(2, None)


def met(requirement: Prerequisite, hardware: Hardware = CPU) -> bool | None:
    (need,) = check_prerequisites([("sampler", requirement)], hardware)
    return need.met


def test_packages_are_met_by_version() -> None:
    assert package_state("packaging>=1")[0]
    assert package_state("packaging>=9999") == (False, package_state("packaging")[1])
    assert package_state("no-such-distribution>=1") == (False, "not installed")


def test_one_of_several_packages_does() -> None:
    assert package_state("no-such-distribution>=1 | packaging>=1") == package_state("packaging>=1")
    assert package_state("packaging>=9999 | no-such-distribution") == package_state("packaging>=9999")
    assert package_state("no-such-distribution | nor-this") == (False, "not installed")


def test_files_are_met_where_they_lie(tmp_path: Path) -> None:
    assert met(Prerequisite("file", str(tmp_path), "")) is True
    assert met(Prerequisite("file", str(tmp_path / "absent"), "")) is False


def test_a_part_of_a_later_version_is_never_met() -> None:
    assert met(Prerequisite("part", "adapter training", "train all weights")) is False


def test_what_the_run_decides_is_nobody_elses_to_hand_on() -> None:
    assert met(Prerequisite("setting", "engine.dtype", "take `dtype` out of `engine`")) is False


@pytest.mark.parametrize(
    ("table", "use", "part"),
    [
        ('strategy = "fsdp2"\n', "transformers", "invariant shards (fsdp2)"),
        ("", "vllm", "invariant samples of `vllm`"),
    ],
)
def test_invariance_lacks_a_part_with_shards_and_with_engines_of_their_own(
    tmp_path: Path, table: str, use: str, part: str
) -> None:
    text = bent(
        ("[sampler]", f'[distributed]\ndeterminism = "invariant"\n{table}[sampler]'),
        ('use = "transformers"', f'use = "{use}"'),
    )
    needs = compile_spec(written(tmp_path, text)).plan.prerequisites
    assert [n.name for n in needs if n.what == "part"] == [part]


def test_a_gpu_needs_a_card() -> None:
    assert met(Prerequisite("gpu", "cuda", "")) is False
    with_card = met(Prerequisite("gpu", "cuda", ""), Hardware(2, None, (Gpu("A", 1),)))
    assert with_card in (True, False)  # as torch's build allows


def test_a_hub_model_is_unknown_until_a_run_asks_and_unmet_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    need = Prerequisite("model", "nobody/nothing", "", "main")
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert met(need) is None
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert met(need) is False


def test_a_configuration_in_the_cache_is_not_yet_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    where = "prerl_spec.compiler.estimates.prerequisites"
    monkeypatch.setattr(f"{where}.cached_file", lambda name, file, revision: Path(file))
    monkeypatch.setattr(f"{where}.has_cached_weights", lambda name, revision: False)

    def state(revision: str | None) -> tuple[bool | None, str]:
        need = Prerequisite("model", "acme/tiny", "", revision)
        (found,) = check_prerequisites([("model", need)], Hardware(1, None))
        return found.met, found.found

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert state("main") == (None, "its configuration is in the local hub cache: a run downloads the weights")
    assert state(None) == (True, "in the local hub cache")  # a tokenizer
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    met, words = state("main")
    assert met is False
    assert "its weights are not, and HF_HUB_OFFLINE is set" in words


@pytest.mark.parametrize("what", ["model", "dataset"])
@pytest.mark.parametrize(
    ("variables", "by"),
    [
        ({}, {"model": None, "dataset": None}),
        ({"HF_HUB_OFFLINE": "true"}, dict.fromkeys(("model", "dataset"), "HF_HUB_OFFLINE")),
        (
            {"HF_HUB_OFFLINE": "", "TRANSFORMERS_OFFLINE": "1"},
            dict.fromkeys(("model", "dataset"), "TRANSFORMERS_OFFLINE"),
        ),
        ({"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "1"}, {"model": None, "dataset": None}),
        ({"HF_DATASETS_OFFLINE": "1"}, {"model": None, "dataset": "HF_DATASETS_OFFLINE"}),
    ],
)
def test_what_is_not_in_the_cache_cannot_be_had_offline_however_the_environment_says_so(
    variables: dict[str, str], by: dict[str, str | None], what: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (found,) = check_prerequisites([("x", Prerequisite(what, "nobody/nothing", "", "main"))], Hardware(1, None))
    said = by[what]
    assert found.met is (None if said is None else False)
    assert found.found.endswith("a run downloads it" if said is None else f"and {said} is set")


def test_a_name_that_the_hub_cannot_have_is_a_folder_that_is_not_there() -> None:
    (found,) = check_prerequisites([("model", Prerequisite("model", "/nothing/there", ""))], Hardware(1, None))
    assert found.met is False
    assert "cannot be a name on the hub" in found.found


def test_a_secret_is_met_where_the_environment_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    need = Prerequisite("secret", "PRERL_TEST_KEY", "export PRERL_TEST_KEY=...")
    monkeypatch.delenv("PRERL_TEST_KEY", raising=False)
    assert met(need) is False
    monkeypatch.setenv("PRERL_TEST_KEY", "hush")
    assert met(need) is True


def test_one_need_of_several_components_is_listed_once() -> None:
    part = Prerequisite("part", "x", "y")
    (need,) = check_prerequisites([("sampler", part), ("phases[0].sampler", part), ("sampler", part)], CPU)
    assert need.by == ("sampler", "phases[0].sampler")


def test_this_machine_has_a_core() -> None:
    here = detect_hardware()
    assert here.cores >= 1
    assert "core" in here.words


@pytest.fixture
def two_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\necho "NVIDIA H200, 143771"\necho "NVIDIA H200, 143771"\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("two_cards")
@pytest.mark.parametrize(("visible", "cards"), [(None, 2), ("0", 1), ("0,1", 2), ("", 0), ("-1", 0)])
def test_gpus_are_those_of_the_driver_that_the_environment_leaves(
    visible: str | None, cards: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert detect_hardware().gpus == (Gpu("NVIDIA H200", 143771 << 20),) * cards

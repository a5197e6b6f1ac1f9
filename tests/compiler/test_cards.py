"""Machines by name: a table of public cards, machines of one's own, and what a plan says of another machine."""

import argparse
from pathlib import Path

import pytest

from prerl_spec.cli.main import main
from prerl_spec.cli.specs.plan import _price
from prerl_spec.compiler.compile import compile_spec
from prerl_spec.compiler.estimates.cards import CARDS, card_of, machine, rates
from prerl_spec.compiler.estimates.step_seconds import Decoding, decoding_seconds
from prerl_spec.compiler.hardware import Gpu, Hardware
from prerl_spec.compiler.render.price import cost_words, price_of
from prerl_spec.errors import EnvironmentUnmet, UsageError
from tests.compiler.specs import TINY, written

OWN = """
[desk]
gpus = 2
memory_gib = 31.4
bf16_tflops = 210
bandwidth_gb_s = 1792
cores = 16
host_memory_gib = 128
[rented]
card = "h100-80"
gpus = 4
"""


def test_a_count_and_a_card_name_a_machine() -> None:
    eight = machine("8xH100-80")
    assert len(eight.gpus) == 8
    assert eight.gpus[0].memory_bytes == round(79.2 * 2**30)
    assert eight.gpus[0].bf16_flops == 989e12
    assert eight.is_named
    assert machine("h100-80").gpus == eight.gpus[:1]
    assert eight.words == "8 x H100-80 (79 GiB each), named by --on"


def test_a_file_names_machines_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN)
    desk = machine("desk", tmp_path / "own.toml")
    assert (desk.cores, desk.memory_bytes, len(desk.gpus)) == (16, 128 << 30, 2)
    assert rates(desk.gpus[0]) == (210e12, 1792e9)
    assert len(machine("2xrented", tmp_path / "own.toml").gpus) == 8
    assert machine("A100-80", tmp_path / "own.toml").gpus[0].name == "A100-80"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a]\ngpus = 2\n", "lacks `memory_gib`"),
        ('[a]\ncard = "H900"\n', "which is none of"),
        ("[a]\nmemory_gib = -1\nbf16_tflops = 1\nbandwidth_gb_s = 1\n", "no number above 0"),
        ("[a]\nmemory = 80\n", "has `memory`"),
        ("a = 1\n", "is not a table"),
        ("[a\n", "is not TOML"),
    ],
)
def test_a_machine_that_cannot_be_read_says_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(UsageError, match=said):
        machine("a", tmp_path / "own.toml")
    with pytest.raises(EnvironmentUnmet, match="cannot be read"):
        machine("a", tmp_path / "nothing.toml")
    with pytest.raises(UsageError, match="no such card or machine"):
        machine("8xH900")


@pytest.mark.parametrize(
    ("driver", "card"),
    [
        ("NVIDIA H100 80GB HBM3", "H100-80"),
        ("NVIDIA H100 PCIe", "H100-PCIe-80"),
        ("NVIDIA H100 NVL", "H100-NVL-94"),
        ("NVIDIA H200", "H200-141"),
        ("NVIDIA A100-SXM4-80GB", "A100-80"),
        ("NVIDIA A100-SXM4-40GB", "A100-40"),
        ("NVIDIA L40S", "L40S-48"),
        ("NVIDIA L4", "L4-24"),
        ("NVIDIA GeForce RTX 4090", "RTX4090-24"),
        ("Acme Card", None),
    ],
)
def test_a_drivers_name_means_a_card(driver: str, card: str | None) -> None:
    assert card_of(driver) == card


def test_every_card_is_plausible() -> None:
    for name, card in CARDS.items():
        assert card.memory_gib < float(name.rpartition("-")[2]) * 1e9 / 2**30 * 1.075  # GiB; some names round GB down
        assert 300 <= card.bandwidth_gb_s <= 8000


def test_decoding_few_rows_reads_weights_and_decoding_many_computes() -> None:
    card = machine("H100-80")
    few, many = (Decoding(rows * 100, rows, 100, 1, 8 * 10**9, 10**7) for rows in (1, 10_000))
    reading = 100 * (8e9 + 1e7 / 2) / (0.5 * 3350e9)
    assert decoding_seconds(few, 4 * 10**9, 36, card, 1, engine=True) == pytest.approx(reading + 100 * 36 * 2e-5)
    assert decoding_seconds(many, 4 * 10**9, 36, card, 1, engine=True) == pytest.approx(
        max(2 * 4e9 * 1e6 / (0.2 * 989e12), 100 * (8e9 + 1e4 * 1e7 / 2) / (0.5 * 3350e9)) + 100 * 36 * 2e-5
    )


def test_a_plan_for_another_machine_says_what_it_is_of_and_what_that_machine_has_to_tell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = str(written(tmp_path, TINY.replace('use = "transformers"', 'use = "vllm"')))
    assert main(["plan", spec, "--on", "8xH100-80", "--price", "H100=2", "--price", "A100=1"]) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert "machine 8 x H100-80 (79 GiB each), named by --on; 1 process" in page
    assert "1 of 8 GPUs are used" in page
    assert "on 1 x H100-80" in page
    assert "unknown package vllm" in page
    assert "for that machine to tell (here: " in page
    assert "for 8 GPUs at 2 an hour each; whether a run can start there, `plan --here` on that machine tells" in page
    assert "free in" not in page


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--on", "8xH100-80", "--here"], "--here asks about this machine"),
        (["--machines", "own.toml"], "--machines has no effect"),
        (["--on", "H900"], "no such card"),
        (["--on", "H100-80", "--price", "A100=1"], "the GPU of this plan is H100-80"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert main(["plan", str(written(tmp_path, TINY)), *options]) == 2
    assert said in capsys.readouterr().err


def test_a_plan_of_another_machine_has_the_same_meaning(tmp_path: Path) -> None:
    spec = written(tmp_path, TINY)
    assert compile_spec(spec).plan.digest == compile_spec(spec, hardware=machine("8xH100-80")).plan.digest


def test_a_price_is_of_gpus_and_hours() -> None:
    card = Hardware(8, None, (Gpu("NVIDIA H100 80GB HBM3", 80 << 30),) * 4)
    assert price_of(card, {"H100": 2.0, "H100-80": 3.0}) == 3.0
    assert price_of(card, {}) is None
    assert cost_words(7200, card, 2.0) == "USD 16.0 for 4 GPUs at 2 an hour each"
    with pytest.raises(UsageError, match="has no GPU"):
        price_of(Hardware(2, None), {"H100": 2.0})
    for text in ("H100", "=2", "H100=", "H100=-1", "H100=nan"):
        with pytest.raises(argparse.ArgumentTypeError):
            _price(text)

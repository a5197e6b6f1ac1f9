"""A checkpoint is whole or not there; a damaged byte is found before use."""

import json
from pathlib import Path

import pytest
import torch

from prerl_spec.engine.policy.weights import load_transformers, save_transformers, weights_hash, whole_weights
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.record import checkpoint
from prerl_spec.errors import Damaged, RunFailed
from prerl_spec.testing.tiny import tiny_loaded
from tests.engine.disk_order import DiskOrder


def _commit(root: Path, step: int) -> Path:
    return checkpoint.commit(
        root,
        step,
        save_model=lambda folder: (folder / "model.bin").write_bytes(bytes(range(200))) and None,
        state={"global_step": step},
        tensors={"optimizer": {"exp_avg/w": torch.arange(4.0)}, "reference": {}},
    )


def test_the_newest_valid_checkpoint_is_found_with_its_tensors(tmp_path: Path) -> None:
    for step in (2, 1_000_000, 999_999):
        _commit(tmp_path, step)
    saved = checkpoint.newest(tmp_path)
    assert saved is not None
    assert (saved.global_step, saved.folder.name) == (1_000_000, "step-1000000")
    assert torch.equal(saved.tensors("optimizer")["exp_avg/w"], torch.arange(4.0))
    assert saved.tensors("reference") == {}


@pytest.mark.parametrize("name", ["model.bin", "trainer/state.json", "trainer/optimizer.safetensors", "MANIFEST.json"])
def test_one_flipped_byte_in_any_file_is_found_and_an_older_checkpoint_is_taken(tmp_path: Path, name: str) -> None:
    _commit(tmp_path, 1)
    file = _commit(tmp_path, 2) / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    saved = checkpoint.newest(tmp_path)
    assert saved is not None
    assert saved.global_step == 1


def test_every_byte_is_on_the_disk_before_the_folder_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = DiskOrder(monkeypatch)
    folder = _commit(tmp_path, 1)
    ((work, target, num_before),) = disk.renamed
    assert target == folder
    names = [path.relative_to(work).as_posix() for path, _ in disk.synced[:num_before]]
    files = {f.relative_to(folder).as_posix(): f.stat().st_size for f in folder.rglob("*") if f.is_file()}
    assert sorted(names) == sorted([*files, "trainer", "."]), "each file and each folder, once"
    assert names.index("MANIFEST.json") == len(files) - 1, "the manifest after all that it lists"
    assert {n: size for n, (_, size) in zip(names, disk.synced, strict=False) if n in files} == files
    assert [path for path, _ in disk.synced[num_before:]] == [tmp_path], "the new name itself, last"


def test_a_file_that_the_manifest_forgot_is_found(tmp_path: Path) -> None:
    file = _commit(tmp_path, 1) / "MANIFEST.json"
    manifest = json.loads(file.read_text())
    del manifest["files"]["trainer/optimizer.safetensors"]
    file.write_text(json.dumps(manifest, indent=1) + "\n")
    (found,) = checkpoint.problems(file.parent)
    assert found.endswith("MANIFEST.json: the content differs from its seal")
    with pytest.raises(Damaged, match="no checkpoint is valid: checkpoint step-000001 is damaged"):
        checkpoint.newest(tmp_path)


def test_a_newer_damaged_checkpoint_is_told_and_folders_of_other_names_are_left_alone(tmp_path: Path) -> None:
    _commit(tmp_path, 1)
    (_commit(tmp_path, 2) / "model.bin").unlink()
    for name in ("step-foo", "step-000001 (copy)", "step-7", "step-0000009"):
        (tmp_path / name).mkdir()
    saved = checkpoint.newest(tmp_path)
    assert saved is not None
    assert saved.global_step == 1
    assert saved.passed_over == ("checkpoint step-000002 is damaged (model.bin is missing or differs)",)
    checkpoint.retain(tmp_path, keep=1, forever=frozenset())
    assert {f.name for f in tmp_path.iterdir()} == {
        "step-000002",
        "step-foo",
        "step-000001 (copy)",
        "step-7",
        "step-0000009",
    }


def test_what_the_disk_altered_is_found_before_the_run_relies_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _commit(tmp_path, 1)
    rename = Path.replace

    def rotting(source: Path, target: Path) -> Path:
        (source / "model.bin").write_bytes(b"other bytes")
        return rename(source, target)

    monkeypatch.setattr(Path, "replace", rotting)
    with pytest.raises(
        RunFailed, match=r"checkpoint step-000002 failed its read-back check: model\.bin is missing or differs"
    ):
        _commit(tmp_path, 2)
    saved = checkpoint.newest(tmp_path)
    assert saved is not None
    assert saved.global_step == 1


def test_a_failed_write_leaves_nothing_and_harms_nothing(tmp_path: Path) -> None:
    _commit(tmp_path, 1)

    def full_disk(folder: Path) -> None:
        (folder / "half").write_bytes(b"x")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        checkpoint.commit(tmp_path, 2, save_model=full_disk, state={"global_step": 2}, tensors={})
    assert [f.name for f in tmp_path.iterdir()] == ["step-000001"]
    assert checkpoint.newest(tmp_path) is not None


def test_only_the_newest_and_the_phase_ends_are_kept(tmp_path: Path) -> None:
    for step in range(1, 8):
        _commit(tmp_path, step)
    (tmp_path / ".tmp-9-dead").mkdir()
    checkpoint.retain(tmp_path, keep=2, forever=frozenset({3}))
    assert sorted(f.name for f in tmp_path.iterdir()) == ["step-000003", "step-000006", "step-000007"]


def test_a_damaged_folder_of_the_same_step_is_replaced_and_kept_aside(tmp_path: Path) -> None:
    damaged = _commit(tmp_path, 5)
    (damaged / "model.bin").write_bytes(b"")
    assert checkpoint.problems(_commit(tmp_path, 5)) == []
    assert len(list(tmp_path.glob(".bad-5-*"))) == 1


def test_a_policy_comes_back_bit_for_bit_from_its_transformers_folder(tmp_path: Path) -> None:
    loaded, other = tiny_loaded(seed=1), tiny_loaded(seed=2)
    save_transformers(loaded, tmp_path, whole_weights(loaded, Ranks.start()))
    assert weights_hash(loaded.module) != weights_hash(other.module)
    load_transformers(other, tmp_path)
    assert weights_hash(loaded.module) == weights_hash(other.module)


def test_another_models_checkpoint_is_refused(tmp_path: Path) -> None:
    llama = tiny_loaded("llama")
    save_transformers(llama, tmp_path, whole_weights(llama, Ranks.start()))
    with pytest.raises(RunFailed, match="another model"):
        load_transformers(tiny_loaded("qwen3"), tmp_path)


def test_the_manifest_lists_every_file(tmp_path: Path) -> None:
    folder = _commit(tmp_path, 1)
    listed = json.loads((folder / "MANIFEST.json").read_text())["files"]
    assert {*listed, "MANIFEST.json"} == {f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file()}

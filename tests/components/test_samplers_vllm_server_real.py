"""The sampler `vllm_server` on a server that `prerl-spec serve` starts: the trainer's distribution after every push, closed
doors, and a run that goes on when a killed server serves again."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("vllm")

from prerl_components.models.hf_causal import HfCausal
from prerl_components.samplers.server.api_key import key_file
from prerl_components.samplers.server.protocol import EXTENSION, GUARD
from prerl_components.samplers.server.sampler import ServerSampler
from prerl_components.samplers.server.worker_extension import ServerExtension
from prerl_components.samplers.transformers import Transformers
from prerl_components.samplers.vllm_server import VllmServer

from benchmarks.weight_faults import on_server
from prerl_spec.cli.runs.serve import START_SECONDS
from prerl_spec.sdk import (
    Decoding,
    EnvironmentUnmet,
    LoadedModel,
    Request,
    SamplerSite,
    ServedModel,
    ServerProcess,
)
from prerl_spec.testing.laws.sampler import check_sampler
from tests.components.served import Served
from tests.components.vllm_models import nudge, vllm_model
from tests.engine.forked_ranks import torchrun
from tests.engine.runs import steps_of

pytestmark = pytest.mark.vllm

ROOT = Path(__file__).parents[2]
REQUESTS = [Request((1, 2, 3), (11, 12, 13)), Request((4, 5), (21, 22)), Request((6, 7, 8, 9), (31,))]


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return vllm_model()


@pytest.fixture(scope="module")
def served(model: LoadedModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served(tmp_path_factory.mktemp("served"), model)
    found.start()
    yield found
    assert found.end() == 0
    assert not key_file(found.url).exists()


@pytest.fixture
def another(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = Served(tmp_path_factory.mktemp("another"), vllm_model())
    found.start()
    yield found
    found.end()


def asked(url: str, path: str, body: dict[str, Any], key: str = "") -> int:
    request = urllib.request.Request(f"{url}{path}", json.dumps(body).encode(), {"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_server_obeys_the_law_of_samplers(served: Served, model: LoadedModel) -> None:
    check_sampler(VllmServer(urls=(served.url,)), model)


def test_a_push_reaches_every_weight_the_tied_head_included(served: Served, tmp_path: Path) -> None:
    model = vllm_model()
    site = SamplerSite(model, "cpu", 512, folder=tmp_path)
    with VllmServer(urls=(served.url,)).open(site) as opened:
        assert isinstance(opened, ServerSampler)
        for version in (1, 2):
            nudge(model)
            opened.sync(version)
            assert opened.gap < 2e-5


def test_weights_that_go_wrong_on_their_way_to_a_server_end_the_run_and_sound_ones_go_on(served: Served) -> None:
    found = dict(on_server(served.url, torch.float32, lora=False))
    assert len(found) >= 16
    sound = {name: said for name, said in found.items() if name.startswith("none")}
    assert len(sound) == 2
    assert not any(sound.values()), sound
    assert all(said for name, said in found.items() if name not in sound), found
    assert "lm_head (packed)" in found["a stale tied head, not repacked"]
    assert "some are not finite" in found["NaN"]


def test_stop_strings_and_eos_end_a_sample_where_the_embedded_sampler_ends_it(
    served: Served, model: LoadedModel
) -> None:
    site = SamplerSite(model, "cpu", 512)
    with VllmServer(urls=(served.url,)).open(site) as opened, Transformers().open(site) as embedded:
        greedy = Decoding(temperature=0.0, max_new_tokens=30)
        (theirs,) = embedded.generate([Request((1, 2, 3), (1,))], greedy)
        text = model.codec.decode(theirs[0].tokens[5:7], skip_special=False)
        for stop in ((), (text,)):
            decoding = Decoding(temperature=0.0, max_new_tokens=30, stop=stop)
            drawn, expected = (s.generate(REQUESTS, decoding) for s in (opened, embedded))
            assert [[(g.tokens, g.stop) for g in group] for group in drawn] == [
                [(g.tokens, g.stop) for g in group] for group in expected
            ]


def test_more_prompts_than_fit_a_forward_are_drawn_with_their_seeds(served: Served, model: LoadedModel) -> None:
    numbers = np.random.default_rng(3)
    requests = [Request(tuple(numbers.integers(0, 256, 400).tolist()), (n, n + 100)) for n in range(16)]
    with VllmServer(urls=(served.url,)).open(SamplerSite(model, "cpu", 512)) as opened:
        drawn, again = (opened.generate(requests, Decoding(max_new_tokens=3)) for _ in range(2))
    assert [[g.tokens for g in group] for group in drawn] == [[g.tokens for g in group] for group in again]
    assert all(len(g.tokens) == 3 or g.stop == "eos" for group in drawn for g in group)


def test_no_door_opens_without_the_key(served: Served) -> None:
    key = key_file(served.url).read_text()
    rpc = {"method": "prerl_state"}
    for path, body in (("/collective_rpc", rpc), ("/reset_prefix_cache", {}), ("/v1/completions", {"prompt": [1]})):
        assert asked(served.url, path, body) == asked(served.url, path, body, "another") == 401
    assert asked(served.url, "/collective_rpc", rpc, key) == 200
    command_lines = [f.read_bytes() for f in Path("/proc").glob("[0-9]*/cmdline") if os.access(f, os.R_OK)]
    assert any(GUARD.encode() in line and EXTENSION.encode() in line for line in command_lines)
    assert not any(key.encode() in line for line in command_lines)
    assert f"{ServerExtension.__module__}.{ServerExtension.__qualname__}" == EXTENSION


def processes(urls: list[str], engine: dict[str, Any] | None = None, key: str | None = None) -> list[ServerProcess]:
    def load() -> LoadedModel:
        raise AssertionError("a model with a name needs no loading")

    sampler = VllmServer(urls=tuple(urls), engine=engine or {}, key=key)
    declared = HfCausal(name="Qwen/Qwen3-0.6B", revision="abc", dtype="bfloat16", remote_code="f" * 40)
    return list(sampler.servers(ServedModel(declared, load), urls))


def free_url(host: str = "127.0.0.1") -> str:
    with socket.create_server((host, 0)) as free:
        return f"http://{host}:{free.getsockname()[1]}"


def test_a_server_gets_the_model_of_the_spec_and_what_the_engine_table_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("THE_KEY", "hush")
    engine = {"max_model_len": 512, "enable_prefix_caching": False, "hf_overrides": {"rope_theta": 1.5}}
    urls = [free_url(), free_url()]
    for process, url in zip(processes(urls, engine, "${secret:THE_KEY}"), urls, strict=True):
        line = " ".join(process.command)
        for part in (
            "--host 127.0.0.1", f"--port {url.rpartition(':')[2]}", "--model Qwen/Qwen3-0.6B --revision abc",
            "--dtype bfloat16", f"--trust-remote-code --code-revision {'f' * 40}", "--max-model-len 512",
            "--no-enable-prefix-caching", "--no-enable-chunked-prefill",
            '--hf-overrides {"rope_theta": 1.5}', "--logprobs-mode processed_logprobs",
        ):  # fmt: skip
            assert part in line
        assert process.environment["VLLM_API_KEY"] == "hush"
        assert process.environment["VLLM_ENGINE_READY_TIMEOUT_S"] == f"{START_SECONDS:.0f}"
        assert "hush" not in line + repr(process)
        assert not process.left
        assert not process.notes


def test_a_slow_start_is_given_the_time_that_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("VLLM_ENGINE_READY_TIMEOUT_S", "7200")
    (process,) = processes([free_url()])
    assert {**os.environ, **process.environment}["VLLM_ENGINE_READY_TIMEOUT_S"] == "7200"


def test_what_cannot_be_served_here_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(
        EnvironmentUnmet, match=r"none of the urls is an address of this machine: http://192\.0\.2\.7:80"
    ):
        processes(["http://192.0.2.7:80"])
    for url in ("https://127.0.0.1:8000", "http://127.0.0.1", "http://127.0.0.1:8000/path"):
        with pytest.raises(EnvironmentUnmet, match="is not of the form http://ADDRESS:PORT"):
            processes([url])
    with pytest.raises(
        EnvironmentUnmet, match=r"`max_model_length` in the sampler.s `engine` is not an argument"
    ) as caught:
        processes([free_url()], {"max_model_length": 512})
    assert "max_model_len" in str(caught.value.hint)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(EnvironmentUnmet, match="is in use"):
        processes([f"http://127.0.0.1:{taken.getsockname()[1]}"])


def test_an_address_that_others_reach_says_what_that_means(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    here, open_to_all, elsewhere = free_url(), free_url("0.0.0.0"), "http://192.0.2.7:80"
    first, second = processes([here, open_to_all, elsewhere])
    assert [p.url for p in (first, second)] == [here, open_to_all], "the third is another machine's to serve"
    assert not any("unencrypted" in note for note in first.notes)
    assert any("unencrypted" in note for note in second.notes)
    assert first.environment["VLLM_API_KEY"] != second.environment["VLLM_API_KEY"]
    assert [f.read_text() for f in first.left] == [first.environment["VLLM_API_KEY"]]


def test_two_processes_share_a_server_and_one_of_them_pushes(served: Served, tmp_path: Path) -> None:
    short = ("--set", "phases.refine.schedule.steps=3")
    torchrun("prerl_spec", "run", str(served.spec), "--run-dir", "both", *short, cwd=tmp_path)
    steps = steps_of(tmp_path / "both")
    assert [e["global_step"] for e in steps] == [1, 2, 3]
    assert max(e["metrics"]["sampler_gap"] for e in steps) < 1e-4


def test_a_killed_server_ends_the_run_and_a_rerun_resumes(another: Served, tmp_path: Path) -> None:
    served = another
    command = [sys.executable, "-m", "prerl_spec", "run", str(served.spec), "--run-dir", "run"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}

    def run() -> "subprocess.Popen[str]":
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)

    process, events = run(), tmp_path / "run" / "events.jsonl"
    deadline = time.monotonic() + 240
    while not events.exists() or events.read_text().count('"event": "step"') < 3:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert served.kill_server() == 5
    _, said = process.communicate(timeout=120)
    assert process.returncode == 5, said
    assert f"vLLM server {served.url}: " in said
    assert "re-run the same command to resume" in said
    before = steps_of(tmp_path / "run")
    kept = {f: f.read_bytes() for f in (tmp_path / "run" / "checkpoints").rglob("*") if f.is_file()}
    assert kept

    process = run()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 3
    assert f"server {served.url} (for sampler): nothing listens there" in said
    assert all(file.read_bytes() == content for file, content in kept.items()), "no committed step is touched"

    served.start()
    process = run()
    _, said = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert "resuming: run" in said
    after = {e["global_step"]: e for e in steps_of(tmp_path / "run")}
    assert sorted(after) == list(range(1, 9))
    committed = max(int(f.name.removeprefix("step-")) for f in {p.parent for p in kept} if f.name.startswith("step-"))
    assert [e for e in before if e["global_step"] <= committed] == [after[n] for n in range(1, committed + 1)]
    assert max(e["metrics"]["sampler_gap"] for e in after.values()) < 1e-4
    assert served.end() == 0

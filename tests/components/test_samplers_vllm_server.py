"""The sampler `vllm_server` against servers that play vLLM's part: the embedded sampler's distribution from pushed weights,
and for every way in which a server can fail an error that says where, what and what to do."""

import asyncio
import os
import stat
import threading
import time
from collections.abc import Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from prerl_components.samplers.server import connection, parallel_requests
from prerl_components.samplers.server.api_key import key_file, write_new_key
from prerl_components.samplers.server.auth_middleware import KeyGuard
from prerl_components.samplers.server.client import ServerCalls
from prerl_components.samplers.server.connection import ServerConnection, ServerFault
from prerl_components.samplers.server.sampler import ServerSampler, open_servers
from prerl_components.samplers.server.server_weights import ServerWeights
from prerl_components.samplers.server.weight_transfer import PolicySource
from prerl_components.samplers.shared.frozen_access import FrozenAccess
from prerl_components.samplers.transformers import Transformers
from prerl_components.samplers.vllm_server import VllmServer

from prerl_spec.errors import Interrupted
from prerl_spec.sdk import Decoding, EnvironmentUnmet, LoadedModel, PrerlError, Request, RunFailed, SamplerSite
from prerl_spec.testing.laws.sampler import check_sampler
from prerl_spec.testing.tiny import tiny_loaded
from tests.components.server_double import KEY, TRANSFER, Double, serving, silence

REQUESTS = [Request((1, 2, 3), (11, 12, 13)), Request((4, 5), (21, 22)), Request((6, 7, 8, 9), (31,))]
DECODING = Decoding(max_new_tokens=8)


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("THE_KEY", KEY)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(connection, "RETRY_SECONDS", (0.01, 0.02))


@pytest.fixture
def site(tmp_path: Path) -> SamplerSite:
    (tmp_path / "run").mkdir()
    return SamplerSite(tiny_loaded(), "cpu", 64, folder=tmp_path / "run")


@pytest.fixture
def double() -> Iterator[Double]:
    with serving() as found:
        yield found


def declared(*doubles: Double, **settings: object) -> VllmServer:
    return VllmServer.model_validate({"urls": [d.url for d in doubles], "key": "${secret:THE_KEY}", **settings})


def test_it_obeys_the_laws_of_a_sampler(double: Double) -> None:
    check_sampler(declared(double), tiny_loaded(seed=3))


@pytest.mark.parametrize(
    "decoding",
    [
        DECODING,
        Decoding(temperature=0.7, top_p=0.8, top_k=20, max_new_tokens=12),
        Decoding(temperature=0.0, max_new_tokens=6),
        Decoding(max_new_tokens=40, stop=("a", "é")),
    ],
)
def test_samples_are_those_of_the_embedded_sampler(site: SamplerSite, double: Double, decoding: Decoding) -> None:
    with Transformers().open(site) as embedded:
        expected = embedded.generate(REQUESTS, decoding)
    with declared(double).open(site) as opened:
        drawn = opened.generate(REQUESTS, decoding)
    assert [[(g.tokens, g.stop) for g in group] for group in drawn] == [
        [(g.tokens, g.stop) for g in group] for group in expected
    ]
    for ours, theirs in zip(
        (g for group in drawn for g in group), (g for group in expected for g in group), strict=True
    ):
        assert ours.logps == pytest.approx(theirs.logps, abs=1e-5)


class Sharing(FrozenAccess):
    """One of two processes that share a server, as a thread; `meet` is their barrier."""

    size = 2

    def __init__(self, loaded: LoadedModel, rank: int, meet: threading.Barrier) -> None:
        super().__init__(loaded)
        self.rank = rank
        self.barrier = meet.wait  # type: ignore[assignment,method-assign]


def test_nothing_is_pushed_while_another_process_still_reads_what_a_server_holds(
    site: SamplerSite, double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    meet, loads_seen = threading.Barrier(2, timeout=30), []
    read = ServerWeights.rows

    def late(weights: ServerWeights) -> dict[str, Any]:
        if threading.current_thread() is not threading.main_thread():
            # Long enough for the first process to push, if nothing made it wait.
            time.sleep(0.5)
            loads_seen.append(len(double.loads))
        return read(weights)

    monkeypatch.setattr(ServerWeights, "rows", late)

    def opened_by(rank: int) -> float:
        with declared(double).open(replace(site, policy=Sharing(site.model, rank, meet))) as opened:
            return opened.gap

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(opened_by, 1)
        assert max(opened_by(0), other.result(60)) < 1e-5
    assert loads_seen == [1], "the perturbed weights alone"


def test_an_update_reaches_every_server_and_only_the_newest_weights_stay(site: SamplerSite, tmp_path: Path) -> None:
    with serving() as one, serving() as other, declared(one, other).open(site) as opened:
        assert isinstance(opened, ServerSampler)
        before = opened.generate(REQUESTS, DECODING)
        with torch.no_grad():
            site.model.module.get_input_embeddings().weight.mul_(1.5)  # type: ignore[operator]
        opened.sync(1)
        assert opened.generate(REQUESTS, DECODING) != before
        assert opened.gap < 1e-5
        for double in (one, other):
            assert len(double.loads) == double.prefix_resets == 3, "perturbed, true, updated"
            for name, parameter in site.model.module.named_parameters():
                assert torch.equal(dict(double.model.module.named_parameters())[name], parameter), name
        assert [f.name for f in (tmp_path / "run" / "push").iterdir()] == [other.loads[-1].name]
    assert list((tmp_path / "run" / "push").iterdir()) == []


def test_prompts_are_dealt_round_and_groups_stay_together(site: SamplerSite) -> None:
    with serving() as one, serving() as other, declared(one, other).open(site) as opened:
        one.drawn.clear()
        opened.generate(REQUESTS, DECODING)
        assert sorted(body["seed"] for body in one.drawn) == [11, 12, 13, 31]
        assert sorted(body["seed"] for body in other.drawn) == [21, 22]
        assert {body["cache_salt"] for body in one.drawn} == {one.version}


def test_weights_go_through_the_folder_that_both_sides_see(site: SamplerSite, double: Double, tmp_path: Path) -> None:
    strange = tmp_path / "shared" / "mine"
    strange.mkdir(parents=True)
    with declared(double, push_dir=str(tmp_path / "shared")).open(site):
        assert double.loads[0].parent.parent == tmp_path / "shared"
        assert double.loads[0].parent.name.startswith("run-")
    assert not double.loads[0].exists()
    assert strange.exists(), "what is not ours stays"


def test_weights_are_pushed_in_the_dtype_that_computes(site: SamplerSite, double: Double) -> None:
    half = replace(site, model=replace(site.model, compute_dtype=torch.bfloat16))
    with pytest.raises(EnvironmentUnmet, match="dtype float32, trainer bfloat16"), declared(double).open(half):
        pass


class PlayedEngine:
    """The trainer's end of vLLM's transfer as far as its protocol goes: the calls of 0.32 in their order, tensors by hand."""

    def __init__(self, double: Double, server: ServerCalls, source: PolicySource) -> None:
        self._double, self._server, self._source = double, server, source
        server.transfer("init_weight_transfer_engine", {"init_info": {}})

    def send_weights(self) -> None:
        names = [name for name, _ in self._source.shapes()]
        self._server.transfer("start_weight_update", {})
        assert self._double.version is None, "what is half replaced counts as nobody's"
        self._server.transfer("update_weights", {"update_info": {"names": names}})
        self._double.take(self._source)
        self._server.transfer("finish_weight_update", {})


@pytest.mark.parametrize("backend", ["ipc", "nccl"])
def test_a_transfer_engine_follows_its_protocol_and_writes_nothing(site: SamplerSite, backend: str) -> None:
    with serving() as one, serving() as other, ExitStack() as stack:
        doubles, asked = {one.url: one, other.url: other}, []

        def open_engine(name: str, server: ServerCalls, source: PolicySource) -> PlayedEngine:
            asked.append(name)
            return PlayedEngine(doubles[server.url], server, source)

        engine = {"weight_transfer_config": {"backend": backend}}
        opened = stack.enter_context(
            open_servers(list(doubles), "${secret:THE_KEY}", None, engine, 0.1, site, open_engine)
        )
        assert isinstance(opened, ServerSampler)
        with torch.no_grad():
            site.model.module.get_input_embeddings().weight.mul_(1.5)  # type: ignore[operator]
        opened.sync(1)
        opened.generate(REQUESTS, DECODING)
        assert opened.gap < 1e-5
        assert asked == [backend, backend]
        for double in doubles.values():
            assert double.transfers == [*TRANSFER, *TRANSFER[1:], *TRANSFER[1:]], "perturbed, true, updated"
            assert double.prefix_resets == 3
            assert double.loads == []
    assert site.folder is not None
    assert list((site.folder / "push").iterdir()) == []


def test_another_transfer_than_those_is_refused(site: SamplerSite, double: Double) -> None:
    engine = {"weight_transfer_config": {"backend": "pigeon"}}
    assert "'pigeon'" in refused(site, declared(double, engine=engine)).message


def test_workers_that_hold_different_weights_are_one_server_that_cannot_be_used(double: Double) -> None:
    calls = ServerCalls(ServerConnection(double.url, KEY))
    double.num_workers = 3
    assert calls.num_workers() == 3
    one, other = double.state(), {**double.state(), "version": "another"}
    with pytest.raises(ServerFault, match="its 2 workers do not hold the same weights"):
        calls._one_state({"results": [one, other]})


def test_an_adapter_is_merged_or_refused(site: SamplerSite, double: Double) -> None:
    policy = FrozenAccess(site.model)
    policy.has_adapter = True
    error = refused(replace(site, policy=policy), declared(double))
    assert "merge = true" in str(error.hint)


# --- faults ---------------------------------------------------------------------------------------------------------


def refused(site: SamplerSite, sampler: VllmServer) -> EnvironmentUnmet:
    with pytest.raises(EnvironmentUnmet) as caught, sampler.open(site):
        pass
    assert caught.value.exit_code == 3
    assert caught.value.hint
    return caught.value


def test_a_server_that_is_not_there_is_named(site: SamplerSite, double: Double) -> None:
    silence(double)
    error = refused(site, declared(double))
    assert f"{double.url}: nothing listens there" in error.message
    assert "prerl-spec serve" in str(error.hint)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"key": "another"}, "rejects the key"),
        ({"has_extension": False}, "without prerl-spec's worker extension"),
        ({"logprobs_mode": "raw_logprobs"}, "logprobs_mode raw_logprobs, trainer processed_logprobs"),
        ({"model": tiny_loaded("llama")}, "model_type llama, trainer qwen3"),
        ({"spoils": "bare"}, "no token ids"),
        ({"spoils": "nan"}, "not finite"),
    ],
)
def test_a_foreign_server_is_refused_before_training(site: SamplerSite, what: dict[str, object], words: str) -> None:
    with serving(**what) as double:
        error = refused(site, declared(double))
    assert double.url in error.message
    assert words in error.message


def test_a_server_that_is_no_vllm_at_all_is_refused(site: SamplerSite) -> None:
    with serving() as double:
        error = refused(site, VllmServer(urls=(double.url + "/elsewhere",), key="${secret:THE_KEY}"))
    assert "no /collective_rpc (404)" in error.message


def failed(opened: object, words: str) -> RunFailed:
    assert isinstance(opened, ServerSampler)
    with pytest.raises(RunFailed, match=words) as caught:
        opened.generate(REQUESTS, DECODING)
    assert caught.value.hint
    return caught.value


def test_a_server_that_dies_between_two_steps_ends_the_run_with_its_address(site: SamplerSite, double: Double) -> None:
    with declared(double).open(site) as opened:
        silence(double)
        error = failed(opened, "nothing listens there")
    assert error.exit_code == 5
    assert double.url in error.message
    assert "re-run the same command to resume" in str(error.hint)


def test_a_server_that_dies_while_it_draws_ends_the_run_at_once(site: SamplerSite, double: Double) -> None:
    with declared(double).open(site) as opened:
        double.dies_after = len(double.drawn) + 2
        error = failed(opened, r"nothing listens there|connection broke")
    assert double.url in error.message


def test_a_broken_connection_and_a_busy_server_are_asked_again_for_the_same_sample(
    site: SamplerSite, double: Double
) -> None:
    with declared(double).open(site) as opened:
        expected = opened.generate(REQUESTS, DECODING)
        double.broken, double.busy = 2, 2
        assert opened.generate(REQUESTS, DECODING) == expected
        double.busy = 100
        failed(opened, "it returned 503: busy")


def test_no_sample_of_a_restarted_server_is_used(site: SamplerSite, double: Double) -> None:
    with declared(double).open(site) as opened:
        double.forgets_after = len(double.drawn) + 6
        error = failed(opened, "no pushed weights")
    assert "weights-000002" in error.message


def test_two_runs_on_one_server_do_not_train_on_each_others_samples(
    site: SamplerSite, double: Double, tmp_path: Path
) -> None:
    (tmp_path / "second").mkdir()
    second = SamplerSite(tiny_loaded(seed=5), "cpu", 64, folder=tmp_path / "second")
    with declared(double).open(site) as first, declared(double).open(second) as other:
        failed(first, "it holds the weights weights-000002-.*; the trainer's are weights-000002-")
        other.generate(REQUESTS, DECODING)


def test_a_server_that_is_too_slow_meets_a_deadline(
    site: SamplerSite, double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    with declared(double).open(site) as opened:
        monkeypatch.setattr(parallel_requests, "seconds_allowed", lambda decoding: 0.1)
        monkeypatch.setattr("prerl_components.samplers.server.sampler.seconds_allowed", lambda decoding: 0.1)
        double.slow = 1.0
        failed(opened, "no response to /v1/completions within 0 s")


def test_weights_that_arrive_wrong_stop_the_run_with_the_tensors_names(site: SamplerSite, double: Double) -> None:
    with declared(double).open(site) as opened:
        double.noise = 0.01
        with pytest.raises(
            RunFailed, match=r"after update 1 the vLLM server http\S+ does not hold .*embed_tokens"
        ) as caught:
            opened.sync(1)
        assert caught.value.exit_code == 5
    with (
        serving(noise=0.01) as other,
        pytest.raises(RunFailed, match=r"http\S+ does not take .* holds nowhere"),
        declared(other).open(site),
    ):
        pass


def test_weights_that_change_in_a_server_after_the_push_are_not_sampled_from(site: SamplerSite, double: Double) -> None:
    with declared(double).open(site) as opened:
        with torch.no_grad():
            next(double.model.module.parameters())[3, 1] += 1e-3
        failed(opened, r"the vLLM server http\S+ have changed since they were pushed: model\.embed_tokens\.weight$")
        opened.sync(1)
        opened.generate(REQUESTS, DECODING)


def test_equal_weights_that_a_server_uses_otherwise_stop_the_run(site: SamplerSite, double: Double) -> None:
    for part in double.model.module.modules():
        if hasattr(part, "variance_epsilon"):
            part.variance_epsilon = 1.0  # type: ignore[assignment]
    with (
        pytest.raises(RunFailed, match=r"nats per token; .* \(max_gap: 0\.001\)"),
        declared(double, max_gap=0.001).open(site),
    ):
        pass


def test_an_aborted_sample_is_none(site: SamplerSite, double: Double) -> None:
    with declared(double).open(site) as opened:
        double.spoils = "aborted"
        failed(opened, "finish_reason 'abort'")


def test_a_signal_is_seen_while_a_server_thinks_and_no_thread_stays(site: SamplerSite, double: Double) -> None:
    def stop(done: int, total: int) -> None:
        raise Interrupted("interrupted")

    with declared(double).open(site) as opened:
        double.slow = 3.0
        threads, begin = threading.active_count(), time.monotonic()
        with pytest.raises(Interrupted):
            opened.generate(REQUESTS, DECODING, stop)
        assert time.monotonic() - begin < 2
        double.slow = 0.0
        opened.generate(REQUESTS, DECODING)
        time.sleep(0.05)
        assert threading.active_count() <= threads + len(REQUESTS) * 3


def test_a_context_without_room_is_refused_by_the_servers_length_too(site: SamplerSite) -> None:
    with serving(max_length=32) as double, declared(double).open(site) as opened:
        opened.generate([Request(tuple(range(20)), (1,))], Decoding(max_new_tokens=12))
        with pytest.raises(RunFailed, match="exceed the 32 tokens"):
            opened.generate([Request(tuple(range(20)), (1,))], Decoding(max_new_tokens=13))


def test_a_folder_that_cannot_be_written_is_told(site: SamplerSite, double: Double, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    sampler = declared(double, push_dir=str(tmp_path / "file"))
    with pytest.raises(PrerlError, match="cannot be written") as caught, sampler.open(site):
        pass
    assert "push_dir" in str(caught.value.hint)


def test_equal_samples_whatever_is_drawn_with_them_are_not_promised(site: SamplerSite, double: Double) -> None:
    with pytest.raises(EnvironmentUnmet, match="invariant"), declared(double).open(replace(site, invariant=True)):
        pass


# --- keys -----------------------------------------------------------------------------------------------------------


def test_a_made_up_key_is_found_by_this_user_alone(site: SamplerSite, double: Double) -> None:
    double.key = write_new_key(double.url)
    assert stat.S_IMODE(os.stat(key_file(double.url)).st_mode) == 0o600
    with VllmServer(urls=(double.url,)).open(site):
        pass
    key_file(double.url).unlink()
    assert "rejects the key" in refused(site, VllmServer(urls=(double.url,))).message


def test_a_key_that_is_no_secret_or_not_set_is_told(
    site: SamplerSite, double: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "is a literal in the spec" in refused(site, declared(double, key="kept")).message
    monkeypatch.delenv("THE_KEY")
    assert "the secret THE_KEY is not set" in refused(site, declared(double)).message


def test_the_key_stands_in_no_message(site: SamplerSite, double: Double) -> None:
    with ExitStack() as stack:
        opened = stack.enter_context(declared(double).open(site))
        double.busy = 100
        error = failed(opened, "503")
    assert KEY not in f"{error.message} {error.hint} {error.__cause__!r}"


def answered(guard: KeyGuard, path: str, header: bytes | None, kind: str = "http") -> list[object]:
    """What comes back through the guard: statuses, or "inside" where the server behind it was reached."""
    seen: list[object] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        seen.append(message.get("status", message.get("code")))

    async def receive() -> MutableMapping[str, Any]:
        return {}

    headers = [] if header is None else [(b"authorization", header)]
    asyncio.run(guard({"type": kind, "path": path, "headers": headers}, receive, send))
    return [one for one in seen if one is not None]


@pytest.mark.parametrize(
    "path", ["/collective_rpc", "/v1/completions", "/sleep", "/health/../collective_rpc", "//health", ""]
)
def test_the_guard_asks_for_the_key_at_every_path_but_the_health_check(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def inside(scope: Any, receive: Any, send: Any) -> None:
        await send({"status": "inside"})

    monkeypatch.setenv("VLLM_API_KEY", KEY)
    guard = KeyGuard(inside)
    assert (
        answered(guard, path, None) == answered(guard, path, b"Bearer other") == answered(guard, path, b"kept") == [401]
    )
    assert answered(guard, path, b"Bearer kept") == ["inside"]
    assert answered(guard, path, None, "websocket") == [1008]
    assert answered(guard, "/health", None) == answered(guard, "", None, "lifespan") == ["inside"]
    monkeypatch.setenv("VLLM_API_KEY", "")
    assert answered(KeyGuard(inside), path, b"Bearer ") == [401], "without a key nothing gets through"

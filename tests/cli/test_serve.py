"""`serve` on real processes: started with their environment, awaited, ended with everything that they started."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from prerl_spec.cli.main import main

PRETEND = '''
import sys
from pathlib import Path
from typing import Any, ClassVar
from prerl_spec.sdk import SamplerSettings, ServedModel, ServerProcess

SERVER = """
import http.server, os, subprocess, sys, time
port, folder, way = int(sys.argv[1]), sys.argv[2], sys.argv[3]
if way == "fails":
    sys.exit("ValueError: the model is none")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(f"{folder}/pids-{port}", "w").write(f"{os.getpid()} {child.pid} {os.environ['PRETEND_KEY']}")
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
    def log_message(self, *args):
        pass
server = http.server.HTTPServer(("127.0.0.1", port), Health)
server.timeout = 0.2
while way != "dies" or not os.path.exists(f"{folder}/die-{port}"):
    server.handle_request()
sys.exit("RuntimeError: out of memory")
"""


class Pretend(SamplerSettings):
    ports: tuple[int, ...]
    folder: str
    way: str = "serves"

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(f"http://127.0.0.1:{port}" for port in self.ports)

    def open(self, site: Any) -> Any:
        raise AssertionError("nobody draws")

    def servers(self, model: ServedModel, urls: Any) -> tuple[ServerProcess, ...]:
        folder = Path(self.folder)
        found = []
        for url in urls:
            port = url.rpartition(":")[2]
            (folder / f"key-{port}").write_text("here")
            found.append(ServerProcess(
                url,
                (sys.executable, "-c", SERVER, port, self.folder, self.way),
                {"PRETEND_KEY": "hush"},
                folder / f"{port}.log",
                (folder / f"key-{port}",),
                ("mind the gap",),
            ))
        return tuple(found)
'''

SPEC = """
spec = 1
plugins.files = ["pretend.py"]
run.name = "served"
model = {{ use = "from_scratch", tokenizer = "data:train", config = {{ model_type = "qwen3" }} }}
data.train = "arithmetic_chains"
sampler = {{ use = "{sampler}", {settings} }}
verifier = "exact_match"
optimizer = {{ use = "adamw", lr = 1e-5 }}
[[phases]]
id = "refine"
prompts_per_step = 4
objective = "grpo"
schedule = {{ use = "fixed_steps", steps = 1 }}
"""


def free_ports(count: int) -> list[int]:
    import socket

    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for one in sockets:
        one.close()
    return ports


def write(folder: Path, settings: str, sampler: str = "local.pretend") -> Path:
    (folder / "pretend.py").write_text(PRETEND)
    (folder / "spec.toml").write_text(SPEC.format(sampler=sampler, settings=settings))
    return folder / "spec.toml"


def pretending(folder: Path, way: str, ports: list[int]) -> list[str]:
    spec = write(folder, f'ports = {ports}, folder = "{folder}", way = "{way}"')
    return ["serve", str(spec), "--local-code"]


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def served(folder: Path, ports: list[int]) -> list[int]:
    """The processes of every server and what they started, once all have told."""
    deadline = time.monotonic() + 60
    files = [folder / f"pids-{port}" for port in ports]
    while not all(f.exists() and len(f.read_text().split()) == 3 for f in files):
        assert time.monotonic() < deadline, "the servers do not start"
        time.sleep(0.05)
    told = [f.read_text().split() for f in files]
    assert {key for _, _, key in told} == {"hush"}
    return [int(pid) for server, child, _ in told for pid in (server, child)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_every_server_and_what_it_started(tmp_path: Path, number: signal.Signals) -> None:
    ports = free_ports(2)
    command = [sys.executable, "-m", "prerl_spec", *pretending(tmp_path, "serves", ports)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = [process.stdout.readline() for _ in ports]
        assert sorted(line.split()[1] for line in ready) == sorted(f"http://127.0.0.1:{port}" for port in ports)
        pids = served(tmp_path, ports)
        assert all(map(is_alive, pids))
    finally:
        process.send_signal(number)
    out, said = process.communicate(timeout=40)
    assert process.returncode == 0, said
    assert "mind the gap" in said
    assert not any(map(is_alive, pids))
    assert not list(tmp_path.glob("key-*")), "keys go with their servers"
    assert "hush" not in out + said


@pytest.mark.parametrize("twice", [False, True])
def test_a_server_that_does_not_listen_to_sigterm_is_killed(tmp_path: Path, twice: bool) -> None:
    from prerl_spec.cli.runs.serve import Running
    from prerl_spec.registry.kinds.sampler import ServerProcess

    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(99)"
    running = Running(ServerProcess("http://127.0.0.1:1", (sys.executable, "-c", code), {}, tmp_path / "log"))
    deadline = time.monotonic() + 30
    while "up" not in (tmp_path / "log").read_text() and time.monotonic() < deadline:
        time.sleep(0.02)
    running.ask_to_end()
    begin = time.monotonic()
    at_once = threading.Event()
    threading.Timer(0.3, at_once.set if twice else lambda: None).start()
    running.end(begin + (60.0 if twice else 0.3), at_once)
    assert 0.2 < time.monotonic() - begin < 5


def test_a_server_that_does_not_start_is_told_with_its_own_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(pretending(tmp_path, "fails", free_ports(1))) == 3
    said = capsys.readouterr().err
    assert "exited with code 1: ValueError: the model is none" in said
    assert ".log; restart the server" in said


def test_when_one_server_dies_the_others_end_too(tmp_path: Path) -> None:
    ports = free_ports(2)
    command = [sys.executable, "-m", "prerl_spec", *pretending(tmp_path, "dies", ports)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    ready = [process.stdout.readline() for _ in ports]
    pids = served(tmp_path, ports)
    (tmp_path / f"die-{ports[0]}").touch()
    _, said = process.communicate(timeout=40)
    assert ready[1].startswith("ready"), said
    assert process.returncode == 5, said
    assert f"http://127.0.0.1:{ports[0]} exited with code 1: RuntimeError: out of memory" in said
    assert not any(map(is_alive, pids))


def test_a_spec_without_servers_is_a_mistake_of_the_caller(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = write(tmp_path, "max_new_tokens = 8", sampler="transformers")
    assert main(["serve", str(spec), "--unset", "plugins"]) == 2
    assert "no sampler of this spec uses servers" in capsys.readouterr().err


def test_a_run_asks_for_its_servers_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    spec = write(tmp_path, f'urls = ["http://127.0.0.1:{port}"]', sampler="vllm_server")
    code = (
        "import sys; from prerl_spec.cli.main import main\n"
        f"code = main(['run', {str(spec)!r}, '--unset', 'plugins'])\n"
        "sys.exit(90 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 3, done.stderr
    assert f"server http://127.0.0.1:{port} (for sampler): nothing listens there" in done.stderr
    assert "prerl-spec serve SPEC" in done.stderr
    assert not (tmp_path / "runs").exists()
    described = subprocess.run(
        [sys.executable, "-m", "prerl_spec", "plan", str(spec), "--unset", "plugins"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "NO_COLOR": "1"}, check=False,
    )  # fmt: skip
    assert described.returncode == 0
    assert "checked when a run starts" in described.stdout

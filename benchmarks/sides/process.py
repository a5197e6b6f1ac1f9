"""The processes of the sides: started together, asked in turn, so that no import counts and a slow minute hits all of them."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Side:
    """One side's process. `python` is its interpreter, `path` what it imports from besides."""

    def __init__(
        self,
        name: str,
        script: str,
        config: Mapping[str, Any],
        folder: Path,
        python: str = sys.executable,
        path: str = "",
    ) -> None:
        self.name = name
        file = folder / f"{name.replace(' ', '-')}.json"
        file.write_text(json.dumps(config))
        self._log = (folder / f"{file.stem}.log").open("w+")
        read, write = os.pipe()
        environment = {
            **os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": path,
            "TOKENIZERS_PARALLELISM": "false", "SIDE_REPLIES": str(write),
        }  # fmt: skip
        self._process = subprocess.Popen(
            [python, str(HERE / script), str(file)],
            stdin=subprocess.PIPE, stdout=self._log, stderr=self._log, text=True, env=environment, pass_fds=(write,),
        )  # fmt: skip
        os.close(write)
        self._replies = os.fdopen(read)

    def step(self) -> dict[str, Any]:
        """What the next step took. Raises SystemExit with the end of its output if the process has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("step\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self._replies.readline()
        if not line:
            self._log.seek(0)
            raise SystemExit(f"{self.name} has ended:\n{self._log.read()[-4000:]}")
        found: dict[str, Any] = json.loads(line)
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._replies.close()
        self._log.close()

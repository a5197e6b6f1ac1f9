"""Processes that are forks of this one, which has imported everything: to import torch anew takes each 5 s of CPU."""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from prerl_spec.errors import PrerlError


def forked(work: Callable[[], object], said: Path) -> int:
    """Does `work` in a child, whose output `said` receives; gives its id. It exits with 0, or with the code of its error."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(file, 1)
        os.dup2(file, 2)
        # What pytest has put there writes to files of its own.
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        # The threads of a pool do not survive a fork, and whoever counts on them waits forever.
        torch.set_num_threads(1)
        work()
        code = 0
    except PrerlError as error:
        print(f"error: {error.message}", flush=True)
        code = error.exit_code
    except SystemExit as exited:
        code = int(exited.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)

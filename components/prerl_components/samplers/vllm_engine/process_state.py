"""Restores process state that vLLM changes when it starts: random generators, thread settings, output streams, logging."""

import logging
import os
import random
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Restores the state of Python's, numpy's and torch's global generators on exit."""
    python, arrays = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(arrays)


@contextmanager
def thread_setting_kept() -> Iterator[None]:
    """Restores `torch.set_num_threads` on exit: vLLM's CPU worker replaces it with a function that does nothing."""
    kept = torch.set_num_threads
    try:
        yield
    finally:
        torch.set_num_threads = kept


@contextmanager
def output_to(file: Path) -> Iterator[None]:
    """Appends all output on stdout and stderr, native code's included, to `file`; suppresses Python's warnings."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    target = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream, original in zip((1, 2), kept, strict=True):
            os.dup2(original, stream)
            os.close(original)
        os.close(target)


@contextmanager
def logged_to(name: str, file: Path) -> Iterator[None]:
    """The logger `name` appends records from INFO on to `file`, and writes nowhere else."""
    logger = logging.getLogger(name)
    kept = list(logger.handlers), logger.level, logger.propagate
    handler = logging.FileHandler(file, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        handler.close()
        logger.handlers, logger.propagate = kept[0], kept[2]
        logger.setLevel(kept[1])

"""Random streams by name: a stream's seed follows from its purpose, so order, batching and restarts change nothing."""

import hashlib
import json

import numpy as np


def named_seed(*name: str | int) -> int:
    """A 63-bit seed: SHA-256 of a name such as (run.seed, "prune", global_step, refill, slot, sample), as JSON."""
    digest = hashlib.sha256(json.dumps(name).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def named_generator(*name: str | int) -> np.random.Generator:
    """A numpy generator seeded with `named_seed`."""
    return np.random.Generator(np.random.Philox(named_seed(*name)))

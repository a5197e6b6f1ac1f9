"""Hashes of the rows of weights: equal for equal values, whatever the layout, dtype or device that holds them.

A row's hash is Σ_j bits_j · f_j mod 2^64 over the bits of its values as float32 and odd factors f_j: integers, so the order of
the sum does not matter; one changed value always changes it, several do with probability 1 − 2^-64. Padding with zeros changes
nothing.
"""

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Hashes = NDArray[np.int64]

NOT_FINITE = -(1 << 62) - 1
"""The hash of a row with a value that is not finite."""

CHUNK = 1 << 22
"""Values hashed at a time: 8 bytes each of temporary memory."""

_SMALLEST = torch.finfo(torch.float32).tiny


@lru_cache(maxsize=64)
def factors(count: int) -> Hashes:
    """[count] odd numbers of 64 bits, by splitmix64 of the index; a longer list begins with a shorter one."""
    mixed = (np.arange(1, count + 1, dtype=np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31)) | np.uint64(1)).view(np.int64)


@torch.no_grad()
def row_hashes(tensor: Tensor) -> Hashes:
    """[rows] hashes, a row being the last dimension; each value of a vector is a row of its own."""
    rows_RC = tensor.detach().reshape(-1, 1) if tensor.ndim < 2 else tensor.detach().reshape(-1, tensor.shape[-1])
    factor_C = torch.from_numpy(factors(rows_RC.shape[1])).to(rows_RC.device)
    step = max(1, CHUNK // max(1, rows_RC.shape[1]))
    parts = [hash_sums(rows_RC[i : i + step], factor_C) for i in range(0, rows_RC.shape[0], step)]
    return torch.cat(parts).cpu().numpy() if parts else np.zeros(0, np.int64)


def hash_sums(rows_RC: Tensor, factor_C: Tensor) -> Tensor:
    """[R] hashes of rows whose columns have these factors. Zeros of both signs count as equal, and values below float32's
    smallest normal number as zero, which kernels may flush."""
    value_RC = rows_RC.float()
    value_RC = torch.where(value_RC.abs() < _SMALLEST, 0.0, value_RC)
    hash_R = (value_RC.view(torch.int32) * factor_C).sum(1)
    return torch.where(value_RC.isfinite().all(1), hash_R, NOT_FINITE)


def digest(hash_R: Hashes) -> int:
    """One number over a tensor's row hashes and their order."""
    with np.errstate(over="ignore"):
        return int((hash_R * factors(len(hash_R))).sum(dtype=np.int64))

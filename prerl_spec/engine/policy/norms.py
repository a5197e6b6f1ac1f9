"""Root-mean-square norms of a transformers model in fewer operations: those that measure equal to x·w/√(mean(x²) + ε).

A module keeps its class, its parameters and their names: only its `forward` is another one. A norm that does anything else
keeps its own.
"""

from collections.abc import Sequence
from copy import deepcopy
from inspect import signature
from types import MethodType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

PROBED_SCALES = (1e-3, 1.0, 30.0)
"""Sizes of the inputs on which two norms are compared: ε matters in the first."""


class FusedNorms(NamedTuple):
    """How many of a model's RMS norms compute in fewer operations: `9 of 9`."""

    fused: int
    norms: int

    def __str__(self) -> str:
        return f"{self.fused} of {self.norms}"


class _Form(NamedTuple):
    """What a norm computes: x·(weight + offset)/√(mean(x²) + eps), in the dtype of x or in the wider of both."""

    eps: float
    offset: float
    in_dtype_of_x: bool


def fuse_norms(model: nn.Module, compute_dtype: torch.dtype) -> FusedNorms:
    """Replaces, in place, the forward of every RMS norm whose outputs for random inputs are those of one of the forms, in
    float32 and in `compute_dtype`."""
    norms: list[Any] = [part for part in model.modules() if type(part).__name__.endswith("RMSNorm")]
    dtypes = list(dict.fromkeys((torch.float32, compute_dtype)))
    forms: dict[Any, _Form | None] = {}
    for norm in norms:
        if [name for name, _ in norm.named_parameters()] != ["weight"] or "forward" in vars(norm):
            continue
        eps = next((value for name, value in vars(norm).items() if "eps" in name and isinstance(value, float)), 0.0)
        alike = (type(norm), norm.weight.shape, norm.weight.dtype, eps)
        if alike not in forms:
            candidates = (_Form(eps, offset, narrow) for offset in (0.0, 1.0) for narrow in (False, True))
            forms[alike] = next((form for form in candidates if _equals(form, norm, dtypes)), None)
        if (form := forms[alike]) is not None:
            norm.rms_form = form
            # A bound method, not a closure: a deep copy of the model then binds it to the copy's own norm.
            norm.forward = MethodType(_forward, norm)
    return FusedNorms(sum(hasattr(norm, "rms_form") for norm in norms), len(norms))


def _forward(norm: Any, hidden: Tensor) -> Tensor:
    form: _Form = norm.rms_form
    return _apply(form, hidden, norm.weight)


def _apply(form: _Form, hidden: Tensor, weight_d: Tensor) -> Tensor:
    dtype = hidden.dtype if form.in_dtype_of_x else torch.promote_types(hidden.dtype, weight_d.dtype)
    if form.offset:
        weight_d = weight_d.float() + form.offset
    if not hidden.is_cuda or hidden.dtype != weight_d.dtype:
        hidden, weight_d = hidden.float(), weight_d.float()
    normed: Tensor
    if hidden.is_cuda:
        # One kernel, forward and backward; on a CPU torch has none, and calls as many operations as a model does.
        normed = nn.functional.rms_norm(hidden, weight_d.shape, weight_d, form.eps)
    elif torch.is_grad_enabled() and (hidden.requires_grad or weight_d.requires_grad):
        own: Any = _RmsNorm.apply
        normed = own(hidden, weight_d, form.eps)
    else:
        # The same operations: before an update ρ is 1, not nearly.
        normed = (hidden * _inverse_rms(hidden, form.eps)).mul_(weight_d)
    return normed.to(dtype)


def _inverse_rms(hidden: Tensor, eps: float) -> Tensor:
    """1/√(mean(x²) + ε) over the last axis, which is kept."""
    squares: Tensor = torch.linalg.vector_norm(hidden, dim=-1, keepdim=True).square_()
    return squares.div_(hidden.shape[-1]).add_(eps).rsqrt_()


class _RmsNorm(torch.autograd.Function):
    """y = x·r·w with r = 1/√(mean(x²) + ε), in float32; keeps x and r alone for the backward pass.

    ∂w = Σ g·x·r over tokens, ∂x = r·g·w − x·r³·mean(g·w·x).
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight_d: Tensor, eps: float) -> Tensor:
        inverse = _inverse_rms(hidden, eps)
        ctx.save_for_backward(hidden, weight_d, inverse)
        return (hidden * inverse).mul_(weight_d)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        hidden, weight_d, inverse = ctx.saved_tensors
        width = len(weight_d)
        x_nd, g_nd, r_n = hidden.reshape(-1, width), gradient.reshape(-1, width), inverse.reshape(-1)
        product_nd = g_nd * x_nd
        of_hidden = of_weight_d = None
        if ctx.needs_input_grad[1]:
            of_weight_d = product_nd.t() @ r_n
        if ctx.needs_input_grad[0]:
            factor_n = (product_nd @ weight_d).mul_(r_n.pow(3)).div_(-width)
            of_hidden = (g_nd * r_n[:, None]).mul_(weight_d).addcmul_(x_nd, factor_n[:, None]).view(hidden.shape)
        return of_hidden, of_weight_d, None


def _equals(form: _Form, norm: nn.Module, dtypes: Sequence[torch.dtype]) -> bool:
    """Whether a norm with random weights has the outputs of a form, to rounding, and their dtype."""
    copy: Any = deepcopy(norm).requires_grad_(False)
    if sum(p.default is p.empty for p in signature(copy.forward).parameters.values()) != 1:
        return False
    generator = torch.Generator().manual_seed(0)
    copy.weight.copy_(torch.rand(copy.weight.shape, generator=generator) + 0.5)
    noise = torch.randn(8, *copy.weight.shape, generator=generator)
    for dtype in dtypes:
        for scale in PROBED_SCALES:
            hidden = (noise * scale).to(copy.weight.device, dtype)
            theirs, ours = copy(hidden), _apply(form, hidden, copy.weight)
            if theirs.dtype != ours.dtype or theirs.shape != ours.shape:
                return False
            # In 16 bits one of the two rounds twice.
            bound = 1e-5 if dtype == torch.float32 else 2 * torch.finfo(dtype).eps
            if not bool(((ours - theirs).abs() <= bound * theirs.abs()).all()):
                return False
    return True

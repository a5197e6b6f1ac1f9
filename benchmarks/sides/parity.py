"""Whether both trainers compute the same: loss and gradient of one update on the same responses, with the same weights."""

from pathlib import Path

import torch

GRADIENT_BOUND = 1e-3
"""Of ‖ours − theirs‖ / ‖ours‖. TRL adds 1e-4 to the standard deviation of a group's rewards, we 1e-6: 1.9e-4 where half the
rewards are 1. The rest is rounding in float32."""
LOSS_BOUND = 1e-3
"""Of |ours − theirs| / |ours|, for the same reasons."""
LEAST_LOSS = 1e-2
"""With ratios of 1 the loss is the mean advantage per token: 0 where all responses of a group are equally long, whatever the
advantages are scaled by. Above this it compares something; .1 where lengths differ as they do here."""
ROUNDING = 1e-6
"""Of a loss that is 0."""


def gradient_difference(folder: Path) -> float:
    """Relative difference of the gradients over all parameters. Raises SystemExit if they are not those of the same model."""
    ours = torch.load(folder / "gradient.pt", weights_only=True)
    theirs = torch.load(folder / "trl_gradient.pt", weights_only=True)
    if ours.keys() != theirs.keys():
        raise SystemExit(f"other parameters: {sorted(ours.keys() ^ theirs.keys())}")
    squares = [((ours[n] - theirs[n]).double().square().sum(), ours[n].double().square().sum()) for n in ours]
    different, size = (torch.stack(column).sum() for column in zip(*squares, strict=True))
    return float((different / size).sqrt())


def require_parity(gradient: float, ours: float, theirs: float, *, even: bool) -> None:
    """Raises SystemExit, and nothing is measured, if the gradients differ by more than their bound, or the losses do. Those of
    responses of `even` length must be 0 on both sides; others must not, since equal zeros show nothing."""
    if even:
        agree = max(abs(ours), abs(theirs)) <= ROUNDING
    elif abs(ours) < LEAST_LOSS:
        raise SystemExit(f"a loss of {ours:.2e} shows nothing: responses of other lengths are needed")
    else:
        agree = abs(ours - theirs) <= LOSS_BOUND * abs(ours)
    if not (gradient <= GRADIENT_BOUND and agree):
        raise SystemExit(
            f"the sides compute different things: gradients differ by {gradient:.2e} (bound {GRADIENT_BOUND:.0e}), the losses "
            f"are {ours:.6g} and {theirs:.6g}"
        )

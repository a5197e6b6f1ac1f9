"""Whether both trainers compute the same: loss and gradient of one update on the same responses, with the same weights."""

from pathlib import Path

import torch

GRADIENT_BOUND = 1e-3
"""Of ‖ours − theirs‖ / ‖ours‖. TRL adds 1e-4 to the standard deviation of a group's rewards, we 1e-6: 1.9e-4 where half the
rewards are 1. The rest is rounding in float32."""
LOSS_BOUND = 1e-3
"""Of |ours − theirs|; with ratios of 1 the loss is the mean advantage per token, of size 1e-2 to 1."""


def gradient_difference(folder: Path) -> float:
    """Relative difference of the gradients over all parameters. Raises SystemExit if they are not those of the same model."""
    ours = torch.load(folder / "gradient.pt", weights_only=True)
    theirs = torch.load(folder / "trl_gradient.pt", weights_only=True)
    if ours.keys() != theirs.keys():
        raise SystemExit(f"other parameters: {sorted(ours.keys() ^ theirs.keys())}")
    squares = [((ours[n] - theirs[n]).double().square().sum(), ours[n].double().square().sum()) for n in ours]
    different, size = (torch.stack(column).sum() for column in zip(*squares, strict=True))
    return float((different / size).sqrt())


def require_parity(gradient: float, loss: float) -> None:
    """Raises SystemExit if one of the differences is above its bound: nothing is then measured."""
    if not (gradient <= GRADIENT_BOUND and loss <= LOSS_BOUND):
        raise SystemExit(
            f"the sides compute different things: gradients differ by {gradient:.2e} (bound {GRADIENT_BOUND:.0e}), losses by "
            f"{loss:.2e} (bound {LOSS_BOUND:.0e})"
        )

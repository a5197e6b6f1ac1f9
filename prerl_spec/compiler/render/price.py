"""What a run costs at the price of a GPU hour: `--price H100=2.1`."""

from collections.abc import Mapping

from prerl_spec.compiler.estimates.cards import card_of
from prerl_spec.compiler.hardware import Hardware
from prerl_spec.errors import UsageError

HOUR = 3600.0


def price_of(hardware: Hardware, prices: Mapping[str, float]) -> float | None:
    """US dollars of one GPU of this machine for an hour: the price with the longest name that is part of the GPU's, without
    case. None without prices. Raises UsageError where no price fits, and for a machine without a GPU."""
    if not prices:
        return None
    if not hardware.gpus:
        raise UsageError(
            "--price: the machine of this plan has no GPU", hint="name one with --on, such as --on 8xH100-80"
        )
    name = hardware.gpus[0].name
    called = [text.lower() for text in (name, card_of(name) or name)]
    fitting = [key for key in prices if any(key.lower() in text for text in called)]
    if not fitting:
        raise UsageError(
            f"--price names {', '.join(prices)}, and the GPU of this plan is {name}", hint=f"--price {name}=USD"
        )
    return prices[max(fitting, key=len)]


def cost_words(seconds: float, hardware: Hardware, each: float) -> str:
    """ "USD 134 for 8 GPUs at 2.1 an hour each"."""
    number = len(hardware.gpus)
    whole = seconds / HOUR * number * each
    shown = f"{whole:,.0f}" if whole >= 100 else f"{whole:.2g}" if whole < 1 else f"{whole:,.1f}"
    return f"USD {shown} for {number} GPU{'s' if number > 1 else ''} at {each:g} an hour{' each' if number > 1 else ''}"

"""What `determinism = "invariant"` cannot be promised with (E0701): shards, and samplers that promise no equal samples."""

from collections.abc import Iterator, Sequence

from prerl_spec.compiler.places import at_last_written, use_place
from prerl_spec.compiler.resolve import Resolved
from prerl_spec.compiler.serving import Served, Site
from prerl_spec.errors import Diagnostic

INVARIANT_ATTEMPTS = "attempts[invariant]"
"""The port of a sampler whose samples are the same, bit for bit, whatever else is drawn with them."""


def invariance(resolved: Resolved, phases: Sequence[Site]) -> Iterator[Diagnostic]:
    """Whatever would make the result depend on the number of processes, each at the value that was written last."""
    asked = resolved.spec.distributed
    if asked.determinism != "invariant":
        return
    mode = ("distributed.determinism", asked.determinism)
    if asked.strategy == "fsdp2":
        yield at_last_written(
            resolved,
            "E0701",
            'determinism = "invariant" is not possible with strategy = "fsdp2": it adds gradients up in an order that '
            "depends on the number of processes",
            [mode, ("distributed.strategy", asked.strategy)],
            help='write strategy = "ddp", or determinism = "fast"',
        )
    for sampler in _samplers(resolved, phases):
        if sampler.built is not None and INVARIANT_ATTEMPTS not in sampler.built.component.provides():
            yield at_last_written(
                resolved,
                "E0701",
                f'determinism = "invariant" needs samples that do not depend on what is drawn with them, and '
                f"`{sampler.built.use}` does not promise that",
                [mode, (use_place(resolved, sampler.path), None)],
                help='write sampler = "transformers", or determinism = "fast"',
            )


def _samplers(resolved: Resolved, phases: Sequence[Site]) -> list[Served]:
    """Those that phases draw with, and the top-level one where evaluators may."""
    drawing = [site.sampler for site in phases if site.samples and site.sampler is not None]
    top = (
        [Served("sampler", resolved.built["sampler"])] if resolved.spec.evaluate and "sampler" in resolved.built else []
    )
    return [*drawing, *top]

"""How forwards of training and samplers will compute, in words, as far as the model's configuration tells.

What counts is measured when they open; the manifest of a run holds what was found.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prerl_spec.compiler.estimates.unknown import Unknown
from prerl_spec.compiler.resolve.resolved import Resolved
from prerl_spec.compiler.rules.phase_roles import PhaseRoles
from prerl_spec.compiler.rules.served import Served, served_adapter, served_model
from prerl_spec.errors import EnvironmentUnmet
from prerl_spec.registry.entry_points import PluginFault
from prerl_spec.registry.kinds.sampler import ForetoldSampler
from prerl_spec.registry.plugin_contract import blame_plugin

ONE_BY_ONE = "eager"
"""The attention that keeps a model's own operations: see engine/policy/flat_attention.py."""


def computing(
    resolved: Resolved, phases: Sequence[PhaseRoles], config: Mapping[str, Any] | Unknown, *, on_gpu_in_16_bits: bool
) -> dict[str, str]:
    """What computes -> how: `{"training": "one flat row a pass …", "sampler transformers": "each token by …"}`.

    Raises EnvironmentUnmet (E0305) for a plugin's sampler that fails to say so.
    """
    if not phases:
        return {}
    attention = served_model(resolved).planned.settings().get("attention")
    return {
        "training": _rows(attention, on_gpu_in_16_bits),
        **dict(_samplers(resolved, phases, config)),
    }


def _rows(attention: object, on_gpu_in_16_bits: bool) -> str:
    if attention == ONE_BY_ONE:
        return f'a row a sample: attention = "{ONE_BY_ONE}" asks for the model\'s own operations'
    how = "by one kernel (varlen_attn)" if on_gpu_in_16_bits else "sequence by sequence"
    return (
        f"the samples of a pass in one row without padding, attention {how}, if they do not see each other in this model; "
        "else a row a sample: measured when the model opens"
    )


def _samplers(
    resolved: Resolved, phases: Sequence[PhaseRoles], config: Mapping[str, Any] | Unknown
) -> Iterator[tuple[str, str]]:
    has_adapter = served_adapter(resolved) is not None
    for served in (roles.sampler for roles in phases):
        if served is None or served.built is None or not isinstance(served.planned, ForetoldSampler):
            continue
        yield f"sampler {served.built.use}", _expected(served, config, has_adapter=has_adapter)


def _expected(served: Served[Any], config: Mapping[str, Any] | Unknown, *, has_adapter: bool) -> str:
    if isinstance(config, Unknown):
        return f"found when it opens: {config.why}"
    sampler, built = served.planned, served.built
    assert built is not None, "only a spec without errors is planned"
    try:
        with blame_plugin(built.use, built.distribution, sampler):
            return str(sampler.expects(config, has_adapter=has_adapter))
    except PluginFault as fault:
        raise EnvironmentUnmet(f"{fault.code}: {fault.message}", hint=fault.help) from fault

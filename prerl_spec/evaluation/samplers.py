"""The sampler that `prerl-spec eval` draws with: any that is installed, with the decoding of the target."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from prerl_spec.compiler.estimates.prerequisites import check_again, check_prerequisites
from prerl_spec.compiler.graph import Named
from prerl_spec.compiler.hardware import detect_hardware
from prerl_spec.errors import EnvironmentUnmet, UsageError
from prerl_spec.evaluation.installed import component

DEFAULT = "transformers"
"""The sampler that needs nothing but the model; it is not named in scores."""


def chosen_sampler(
    use: str,
    sampling: Mapping[str, Any],
    *,
    urls: Sequence[str] = (),
    key: str | None = None,
    engine: Mapping[str, Any] | None = None,
) -> Named[Any]:
    """The sampler of this name with a target's decoding, servers' addresses and arguments of its engine; `key` is the name of
    the environment variable with the servers' API key.

    Raises EnvironmentUnmet for one that is not installed, UsageError for a setting that it does not have or refuses.
    """
    own = {"urls": list(urls), "key": key and f"${{secret:{key}}}", "engine": dict(engine or {})}
    settings = {**sampling, **{name: value for name, value in own.items() if value}}
    try:
        return Named(use, component("sampler", use, settings))
    except ValidationError as error:
        first = error.errors()[0]
        setting = str(first["loc"][0]) if first["loc"] else ""
        option = {"urls": "--url", "key": "--key-from", "engine": "--engine"}.get(setting, f"its setting `{setting}`")
        if first["type"] == "extra_forbidden":
            raise UsageError(f"--sampler {use} takes no {option}", hint="prerl-spec components show " + use) from error
        raise UsageError(f"--sampler {use}, {option}: {first['msg']}", hint="prerl-spec eval --help") from error


def require_sampler(sampler: Named[Any]) -> None:
    """Raises EnvironmentUnmet if a package that it needs is missing or a server does not answer: before a model is loaded."""
    hardware = detect_hardware()
    needed = check_prerequisites((("--sampler", one) for one in sampler.component.prerequisites()), hardware)
    for one in check_again(needed, hardware):
        if one.met is False:
            raise EnvironmentUnmet(f"--sampler {sampler.use} needs {one.name}: {one.found}", hint=one.hint)

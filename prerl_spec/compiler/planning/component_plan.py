"""Converts a built component into its plan record: all settings, uninterpreted settings, named files.

A secret is stored as its reference, `${secret:NAME}`; a literal value is masked.
"""

import json
from pathlib import Path

from prerl_spec.compiler.content_hash import fingerprint, paths_in
from prerl_spec.compiler.plan import ComponentPlan
from prerl_spec.compiler.resolve.resolved import Built
from prerl_spec.registry.settings import Setting, settings_of

MASK = "(secret)"


def is_plain(setting: Setting, built: Built) -> bool:
    """Whether a component's setting holds a value, not a component: in a slot, the word or number in place of one."""
    return setting.slot is None or (setting.takes_value and setting.key not in built.slots)


def written_out(built: Built) -> ComponentPlan:
    """The component with its defaults, as stored in plan.json."""
    settings = settings_of(type(built.component))
    values = {key: value for key, value in built.component.settings().items() if is_plain(settings[key], built)}
    for key, setting in settings.items():
        if setting.is_secret and not str(values.get(key) or "${secret:").startswith("${secret:"):
            values[key] = MASK
    return ComponentPlan(
        kind=built.kind,
        use=built.use,
        distribution=built.distribution,
        distribution_version=built.distribution_version,
        version=built.version,
        settings=values,
        slots={
            slot: tuple(written_out(b) for b in inner) if isinstance(inner, tuple) else written_out(inner)
            for slot, inner in built.slots.items()
        },
        expansion=_expansion(built),
        ratio_settings=tuple(getattr(built.component, "ratio_settings", ())),
        unlike={setting: words for setting, words in built.component.unlike.items() if setting not in built.written},
        handed_on=tuple(key for key, setting in settings.items() if setting.handed_on),
        files={
            key: tuple(fingerprint(Path(p)) for p in paths_in(values[key]))
            for key, setting in settings.items()
            if setting.is_path and values.get(key)
        },
    )


def _expansion(built: Built) -> dict[str, str]:
    """What the settings stand for; a part that the spec, or a slot's default, names is called by that name, which the
    component itself cannot know."""
    parts = {
        slot: " and ".join(map(_in_words, inner if isinstance(inner, tuple) else (inner,)))
        for slot, inner in built.slots.items()
    }
    return {name: parts.get(name) or words for name, words in built.component.expansion().items()}


def _in_words(built: Built) -> str:
    settings = ", ".join(f"{key} = {json.dumps(value)}" for key, value in built.component.settings().items())
    return f"{built.use} ({settings})" if settings else built.use

"""Keeps libraries from importing whatever an installed distribution registers with them: only what a spec names is imported.

torch, pydantic and vLLM take an environment variable, which is set where the user has not set it, and which child processes
inherit: whoever needs a backend of torch, or a plugin of vLLM, sets that variable. What has no such variable is left out of
the entry points that this process sees (see unasked_entry_points.py). `.pth` files run before the first line of any program.
"""

import os
from collections.abc import MutableMapping

OFF = {
    "TORCH_DEVICE_BACKEND_AUTOLOAD": "0",
    "PYDANTIC_DISABLE_PLUGINS": "__all__",
    "VLLM_PLUGINS": "",
}
"""Variable -> the value under which its library imports no plugin."""


def autoload_nothing(environment: MutableMapping[str, str] = os.environ) -> None:
    """Sets each variable of `OFF` that is not set."""
    for name, value in OFF.items():
        environment.setdefault(name, value)

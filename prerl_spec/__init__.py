"""prerl-spec: a declarative spec compiler for reinforcement learning of LLM reasoning."""

from prerl_spec.autoload import autoload_nothing

__version__ = "0.1.0"

# Before torch, pydantic or vLLM can be imported, in every process that imports this package.
autoload_nothing()

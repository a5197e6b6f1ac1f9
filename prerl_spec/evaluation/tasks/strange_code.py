"""Keeps lm-eval from running code that neither the spec names nor `--local-code` allows: templates, and metrics of the hub."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jinja2.exceptions import SecurityError
from jinja2.sandbox import SandboxedEnvironment

from prerl_spec.errors import EnvironmentUnmet


@contextmanager
def without_strange_code() -> Iterator[None]:
    """Inside, templates of tasks render in a sandbox, the same text otherwise, and a metric that lm-eval does not define
    is refused: lm-eval would download a script of the hub without a commit, and run it.

    Raises EnvironmentUnmet for a template that reaches for Python's internals, and for such a metric.
    """
    from lm_eval import utils
    from lm_eval.api import registry, task

    plain, get_metric = utils.env, task.get_metric

    def own_metric(name: str, hf_evaluate_metric: bool = False) -> Any:
        if hf_evaluate_metric or name not in registry.metric_registry:
            raise _metric_refused(name)
        return get_metric(name)

    utils.env, task.get_metric = _sandboxed(plain), own_metric
    try:
        yield
    except SecurityError as error:
        raise EnvironmentUnmet(
            f"a template of the task reaches for Python's internals: {error}",
            hint="templates read the row's columns; move code into a Python file, and name it with `!function`",
        ) from error
    finally:
        utils.env, task.get_metric = plain, get_metric


def _metric_refused(name: str) -> EnvironmentUnmet:
    return EnvironmentUnmet(
        f"the metric `{name}` is none of lm-eval's: it is a script of the hub's `evaluate` library, without a commit",
        hint="use a metric of lm-eval, or your own function: `metric: !function FILE.FUNCTION`",
    )


def _sandboxed(plain: Any) -> SandboxedEnvironment:
    """A sandbox with the options, filters, tests and globals of lm-eval's own environment."""
    sandbox = SandboxedEnvironment(
        loader=plain.loader,
        undefined=plain.undefined,
        keep_trailing_newline=plain.keep_trailing_newline,
        trim_blocks=plain.trim_blocks,
        lstrip_blocks=plain.lstrip_blocks,
        autoescape=plain.autoescape,
    )
    sandbox.filters.update(plain.filters)
    sandbox.tests.update(plain.tests)
    sandbox.globals.update(plain.globals)
    return sandbox

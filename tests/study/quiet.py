"""A listener of the queue that prints nothing."""

from collections.abc import Sequence

from prerl_spec.study.tasks import Task


class Quiet:
    def begun(self, task: Task) -> None: ...

    def taken(self, task: Task) -> None: ...

    def ended(self, task: Task, seconds: float) -> None: ...

    def failed(self, task: Task, cause: str) -> None: ...

    def looked(self, running: Sequence[Task]) -> None: ...

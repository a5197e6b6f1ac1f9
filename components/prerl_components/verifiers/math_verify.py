"""Mathematical equality of the boxed answer with the gold answer, by Math-Verify with limits on the input."""

from typing import ClassVar, Literal

from pydantic import Field

from prerl_spec.sdk import Component, Verdict


class MathVerify(Component):
    """Right if the content of the last `\\boxed{}` equals the gold answer; unparsable without a box, or with one that
    does not parse.

    "lenient" uses Math-Verify unmodified, but for a gold answer that stands word for word at the end: answers outside a
    box, units ignored, the last side of an equation.
    """

    kind: ClassVar[Literal["verifier"]] = "verifier"
    right_example: ClassVar[tuple[str, str]] = ("\\boxed{\\frac{1}{2}}", "0.5")
    wrong_example: ClassVar[tuple[str, str]] = ("\\boxed{\\frac{1}{2}}", "2")

    extract: Literal["last_boxed", "lenient"] = Field(
        default="last_boxed", description="Where the answer is extracted."
    )
    deadline_seconds: float = Field(default=10.0, gt=0, description="Timeout of one verdict, in seconds.")
    percent: Literal["number", "strict"] = Field(
        default="number",
        description="Whether 25, 25 % and 0.25 all answer 25 %, and 25 % answers 25 and 0.25, or the sign must be alike.",
    )
    on_timeout: Literal["mask", "unparsable"] = Field(
        default="mask",
        description="What a timeout that the answer caused trains: nothing, or what an unparsable answer trains.",
    )
    workers: int = Field(default=1, ge=1, description="Number of worker processes.")
    memory_mb: int = Field(default=2048, ge=1, description="Address-space limit of a worker, in MiB.")

    @property
    def num_workers(self) -> int:
        return self.workers

    @property
    def seconds_allowed(self) -> float:
        return self.deadline_seconds

    @property
    def memory_bytes(self) -> int:
        return self.memory_mb * 2**20

    def provides(self) -> frozenset[str]:
        return frozenset({"reward[binary]"})

    def warm_up(self) -> None:
        """Imports sympy and builds the LaTeX parser: one or two seconds that must not count against the first deadline."""
        from prerl_components.verifiers import equality

        equality.judge(r"\boxed{\frac{1}{2}}", "0.5", lenient=self.extract == "lenient")

    def judge(self, response: str, gold: str) -> Verdict:
        from prerl_components.verifiers import equality

        return equality.judge(response, gold, lenient=self.extract == "lenient", percent=self.percent)

    def response_with(self, answer: str) -> str:
        return f"\\boxed{{{answer}}}"

    def check_gold(self, gold: str) -> str | None:
        """The reason why a gold answer cannot be verified against (over a limit, or not parsable), None if it can."""
        from prerl_components.verifiers import equality

        return equality.check_gold(gold)

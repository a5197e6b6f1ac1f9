"""Policy reincarnation: a short warm-up, after which another objective continues from the same weights."""

from collections.abc import Iterable, Mapping

from pydantic import Field

from prerl_spec.sdk import Code, Conflict, Handover, Place, StepRecord, Wiring


class ReincarnateAfter(Handover):
    """Ends the phase after exactly `steps` steps, or with the step that reaches `tokens` generated tokens.

    DSRL (arXiv:2604.14142) switches after 10–25 updates, 20 by default; the authors' code tests `step < 20` from 1 and
    so runs 19.
    """

    steps: int = Field(20, ge=1, description="exact number of steps of the warm-up")
    tokens: int | None = Field(
        None, ge=1, description="token budget instead of steps: generated tokens, including those of dropped groups"
    )

    @property
    def max_steps(self) -> int | None:
        return self.steps if self.tokens is None else None

    def setting_behind(self, fact: str) -> str:
        return "tokens" if fact == "max_steps" else "use"

    def check(self, wiring: Wiring) -> Iterable[Conflict]:
        yield from super().check(wiring)
        if self.tokens is not None and "steps" in wiring.written:
            yield Conflict(
                Code.CONTRADICTION,
                "`steps` and `tokens` are both set: only one of them can end the phase",
                (Place("self", "steps"), Place("self", "tokens")),
                help="set one of them",
            )

        if self.tokens is not None and wiring.objective is not None and not wiring.objective.uses_rollouts:
            yield Conflict(
                Code.CONTRADICTION,
                "a phase without rollouts generates no tokens, so a budget of `tokens` would never end it",
                (Place("objective", "use"), Place("self", "tokens")),
                help="set `steps` instead",
            )

    def initial(self) -> Mapping[str, float]:
        return {"steps": 0, "tokens": 0}

    def after(self, record: StepRecord, state: Mapping[str, float]) -> tuple[Mapping[str, float], bool]:
        steps = state["steps"] + 1
        tokens = state["tokens"] + record.generated_tokens
        over = steps >= self.steps if self.tokens is None else tokens >= self.tokens
        return {"steps": steps, "tokens": tokens}, over

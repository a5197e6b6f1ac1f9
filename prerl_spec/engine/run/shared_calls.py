"""An evaluator's access to the live policy: sampling, log-probabilities and verdicts, distributed over the ranks.

Nothing here changes the policy: it is in evaluation mode throughout a run, no gradient is computed, and every sample
has its own random stream. What a rank has finished is kept on disk in rounds until the evaluation is over.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from prerl_spec.compiler.compare.code_hash import code_hash
from prerl_spec.compiler.graph import Named
from prerl_spec.engine.author_faults import blames
from prerl_spec.engine.policy.continuation_logps import Pair, continuation_logps, plan_batches
from prerl_spec.engine.policy.policy import Policy
from prerl_spec.engine.processes.ranks import Ranks
from prerl_spec.engine.run.kept_rounds import KeptRounds, Round, rounds_of, samples_per_round
from prerl_spec.engine.verification.verdict_batch import Item
from prerl_spec.engine.verification.verifier_pool import GoldCheck, Judge
from prerl_spec.errors import Interrupted
from prerl_spec.registry.kinds.judging import Verifier
from prerl_spec.registry.kinds.sampler import OpenSampler, Sampler
from prerl_spec.types import Decoding, Generation, Request, Verdict

T = TypeVar("T")


def sampling_conditions(sampler: Named[Sampler], ranks: Ranks) -> dict[str, Any]:
    """What a sample depends on besides the weights, its request and the decoding."""
    return {"sampler": sampler.use, "settings": sampler.component.settings(), "invariant": ranks.invariant}


class Share(NamedTuple):
    """How much of the work is this rank's: `Share(6, 12)`. Progress is told of the whole, as an evaluator counts it."""

    mine: int
    whole: int

    def of_all(self, done: int) -> tuple[int, int]:
        """What is done, and of how much, where the other ranks are as far as this one."""
        return done * self.whole // max(1, self.mine), self.whole


class SharedCalls:
    """Collective calls: each rank passes all items, computes its share, and receives all results.

    `judge` and `check_golds` use worker processes of this rank; `tick(stage, done, total)` reports progress as
    "evaluate:TASK". What a rank computes by itself happens inside `alone()`, after which all ranks stop together if a tick
    has stopped one of them. With `conditions`, which say how the sampler samples, finished rounds are kept on disk until the
    evaluation is over. `declared` is the open sampler's declaration, in whose name its failures are told.
    """

    def __init__(
        self,
        policy: Policy,
        sampler: OpenSampler,
        ranks: Ranks,
        judge: Judge,
        tick: Callable[[str, int, int], None],
        *,
        check_golds: GoldCheck,
        alone: Callable[[], AbstractContextManager[None]] = nullcontext,
        conditions: Mapping[str, Any] | None = None,
        declared: Named[Sampler] | None = None,
    ) -> None:
        self.policy = policy
        self._sampler = sampler
        self._ranks = ranks
        self._judge = judge
        self._check_golds = check_golds
        self._tick = tick
        self._alone = alone
        self._conditions = conditions
        self._declared = declared
        self._num_parameters = sum(parameter.numel() for parameter in policy.module.parameters())
        self._kept: KeptRounds | None = None
        self._stage = "evaluate"

    def keep_rounds(self, folder: Path, weights: str) -> None:
        """Keeps the rounds of these weights in the folder, unless the calls have no `conditions`."""
        if self._conditions is not None:
            what = {**self._conditions, "weights": weights, "max_length": self.policy.max_length}
            self._kept = KeptRounds(folder, what)

    def forget_rounds(self) -> None:
        """Removes what is kept of this evaluation, which is over; its scores are kept elsewhere."""
        if self._kept is not None:
            self._kept.forget()

    def progress(self, what: str, done: int, total: int) -> None:
        self._stage = f"evaluate:{what}"
        self._tick(self._stage, done, total)

    def generate(self, requests: Sequence[Request], decoding: Decoding) -> list[list[Generation]]:
        mine = [requests[i] for i in self._ranks.mine(len(requests))]
        own_engine = self._declared is not None and self._declared.component.own_weights
        most = self._samples_per_round(decoding.max_new_tokens, own_engine=own_engine)
        rounds = rounds_of(mine, _num_samples, most)
        total = Share(sum(map(_num_samples, mine)), sum(map(_num_samples, requests)))
        drawn: list[list[Generation]] = []
        if self.policy.is_sharded:
            drawn = self._generate_in_step(rounds, decoding, total)
        else:
            with self._alone(), self._told(drawn, len(mine), most):
                for part in rounds:
                    file = None if self._kept is None else self._kept.generations(part, decoding)
                    counted = self._counted(drawn, total)
                    sampled = _once(file, partial(self._sampled, part, decoding, counted))
                    drawn.extend(sampled)
        return self._ranks.gather_dealt(drawn, len(requests))

    @contextmanager
    def _told(self, drawn: Sequence[object], num_questions: int, most: int) -> Iterator[None]:
        """An interrupt says what of the questions is kept: those of the rounds before the one that it came in."""
        try:
            yield
        except Interrupted as stop:
            if self._kept is None:
                raise
            kept = f"the responses to {len(drawn):,} of {num_questions:,} questions are kept"
            nothing = f"nothing was kept yet: a round has up to {most:,} responses, and whole questions"
            raise Interrupted(f"{stop.message}: {kept if drawn else nothing}", hint=stop.hint) from stop

    def _generate_in_step(
        self, rounds: Sequence[Sequence[Request]], decoding: Decoding, total: Share
    ) -> list[list[Generation]]:
        """With sharded weights sampling begins with a collective call: every rank takes part in a round that any rank
        has not kept, if only without requests."""
        drawn: list[list[Generation]] = []
        for number in range(max(self._ranks.gather([len(rounds)]))):
            part = rounds[number] if number < len(rounds) else []
            file = None if self._kept is None or not part else self._kept.generations(part, decoding)
            found = [] if not part else None if file is None else file.find()
            if self._ranks.any(found is None):
                with self._alone():
                    asked = part if found is None else []
                    sampled = self._sampled(asked, decoding, self._counted(drawn, total))
                    if found is None and file is not None:
                        file.keep(sampled)
                found = sampled if found is None else found
            drawn.extend(found or [])
        return drawn

    def _sampled(
        self, requests: Sequence[Request], decoding: Decoding, progress: Callable[[int, int], None]
    ) -> list[list[Generation]]:
        if self._declared is None:
            return self._sampler.generate(requests, decoding, progress)
        with blames(self._declared.component, "generate", name=self._declared.use):
            return self._sampler.generate(requests, decoding, progress)

    def continuation_logps(self, pairs: Sequence[Pair]) -> list[tuple[float, bool]]:
        """With determinism "invariant" whole batches are distributed, not pairs: the pairs that share a forward are then
        the same on any number of ranks."""
        one_by_one = self.policy.is_one_by_one
        if self._ranks.invariant:
            planned = plan_batches(pairs, one_by_one=one_by_one)
            mine = [planned[i] for i in self._ranks.mine(len(planned))]
        else:
            places = self._ranks.mine(len(pairs))
            planned = plan_batches([pairs[i] for i in places], one_by_one=one_by_one)
            mine = [[places[i] for i in batch] for batch in planned]
        most = self._samples_per_round(max((len(context) + len(end) for context, end in pairs), default=1))
        total, found = Share(sum(map(len, mine)), len(pairs)), dict[int, tuple[float, bool]]()
        with self._alone(), self.policy.whole_weights():
            for part in rounds_of(mine, len, most):
                batches = [[pairs[i] for i in batch] for batch in part]
                file = None if self._kept is None else self._kept.logps(batches)
                scored = _once(file, partial(self._score_batches, batches, len(found), total))
                for batch, one in zip(part, scored, strict=True):
                    found.update(zip(batch, one, strict=True))
        by_pair = dict(self._ranks.gather(list(found.items())))
        return [by_pair[i] for i in range(len(pairs))]

    def _score_batches(
        self, batches: Sequence[Sequence[Pair]], done: int, total: Share
    ) -> list[list[tuple[float, bool]]]:
        scored: list[list[tuple[float, bool]]] = []
        for batch in batches:
            self._tick(self._stage, *total.of_all(done + sum(map(len, scored))))
            scored.append(continuation_logps(self.policy, batch))
        return scored

    def verify(self, verifier: Verifier, evidence: Sequence[Item]) -> list[Verdict]:
        mine = [evidence[i] for i in self._ranks.mine(len(evidence))]
        verdicts: list[Verdict] = []
        with self._alone():
            for part in rounds_of(mine, lambda item: 1):
                file = None if self._kept is None else self._kept.verdicts(_identity(verifier), part)
                # After a fault the verifier is fixed and the command run again: the fault must not be read back then.
                judged = _once(file, partial(self._judge, verifier, part), unless=_has_fault)
                verdicts.extend(judged)
        return self._ranks.gather_dealt(verdicts, len(evidence))

    def main_does(self, work: Callable[[], object], what: str) -> None:
        self._ranks.main_does(work, what)

    def check_golds(self, verifier: Verifier, golds: Sequence[str]) -> list[str | None]:
        mine = [golds[i] for i in self._ranks.mine(len(golds))]
        with self._alone():
            refusals = self._check_golds(verifier, mine, partial(self._tick, "check:golds"))
        return self._ranks.gather_dealt(refusals, len(golds))

    def _samples_per_round(self, longest: int, *, own_engine: bool = False) -> int:
        on_cpu = self.policy.device.type == "cpu"
        return samples_per_round(longest, parameters=self._num_parameters, on_cpu=on_cpu, own_engine=own_engine)

    def _counted(self, before: Sequence[Sequence[Generation]], total: Share) -> Callable[[int, int], None]:
        num_before = sum(map(len, before))
        return lambda done, _: self._tick(self._stage, *total.of_all(num_before + done))


def _once(file: Round[T] | None, compute: Callable[[], T], unless: Callable[[T], bool] = lambda result: False) -> T:
    """The result of a round: the one that was kept, or computed now and kept, unless `unless(result)`."""
    found = None if file is None else file.find()
    if found is None:
        found = compute()
        if file is not None and not unless(found):
            file.keep(found)
    return found


def _num_samples(request: Request) -> int:
    return len(request.seeds)


def _identity(verifier: Verifier) -> dict[str, Any]:
    kind: Any = type(verifier)
    return {"use": f"{kind.__module__}:{kind.__qualname__}", "settings": verifier.settings(), "code": code_hash(kind)}


def _has_fault(verdicts: list[Verdict]) -> bool:
    return any(verdict.is_fault for verdict in verdicts)

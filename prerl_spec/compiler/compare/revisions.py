"""Which commit a name on the hub stands for: asked of the hub where that is allowed, else read from its local cache."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from prerl_spec.compiler.estimates.local_files import cached_commit
from prerl_spec.compiler.plan import Plan, PrerequisitePlan
from prerl_spec.compiler.planning.digest import fingerprint

UNKNOWN = "unknown: "
SECONDS_ALLOWED = 10.0


def hub_prerequisites(plan: Plan) -> tuple[PrerequisitePlan, ...]:
    """What the plan takes from the hub."""
    return tuple(need for need in plan.prerequisites if need.what in ("model", "dataset"))


def local_models(plan: Plan) -> dict[str, str]:
    """Folder as the spec names it -> SHA-256 of what lies there, of the model's and its tokenizer's."""
    names = (plan.model.settings.get(key) for key in ("name", "tokenizer"))
    return {n: fingerprint(Path(n)) for n in names if isinstance(n, str) and n and Path(n).is_dir()}


def commits(needs: Iterable[PrerequisitePlan], *, ask: bool) -> dict[str, str]:
    """`kind name@revision` -> commit, or "unknown: why". Without `ask`, and where the hub cannot be reached, only the
    local cache is read."""
    reachable, why = ask, "the hub was not asked"
    found: dict[str, str] = {}
    for need in needs:
        commit = None
        if reachable:
            commit, why, reachable = asked(need)
        commit = commit or cached_commit(need.name, need.revision, kind=need.what)
        found[title(need)] = commit or f"{UNKNOWN}{why}, and it is not in the local hub cache"
    return found


def title(need: PrerequisitePlan) -> str:
    """A need in words: "model Qwen/Qwen3-0.6B@main"."""
    return f"{need.what} {need.name}@{need.revision or 'main'}"


class Answer(NamedTuple):
    """What the hub says of a name: its commit, or why there is none, and whether the hub can be reached at all."""

    commit: str | None
    why: str
    reachable: bool


def asked(need: PrerequisitePlan) -> Answer:
    """Asks the hub; waits at most SECONDS_ALLOWED for it."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        info = HfApi().repo_info(need.name, repo_type=need.what, revision=need.revision, timeout=SECONDS_ALLOWED)
    except HFValidationError:
        return Answer(None, "it is no name on the hub", True)
    except OfflineModeIsEnabled:
        return Answer(None, "HF_HUB_OFFLINE is set", False)
    except HfHubHTTPError as error:
        return Answer(None, f"the hub answers {error.response.status_code}", True)
    except (transport_error(), OSError):
        return Answer(None, "the hub cannot be reached", False)
    return Answer(info.sha, "the hub names no commit", True)


def transport_error() -> type[Exception]:
    """What the hub's client lets through where nothing answers: an error of its HTTP library, which has changed. Its own
    error descends from that of the one in use."""
    from huggingface_hub.errors import HfHubHTTPError

    found: type[Exception] = HfHubHTTPError.__mro__[1]
    return found

"""Resolves hub revisions to commits: by a request to the hub where that is allowed, else from the local cache."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from prerl_spec.compiler.content_hash import fingerprint
from prerl_spec.compiler.estimates.local_files import cached_commit
from prerl_spec.compiler.plan import Plan, PrerequisitePlan

UNKNOWN = "unknown: "
SECONDS_ALLOWED = 10.0


def hub_prerequisites(plan: Plan) -> tuple[PrerequisitePlan, ...]:
    """The models and data sets that the plan loads from the hub."""
    return tuple(prerequisite for prerequisite in plan.prerequisites if prerequisite.what in ("model", "dataset"))


def local_models(plan: Plan) -> dict[str, str]:
    """Local folders of every model, teachers included, and its tokenizer, as written in the spec -> SHA-256 of their
    content."""
    models = [plan.model, *(part for part in plan.components() if part.kind == "model")]
    names = dict.fromkeys(model.settings.get(key) for model in models for key in ("name", "tokenizer"))
    return {n: fingerprint(Path(n)) for n in names if isinstance(n, str) and n and os.path.isdir(n)}


def commits(prerequisites: Iterable[PrerequisitePlan], *, ask: bool) -> dict[str, str]:
    """`kind name@revision` -> commit, or "unknown: why". Without `ask`, or if the hub cannot be reached, only the local
    cache is read."""
    reachable, why = ask, "the hub was not queried"
    found: dict[str, str] = {}
    for prerequisite in prerequisites:
        commit = None
        if reachable:
            commit, why, reachable = asked(prerequisite)
        commit = commit or cached_commit(prerequisite.name, prerequisite.revision, kind=prerequisite.what)
        found[title(prerequisite)] = commit or f"{UNKNOWN}{why}, and it is not in the local hub cache"
    return found


def title(prerequisite: PrerequisitePlan) -> str:
    """Name of a prerequisite in messages: "model Qwen/Qwen3-0.6B@main"."""
    return f"{prerequisite.what} {prerequisite.name}@{prerequisite.revision or 'main'}"


class HubReply(NamedTuple):
    """The result of a hub query: the commit, or the reason why there is none, and whether the hub is reachable."""

    commit: str | None
    why: str
    reachable: bool


def asked(prerequisite: PrerequisitePlan) -> HubReply:
    """Queries the hub for a commit, with a timeout of SECONDS_ALLOWED."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        info = HfApi().repo_info(
            prerequisite.name, repo_type=prerequisite.what, revision=prerequisite.revision, timeout=SECONDS_ALLOWED
        )
    except HFValidationError:
        return HubReply(None, "it is not a valid hub name", True)
    except OfflineModeIsEnabled:
        return HubReply(None, "HF_HUB_OFFLINE is set", False)
    except HfHubHTTPError as error:
        return HubReply(None, f"the hub returns status {error.response.status_code}", True)
    except (transport_error(), OSError):
        return HubReply(None, "the hub cannot be reached", False)
    return HubReply(info.sha, "the hub returns no commit", True)


def transport_error() -> type[Exception]:
    """The base error of the hub client's HTTP library, raised if there is no response.

    The library differs between versions of the client; the client's own error derives from that of the one in use.
    """
    from huggingface_hub.errors import HfHubHTTPError

    found: type[Exception] = HfHubHTTPError.__mro__[1]
    return found

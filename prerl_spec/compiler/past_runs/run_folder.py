"""Chooses the folder of a run, and locks it against a second process. Nothing is ever overwritten.

A run is finished when its last event is `end`, and live while a process holds its `run.lock`.
"""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prerl_spec.errors import Damaged, EnvironmentUnmet, UsageError
from prerl_spec.situations import not_written, writing
from prerl_spec.storage.chained_lines import last_line
from prerl_spec.storage.disk import make_folder, make_new_folder
from prerl_spec.storage.sealed import read_object

try:
    import fcntl
except ModuleNotFoundError:
    # Windows, where specs are only validated and planned, which needs no lock.
    fcntl = None  # type: ignore[assignment]

LOCK = "run.lock"
BEGUN = ("manifest.json", "events.jsonl", "checkpoints", "journal")
PROFILE = ".profile"
"""Suffix of the name of a calibration folder; run folders never have it."""
_CALIBRATION = re.compile(rf"{re.escape(PROFILE)}(-[0-9]+)?$")
_ANOTHER_FOLDER = "set run.output_dir, or --run-dir, to a folder that can be written"
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


def choose_run_folder(
    output_dir: Path, name: str, digest: str, *, run_dir: Path | None = None, new: bool = False
) -> tuple[Path, bool]:
    """The folder of this run, created, and whether it resumes an unfinished run of the same digest.

    Without `run_dir`: of `output_dir/name`, `name-2`, `name-3` … the highest-numbered unfinished run of this digest,
    else (or with `new`) the lowest free name. Raises UsageError for a live run, and for a non-empty `run_dir` that is
    not an unfinished run of this digest.
    """
    if run_dir is not None:
        return _given_folder(run_dir, digest, new)
    if not new and (found := unfinished_run(output_dir, name, digest)) is not None:
        _refuse_live(found)
        return found, True
    return _lowest_free(output_dir, name), False


def foreseen_run_folder(output_dir: Path, name: str, digest: str) -> tuple[Path, bool]:
    """What `choose_run_folder` would choose without `run_dir` and `new`; creates nothing.

    Raises UsageError for a live run and where a file is in the way, EnvironmentUnmet for a folder that cannot be written.
    """
    if (found := unfinished_run(output_dir, name, digest)) is not None:
        _refuse_live(found)
        return found, True
    if output_dir.exists() and not output_dir.is_dir():
        raise _is_a_file(output_dir)
    place = next(folder for folder in (output_dir, *output_dir.absolute().parents) if folder.exists())
    if not place.is_dir():
        raise not_written(output_dir, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)), _ANOTHER_FOLDER)
    if not os.access(place, os.W_OK | os.X_OK):
        raise not_written(output_dir, PermissionError(errno.EACCES, os.strerror(errno.EACCES)), _ANOTHER_FOLDER)
    taken = numbered(output_dir, name)
    number = next(n for n in range(1, len(taken) + 2) if n not in taken)
    return output_dir / (name if number == 1 else f"{name}-{number}"), False


def _refuse_live(folder: Path) -> None:
    if is_live(folder):
        raise UsageError(f"the run in {folder} is live", hint="wait for it, or start another with --new")


def _is_a_file(output_dir: Path) -> UsageError:
    return UsageError(f"run.output_dir {output_dir} is a file", hint="name a folder")


def new_profile_folder(output_dir: Path, name: str) -> Path:
    """A new folder for a calibration, created: the lowest free of `name.profile`, `name.profile-2` …"""
    return _lowest_free(output_dir, f"{name}{PROFILE}")


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Within the block no other process is in such a block for the same folder: between the choice of a run folder and its
    plan, a second start of the same spec would take another folder. Without effect on a file system without locks."""
    if fcntl is None:
        yield
        return
    with writing(folder, _ANOTHER_FOLDER):
        make_folder(folder)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def hold_run_folder(folder: Path) -> Iterator[None]:
    """Holds the lock of the run folder; the kernel releases it when the process ends, for whatever reason.

    Raises UsageError if another process holds the lock, EnvironmentUnmet on a system or a file system without flock.
    """
    require_locks()
    with writing(folder / LOCK, "make the run folder writable, or copy it to a place where it is"):
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not takes_lock(descriptor, folder):
            raise UsageError(
                f"the run in {folder} is live: another process holds {LOCK}",
                hint="wait for it, or start another with --new",
            )
        yield
    finally:
        os.close(descriptor)


def has_locks() -> bool:
    """Whether the system has flock; runs need it."""
    return fcntl is not None


def require_locks() -> None:
    """Raises EnvironmentUnmet on a system without flock."""
    if not has_locks():
        raise EnvironmentUnmet(
            "a run locks its folder with flock, which this system lacks",
            hint="run on Linux or macOS; `validate` and `plan` work on this system",
        )


def is_live(folder: Path) -> bool:
    """Whether a process holds the lock of the run folder."""
    if fcntl is None:
        return False
    try:
        # Locking needs no right to write: a run on a read-only file system can still be reported.
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return not takes_lock(descriptor, folder)
    finally:
        os.close(descriptor)


def takes_lock(descriptor: int, folder: Path, *, shared: bool = False) -> bool:
    """Whether the lock could be taken, `shared` with others that share it. Raises EnvironmentUnmet on a file system without
    flock."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        raise EnvironmentUnmet(
            f"the file system of {folder} has no locks ({error.strerror}): two runs in one folder could not be told apart",
            hint="put the run on another file system (run.output_dir or --run-dir); NFS needs its lock service, Lustre "
            "`-o flock`",
        ) from error
    return True


def is_finished(folder: Path) -> bool:
    """Whether the last complete event of the run is `end`. Raises Damaged if that event was changed."""
    last = last_line(folder / "events.jsonl")
    return last is not None and last.get("event") == "end"


def has_begun(folder: Path) -> bool:
    """Whether a run has written to the folder what follows its plan: such a folder is a run whatever its plan.json is. A
    calibration has no plan."""
    return not _CALIBRATION.search(folder.name) and any((folder / name).exists() for name in BEGUN)


def has_own_checkpoint(folder: Path) -> bool:
    """Whether a run has committed a checkpoint, be it damaged since."""
    return any((folder / "checkpoints").glob("step-*"))


def require_run_folder(folder: Path) -> None:
    """Raises UsageError if the folder is not a run folder, Damaged for a run that has begun and lacks its plan."""
    if (folder / "plan.json").is_file():
        return
    if has_begun(folder):
        raise _without_plan(folder)
    raise UsageError(f"{folder} is not a run folder: it has no plan.json", hint="name the folder of a run")


def _without_plan(folder: Path) -> Damaged:
    return Damaged(f"{folder / 'plan.json'} is missing, and the run has begun", file=folder / "plan.json")


def digest_of(folder: Path) -> str | None:
    """The plan digest of the run in the folder, None if it is not a run folder. Raises Damaged for a run that has begun
    and whose plan is missing or was changed."""
    try:
        digest = read_object(folder / "plan.json").get("digest")
    except (FileNotFoundError, NotADirectoryError) as error:
        if has_begun(folder):
            raise _without_plan(folder) from error
        return None
    except Damaged as error:
        if error.has_check or has_begun(folder):
            raise
        return None
    return digest if isinstance(digest, str) else None


def _given_folder(folder: Path, digest: str, new: bool) -> tuple[Path, bool]:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--run-dir {folder} is a file", hint="name a folder that is absent or empty")
    contents = {p.name for p in folder.iterdir()} - {LOCK} if folder.exists() else set()
    if folder.exists() and is_live(folder):
        raise UsageError(f"the run in {folder} is live", hint="wait for it, or name another folder")
    if not contents:
        with writing(folder, _ANOTHER_FOLDER):
            make_folder(folder)
        return folder, False
    if new:
        raise UsageError(f"--new: {folder} is not empty", hint="name a folder that is absent or empty")
    if digest_of(folder) == digest and not is_finished(folder):
        return folder, True
    raise UsageError(_why_taken(folder, digest), hint="name a folder that is absent or empty")


def _why_taken(folder: Path, digest: str) -> str:
    found = digest_of(folder)
    if found is None:
        return f"{folder} is not empty and not a run folder"
    if found != digest:
        return f"{folder} holds a run of another plan ({found[:12]}, this one is {digest[:12]})"
    return f"the run in {folder} is finished"


def numbered(output_dir: Path, name: str) -> dict[int, Path]:
    """The existing paths `name`, `name-2`, `name-3` …, by number."""
    pattern = re.compile(rf"{re.escape(name)}(?:-([2-9]|[1-9][0-9]+))?")
    entries = output_dir.iterdir() if output_dir.is_dir() else ()
    matches = ((pattern.fullmatch(entry.name), entry) for entry in entries)
    return {int(match[1] or 1): entry for match, entry in matches if match is not None}


def unfinished_run(output_dir: Path, name: str, digest: str) -> Path | None:
    """The highest-numbered unfinished run of this digest, which `run` resumes; None if there is none."""
    for _, folder in sorted(numbered(output_dir, name).items(), reverse=True):
        if digest_of(folder) == digest and not is_finished(folder):
            return folder
    return None


def _lowest_free(output_dir: Path, name: str) -> Path:
    if output_dir.exists() and not output_dir.is_dir():
        raise _is_a_file(output_dir)
    with writing(output_dir, _ANOTHER_FOLDER):
        make_folder(output_dir)
    number = 1
    while True:
        folder = output_dir / (name if number == 1 else f"{name}-{number}")
        try:
            make_new_folder(folder)
        except FileExistsError:
            number += 1
        except OSError as error:
            raise not_written(folder, error, _ANOTHER_FOLDER) from error
        else:
            return folder

"""What the kernel is asked for before a verifier's code runs: namespaces, a file system to read, Landlock, no privileges.

`python confinement.py LEVEL FOLDER` does to itself what a worker of this level does, and fails where the kernel refuses:
how isolation.py finds the level. Only the standard library; Linux.
"""

import ctypes
import os
import resource
import struct
import sys
from pathlib import Path

_CLONE_NEWNS, _CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x20000, 1 << 27, 1 << 28, 1 << 29, 1 << 30
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 8, 1 << 12, 1 << 14, 1 << 18
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _ATTR_RDONLY, _ATTR_NOSUID = 442, -100, 0x8000, 1, 2
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_SUBREAPER, _PR_NO_NEW_PRIVS = 1, 4, 24, 36, 38
_LANDLOCK_CREATE, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT = 444, 445, 446
_LANDLOCK_WRITE_FILE, _LANDLOCK_TRUNCATE = 1 << 1, 1 << 14
_CAPABILITY_VERSION_3, _CAP_DAC_READ_SEARCH = 0x20080522, 2

DEVICES = ("null", "zero", "full", "random", "urandom", "kfd", "dri", "nvidia*")
"""What stays of /dev: harmless devices, and GPUs. A disk that root may open would make a read-only file system a joke."""


def enter_namespaces(*, uses_network: bool) -> None:
    """From the next fork on: a PID and an IPC namespace, and without `uses_network` a network of its own, without a
    device that is up. A user namespace only where nothing else gives the right to make the others."""
    flags = _CLONE_NEWPID | _CLONE_NEWIPC | (0 if uses_network else _CLONE_NEWNET)
    user, group = os.geteuid(), os.getegid()
    try:
        _call("unshare", flags)
    except PermissionError:
        _call("unshare", flags | _CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")


def make_files_readable_only(folder: str, num_bytes: int, *, uses_network: bool) -> None:
    """A mount namespace: everything is read-only but `folder` and /dev/shm, one tmpfs of `num_bytes`; /proc shows the
    PID namespace alone. Without `uses_network` /run is empty: the sockets of the machine's daemons are there."""
    _call("unshare", _CLONE_NEWNS)
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    _mount("tmpfs", folder, "tmpfs", _MS_NOSUID | _MS_NODEV, f"size={num_bytes},mode=0700")
    own = make_private_folders(folder)
    (own / "run").mkdir()
    (own / "shm").mkdir()
    (own / "dev" / "shm").mkdir(parents=True)
    for name in ("fd", "stdin", "stdout", "stderr"):
        (own / "dev" / name).symlink_to(
            "/proc/self/fd" + {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}[name]
        )
    for device in _devices():
        place = own / "dev" / device.name
        place.mkdir() if device.is_dir() else place.touch()
        _mount(str(device), str(place), None, _MS_BIND | _MS_REC)
    _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    _mount(str(own / "dev"), "/dev", None, _MS_BIND | _MS_REC)
    _mount(str(own / "shm"), "/dev/shm", None, _MS_BIND)
    if not uses_network and Path("/run").is_dir():
        _mount(str(own / "run"), "/run", None, _MS_BIND)
    _set_mount("/", _AT_RECURSIVE, on=_ATTR_RDONLY | _ATTR_NOSUID)
    for place in (own, Path("/dev/shm")):
        _set_mount(str(place), 0, off=_ATTR_RDONLY)


def make_private_folders(folder: str) -> Path:
    """Makes the folders that HOME and TMPDIR name."""
    for name in ("home", "tmp"):
        (Path(folder) / name).mkdir(mode=0o700)
    return Path(folder)


def landlock_abi() -> int:
    """The kernel's version of Landlock, 0 without it."""
    if sys.platform != "linux":
        return 0
    return max(0, int(_LIBC.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)))


def deny_writes(folder: str, *, uses_network: bool) -> None:
    """Landlock: writes to `folder` and to `DEVICES` alone; from its version 4 on no TCP without `uses_network`; from 6
    on no signal to a process outside, and no abstract socket. Reading stays free."""
    abi = landlock_abi()
    if not abi:
        raise OSError("the kernel has no Landlock")
    # REMOVE_DIR … MAKE_SYM are the bits 4 to 12, REFER is 13: what changes a folder.
    in_folder = sum(1 << bit for bit in range(4, 13)) | (1 << 13 if abi >= 2 else 0)
    in_file = _LANDLOCK_WRITE_FILE | (_LANDLOCK_TRUNCATE if abi >= 3 else 0)
    handled = struct.pack("=QQQ", in_folder | in_file, 0 if uses_network else 3, 2 | (0 if uses_network else 1))
    handled = handled[: 8 if abi < 4 else 16 if abi < 6 else 24]
    rules = _system_call(_LANDLOCK_CREATE, handled, ctypes.c_size_t(len(handled)), 0)
    for place in (Path(folder), *_devices()):
        opened = os.open(place, os.O_PATH | os.O_CLOEXEC)
        allowed = in_file | (in_folder if place.is_dir() else 0)
        _system_call(_LANDLOCK_ADD_RULE, rules, 1, struct.pack("=Qi", allowed, opened), 0)
        os.close(opened)
    _call("prctl", _PR_NO_NEW_PRIVS, 1, 0, 0, 0)
    _system_call(_LANDLOCK_RESTRICT, rules, 0)
    os.close(rules)


def give_up_privileges() -> None:
    """No new privileges by a set-user-ID program, and no capability but root's to read."""
    _call("prctl", _PR_NO_NEW_PRIVS, 1, 0, 0, 0)
    bounding = 0
    while _LIBC.prctl(23, bounding, 0, 0, 0) >= 0:  # PR_CAPBSET_READ fails for the first that the kernel does not know
        if bounding != _CAP_DAC_READ_SEARCH:
            _LIBC.prctl(_PR_CAPBSET_DROP, bounding, 0, 0, 0)
        bounding += 1
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    held = ctypes.create_string_buffer(24)
    _call("capget", header, held)
    kept = struct.unpack_from("=I", held, 4)[0] & 1 << _CAP_DAC_READ_SEARCH
    _call("capset", header, struct.pack("=IIIIII", kept, kept, 0, 0, 0, 0))
    # Whoever changes capabilities may be looked into again, as far as the kernel's settings for core dumps go.
    hide_memory()


def hide_memory() -> None:
    """Other processes of the same user cannot look into this one's memory and open files, nor into those it forks."""
    _call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)


def limit_files(num_bytes: int) -> None:
    """No core dumps, and no file of more than `num_bytes`; a lower hard limit stays."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    size = num_bytes if hard == resource.RLIM_INFINITY else min(num_bytes, hard)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def die_with_parent(number: int) -> None:
    """The kernel sends this signal when the parent process, or its thread that started this one, has ended."""
    _call("prctl", _PR_SET_PDEATHSIG, number, 0, 0, 0)


def adopt_orphans() -> None:
    """Descendants whose parent has ended become children of this process, those with a session of their own too."""
    _call("prctl", _PR_SET_SUBREAPER, 1, 0, 0, 0)


def _devices() -> list[Path]:
    return [found for name in DEVICES for found in sorted(Path("/dev").glob(name))]


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    texts = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    _call("mount", *texts[:3], ctypes.c_ulong(flags), texts[3])


def _set_mount(place: str, flags: int, *, on: int = 0, off: int = 0) -> None:
    attributes = struct.pack("=QQQQ", on, off, 0, 0)
    _system_call(_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(place), flags, attributes, ctypes.c_size_t(len(attributes)))


def _system_call(*arguments: object) -> int:
    return _call("syscall", *arguments)


def _call(name: str, *arguments: object) -> int:
    """Calls a function of the C library. Raises OSError."""
    result = int(getattr(_LIBC, name)(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


_LIBC = ctypes.CDLL(None, use_errno=True)


def _try(level: str, folder: str) -> None:
    if level == "namespaces":
        enter_namespaces(uses_network=False)
    child = os.fork()
    if child:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    if level == "namespaces":
        make_files_readable_only(folder, 2**20, uses_network=False)
    if level == "landlock":
        deny_writes(folder, uses_network=False)
    give_up_privileges()


if __name__ == "__main__":
    _try(*sys.argv[1:])

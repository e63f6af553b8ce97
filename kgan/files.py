"""Writing files so that a reader finds the old content or the new one, never half of it."""

import contextlib
import os
import pathlib
import stat
import tempfile

_SMALL = 2**20  # bytes


def cache_folder() -> pathlib.Path:
    """Where things are kept that can be made again: `KGAN_CACHE`, or `~/.cache/kgan`. It may not be there yet."""
    return pathlib.Path(os.environ.get("KGAN_CACHE") or "~/.cache/kgan").expanduser()


def read_small(path: pathlib.Path) -> bytes:
    """Reads a file that is known to be small.

    Raises:
        ValueError: it is no regular file, or has more than a mebibyte, and so is not what it should be.
        OSError: it cannot be read.
    """
    require_regular(path)
    with path.open("rb") as file:
        content = file.read(_SMALL + 1)
    if len(content) > _SMALL:
        raise ValueError(f"it has more than {_SMALL} bytes")
    return content


def require_regular(path: pathlib.Path) -> None:
    """Raises ValueError for a pipe or a device: the first waits for ever, the second never ends."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path.name} is no regular file")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_atomic(path: pathlib.Path, content: bytes) -> None:
    """Writes a file under a temporary name beside its place, syncs it to disk and renames it.

    A process killed in between leaves `.NAME.*` beside the place, and what stood there before.

    Raises:
        OSError: the file cannot be written; nothing is left of the attempt.
    """
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp's own is for the owner alone
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: pathlib.Path) -> None:
    """Makes a rename last through a power cut, where the system can (Windows cannot open a folder)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

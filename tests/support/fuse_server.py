"""`python -m support.fuse_server FOLDER MOUNT_POINT` shows a folder through FUSE until it is unmounted."""

import os
import sys
from pathlib import Path
from typing import Any

import mfusepy

_PLAIN = ("st_gid", "st_mode", "st_nlink", "st_size", "st_uid")
_TIMES = ("st_atime", "st_ctime", "st_mtime")


class Through(mfusepy.Operations):  # type: ignore[misc] - it has no types
    """What programs need that read models and write beside them."""

    use_ns = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _at(self, path: str) -> Path:
        return self._folder / path.removeprefix("/")

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        del fh
        found = self._at(path).lstat()
        times = {name: getattr(found, f"{name}_ns") for name in _TIMES}
        return {name: getattr(found, name) for name in _PLAIN} | times

    def readdir(self, path: str, fh: int) -> list[str]:
        del fh
        return [".", "..", *(it.name for it in self._at(path).iterdir())]

    def open(self, path: str, flags: int) -> int:
        return os.open(self._at(path), flags)

    def create(self, path: str, mode: int, fi: object = None) -> int:
        del fi
        return os.open(self._at(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        del path
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        del path
        return os.pwrite(fh, data, offset)

    def release(self, path: str, fh: int) -> None:
        del path
        os.close(fh)

    def unlink(self, path: str) -> None:
        self._at(path).unlink()

    def rename(self, old: str, new: str) -> None:
        self._at(old).rename(self._at(new))

    def mkdir(self, path: str, mode: int) -> None:
        self._at(path).mkdir(mode)

    def chmod(self, path: str, mode: int) -> None:
        self._at(path).chmod(mode)


if __name__ == "__main__":
    mfusepy.FUSE(Through(Path(sys.argv[1])), sys.argv[2], foreground=True, allow_other=True, nothreads=True)

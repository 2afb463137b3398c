"""Programs that only tests need. On a machine without one its tests are left out; where CI runs they fail."""

import os
import shutil

#: where root's programs are, which may not be on the path of others
_MORE = "/usr/sbin:/sbin"


def found(program: str) -> str | None:
    """Find a program, also where only root looks for it."""
    return shutil.which(program) or shutil.which(program, path=_MORE)


def is_missing(program: str) -> bool:
    """Tell whether tests that need the program are left out: never where `HASHTAGD_CI` is set."""
    return found(program) is None and not os.environ.get("HASHTAGD_CI")

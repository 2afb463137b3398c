"""Programs that only tests need. On a machine without one its tests are left out; where CI runs they fail."""

import os
import shutil


def is_missing(program: str) -> bool:
    """Tell whether tests that need the program are left out: never where `HASHTAGD_CI` is set."""
    return shutil.which(program) is None and not os.environ.get("HASHTAGD_CI")

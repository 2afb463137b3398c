"""A look at what others named."""

import os
from pathlib import Path


def is_folder(path: Path) -> bool:
    """Tell whether a folder is there.

    Never raises: where nobody may look, or what no path can be (too long, a NUL in it), there is none for us.
    """
    return os.path.isdir(path)  # noqa: PTH112 - that of pathlib raises

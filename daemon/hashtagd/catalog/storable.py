"""The border to the stores: what strangers say is made storable here, once, for both engines.

SQLite takes what PostgreSQL refuses (NUL, NaN) and refuses what JSON can hold (integers beyond 64 bits);
neither can encode a lone surrogate. Every text and JSON column passes through this module.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hashtagd.core.place import Place

#: the largest path that PostgreSQL can keep in an index; longer ones are not worth a second rule for SQLite
LONGEST_PATH_BYTES: Final = 2000

_LARGEST: Final = 2**63 - 1
_SMALLEST: Final = -(2**63)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def storable_text(text: str) -> str:
    """Put U+FFFD for what no store can keep: NUL and lone surrogates."""
    return _UNSTORABLE.sub("\ufffd", text)


def storable_json(value: Any) -> Any:  # noqa: ANN401 - JSON is any of its types
    """Rebuild a JSON value from what both stores can keep; numbers that cannot be kept become None."""
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if _SMALLEST <= value <= _LARGEST else None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {storable_text(str(key)): storable_json(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [storable_json(item) for item in value]
    raise TypeError(f"not a JSON value: {type(value).__name__}")


def is_storable(place: Place) -> bool:
    """Tell whether both stores can keep the place as it is; a name that leads to a file is never changed."""
    try:
        path, root = place.relpath.encode(), place.root.encode()
    except UnicodeEncodeError:
        return False
    return len(path) + len(root) <= LONGEST_PATH_BYTES and b"\0" not in root

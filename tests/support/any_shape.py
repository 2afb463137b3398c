"""Ways to spoil a document by a stranger: drop, null, rename or retype anything, list an entry twice."""

import copy
import json
from typing import Any, Final

from hypothesis import strategies as st

from hashtagd.core.card import Card
from hashtagd.providers.bodies import parse_json

Way = tuple[Any, ...]

HOWS: Final = ("drop", "null", "rename", "retype", "twice")
ODD_TEXTS: Final = (
    *("\x00", "\ud800", "https://", "https://[", "//", "/\\x", "{", "9" * 30, "2025-13-99", "", " "),
    *("http://x:99999/", "http://[::1%25]/x", "https://\u2100.example/x", "https://x/?a=1&a"),
)
#: made anew each time: what a test puts into one document must not be in the next
JUNK: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(ODD_TEXTS),
    st.builds(list),
    st.builds(dict),
    st.builds(lambda: [None]),
    st.builds(lambda: {"name": 3}),
    st.builds(lambda: [{"id": 1}, "x"]),
)


def ways(value: Any, before: Way = ()) -> list[Way]:
    """List the way to every value inside a document."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [way for key in keys for way in ((*before, key), *ways(value[key], (*before, key)))]


def spoil(document: Any, way: Way, how: str, junk: Any) -> None:
    """Do this to the value at the end of the way, if the way is still there; `retype` puts `junk` there."""
    for key in way[:-1]:
        try:
            document = document[key]
        except (KeyError, IndexError, TypeError):
            return
    key = way[-1]
    if isinstance(document, dict) and key in document:
        value = document.pop(key)
        if how == "rename":
            document[f"x_{key}"] = value
        elif how != "drop":
            document[key] = _spoiled(value, how, junk)
    elif isinstance(document, list) and isinstance(key, int) and key < len(document):
        if how == "twice":
            document.append(copy.deepcopy(document[key]))
        elif how == "drop":
            del document[key]
        else:
            document[key] = _spoiled(document[key], how, junk)


def _spoiled(value: Any, how: str, junk: Any) -> Any:
    if how == "twice":
        return [*value, *copy.deepcopy(value)] if isinstance(value, list) else value
    return None if how == "null" else junk


def changes(document: Any, most: int = 6) -> st.SearchStrategy[list[tuple[Way, str, Any]]]:
    """Draw ways to spoil this document."""
    one = st.tuples(st.sampled_from(ways(document)), st.sampled_from(HOWS), JUNK)
    return st.lists(one, min_size=1, max_size=most)


def received(document: Any) -> Any:
    """Give a document as it looks after it came over the wire."""
    return parse_json(json.dumps(document).encode("utf-8", "surrogatepass"))


def check_storable(card: Card) -> None:
    """Store a card the way the catalog does, and read it back."""
    text = json.dumps(card.to_json(), allow_nan=False, ensure_ascii=False)
    assert text.encode("utf-8")
    assert "\\u0000" not in text
    assert Card.from_json(json.loads(text)) == card

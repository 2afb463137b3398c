"""Merge our facts into a JSON object that belongs to several programs. Pure: bytes in, bytes or a reason out.

Never changes a byte of what the merge does not name, never reorders keys, and asks for no write when nothing
would change.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hashtagd.core.artifacts import JsonMerge, OtherBytes
from hashtagd.stages.exact_json import NotExactError, read_json, write_json
from hashtagd.stages.splice import splice

_BOM: Final = b"\xef\xbb\xbf"
_TOO_DEEP: Final = "its JSON is nested too deeply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """Write this."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The file says it all already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The file is not ours to mend."""

    reason: str


def _everything_exists(_path: str) -> bool:
    return True


def merge(
    existing: bytes | None,
    artifact: JsonMerge,
    *,
    ours: bool = False,
    exists: Callable[[str], bool] = _everything_exists,
) -> Merged | Unchanged | Refused:
    """Apply a merge to the bytes of a file; None where there is no file.

    Args:
        existing: the bytes that are there.
        artifact: what we have to say.
        ours: the bytes are exactly the ones we wrote into a file of our own, so nobody has edited it since:
            what we put in before is put in anew, and a broken file is written from scratch.
        exists: tells whether anything lies at an absolute path.

    Repeats:
        a merge of its own result is `Unchanged`.
    """
    if existing is None:
        return Merged(content=merge_into_nothing(artifact))
    try:
        before = _parsed(existing)
        if isinstance(before, Refused):
            return merge(None, artifact, exists=exists) if ours else before
        reason = _foreign(before, artifact, ours=ours)
        if reason is not None:
            return Refused(reason=reason)
        after = _applied(before, artifact, ours=ours, exists=exists)
        if _canonical(before) == _canonical(after):
            return Unchanged()
        content = _written(after, artifact.indent) if ours else _spliced(existing, before, after, artifact)
        return Merged(content=content)
    except RecursionError:
        return Refused(reason=_TOO_DEEP)


def merge_into_nothing(artifact: JsonMerge) -> bytes:
    """Give the bytes of a new file."""
    return _written(_applied({}, artifact, ours=True, exists=_everything_exists), artifact.indent)


def _parsed(existing: bytes) -> dict[str, Any] | Refused:
    if existing.startswith(_BOM):
        return Refused(reason="it starts with a byte order mark")
    try:
        value = read_json(existing.decode("utf-8"))
    except UnicodeDecodeError:
        return Refused(reason="it is no JSON")
    except NotExactError as error:
        return Refused(reason=error.reason)
    return value if isinstance(value, dict) else Refused(reason="it is no JSON object")


def _applied(
    before: Mapping[str, Any], artifact: JsonMerge, *, ours: bool, exists: Callable[[str], bool]
) -> dict[str, Any]:
    after = dict(before)
    if artifact.other_bytes is not None and before:
        _mend(after, artifact.other_bytes)
    after.update(artifact.owned)
    for key, value in artifact.fill.items():
        if any(not _is_empty(before.get(alias)) for alias in artifact.aliases.get(key, ())):
            continue
        if ours or key not in after or _is_free(after[key], key, artifact, exists):
            after[key] = value
    for key, value in artifact.absent.items():
        after.setdefault(key, value)
    for key, value in artifact.renewed.items():
        if ours or key not in after:
            after[key] = value
    for key, values in artifact.union.items():
        after[key] = _union(None if ours else after.get(key), values)
    for key, entries in artifact.update.items():
        after[key] = _updated({} if ours else after.get(key, {}), key, entries, artifact)
    return after


def _foreign(before: Mapping[str, Any], artifact: JsonMerge, *, ours: bool) -> str | None:
    """Say why a document must stay as it is; None: it need not."""
    if any(key in before for key in artifact.refuse_if):
        return "it is another program's document"
    return "it tells of another model" if not ours and _contradicts(before, artifact) else None


def _contradicts(before: Mapping[str, Any], artifact: JsonMerge) -> bool:
    said = ((key, before.get(key), value) for key, value in artifact.agrees.items())
    return any(
        not _is_empty(present)
        and not any(_canonical(present) == _canonical(item) for item in artifact.empty.get(key, ()))
        and _folded(present) != _folded(value)
        for key, present, value in said
    )


def _mend(after: dict[str, Any], other: OtherBytes) -> None:
    for key, values in other.outdated.items():
        if key in after and any(_canonical(after[key]) == _canonical(value) for value in values):
            after[key] = _emptied(after[key])
    named = after.get(other.key)
    text = named.casefold() if isinstance(named, str) else ""
    if text in ("", other.sha256):
        return
    dropped = {key: after[key] for key in other.drop if key in after and not _names(after[key], other.sha256)}
    for key, paths in other.echoes.items():
        said = [value for path in paths if (value := _at(dropped, path)) is not None]
        if key in after and said:
            after[key] = _without(after[key], said)
    for key in dropped:
        del after[key]


def _at(document: Any, path: Iterable[str]) -> Any:  # noqa: ANN401 - a stranger's JSON
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _without(value: Any, said: Iterable[Any]) -> Any:  # noqa: ANN401 - a stranger's JSON
    """Empty a value that only repeats what was said; of a list, take the elements away that do."""
    if not isinstance(value, list):
        return _emptied(value) if any(_folded(value) == _folded(item) for item in said) else value
    repeated = {_folded(item) for items in said if isinstance(items, list) for item in items}
    return [item for item in value if _folded(item) not in repeated]


def _folded(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return _canonical(value.strip().casefold() if isinstance(value, str) else value)


def _emptied(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Give the value of the same type that counts as empty, or 0."""
    empty: dict[type, Any] = {str: "", list: [], dict: {}, bool: False, int: 0, float: 0}
    # a number that was read keeps its spelling in a type of its own
    return next((nothing for kind, nothing in empty.items() if isinstance(value, kind)), None)


def _names(document: Any, sha256: str) -> bool:  # noqa: ANN401 - a stranger's JSON
    """Tell whether an entry of the document's `files` carries our SHA-256."""
    files = document.get("files") if isinstance(document, dict) else None
    for file in files if isinstance(files, list) else ():
        hashes = file.get("hashes") if isinstance(file, dict) else None
        for value in hashes.values() if isinstance(hashes, dict) else ():
            if isinstance(value, str) and value.casefold() == sha256:
                return True
    return False


def _is_empty(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    return value is None or (isinstance(value, str | list | dict) and not value)


def _is_free(value: Any, key: str, artifact: JsonMerge, exists: Callable[[str], bool]) -> bool:  # noqa: ANN401
    if _is_empty(value) or any(value == item for item in artifact.empty.get(key, ())):
        return True
    if not isinstance(value, str):
        return False
    name = value.replace("\\", "/").rpartition("/")[2]
    return name != artifact.names.get(key, name) or (key in artifact.paths and not exists(value))


def _union(present: Any, values: Iterable[Any]) -> Any:  # noqa: ANN401 - a stranger's JSON
    if not isinstance(present, list):
        if not _is_empty(present):
            return present  # a value of another type is somebody's
        present = []
    after = list(present)
    # by spelling: a stranger's words may be anything, also what no set would take
    seen = {_canonical(value) for value in present}
    for value in values:
        if _canonical(value) not in seen:
            seen.add(_canonical(value))
            after.append(value)
    return after


def _updated(present: Any, outer: str, entries: Mapping[str, Any], artifact: JsonMerge) -> Any:  # noqa: ANN401
    if not isinstance(present, dict):
        return _copied({}, outer, entries, artifact) if _is_empty(present) and entries else present
    return _copied(present, outer, entries, artifact)


def _copied(
    present: Mapping[str, Any], outer: str, entries: Mapping[str, Any], artifact: JsonMerge
) -> dict[str, Any]:
    after = dict(present)
    for key, value in entries.items():
        if (outer, key) in artifact.keep_in and key in after:
            continue
        union = (outer, key) in artifact.union_in and isinstance(value, list)
        after[key] = _union(after.get(key), value) if union else value
    return after


def _canonical(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Spell a value so that equal JSON is equal text (unlike `==`, which takes 1 for true)."""
    return json.dumps(value, sort_keys=True)


def _spliced(
    existing: bytes, before: Mapping[str, Any], after: Mapping[str, Any], artifact: JsonMerge
) -> bytes:
    text = existing.decode("utf-8")
    try:
        return splice(text, before, after, indent=artifact.indent).encode("utf-8")
    except UnicodeEncodeError:  # as below
        return splice(text, before, after, indent=artifact.indent, ascii_only=True).encode("utf-8")


def _written(value: Mapping[str, Any], indent: int) -> bytes:
    try:
        return write_json(value, indent=indent, ascii_only=False).encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, which only the escaped form can hold
        return write_json(value, indent=indent, ascii_only=True).encode("ascii")

"""Brings the lists of the settings into the long form that the schema knows, and judges the names in them."""

from collections.abc import Callable, Iterator

from hashtagd.settings.document import Value
from hashtagd.settings.mistakes import KeyPath, Lines, Mistake

Tree = dict[str, Value]
#: name, long form, broken rule
_Split = Callable[[Value], tuple[str, Value, str | None]]


def check_entries(
    tree: Tree, lines: Lines, providers: frozenset[str], writers: frozenset[str]
) -> Iterator[Mistake]:
    """Bring providers and writers into their long form and check their names; the schema knows no classes."""
    roots = tree.get("roots")
    for holder, path in [(tree, ()), *_dicts(roots, ("roots",))]:
        yield from _shape(holder.get("writers"), (*path, "writers"), lines, writers, _writer)
    yield from _shape(tree.get("providers"), ("providers",), lines, providers, _provider)
    yield from _name_roots(roots, lines)


def _name_roots(roots: Value, lines: Lines) -> Iterator[Mistake]:
    names: dict[str, KeyPath] = {}
    for root, path in _dicts(roots, ("roots",)):
        given = root.get("path")
        if "name" not in root:
            # a missing path is one mistake, not two
            root["name"] = (isinstance(given, str) and given.rstrip("/").rpartition("/")[2]) or "root"
        name = root.get("name")
        if isinstance(name, str) and name in names:
            first = names[name]
            yield lines.mistake((*path, "name"), f"is the name of an earlier root too (roots[{first[1]}])")
        elif isinstance(name, str):
            names[name] = path


def _shape(
    entries: Value, path: KeyPath, lines: Lines, known: frozenset[str], split: _Split
) -> Iterator[Mistake]:
    if not isinstance(entries, list):
        return
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        at = (*path, index)
        name, shaped, rule = split(entry)
        if rule is None and name not in known:
            rule = f"must be one of {', '.join(sorted(known))}"
        elif rule is None and name in seen:
            rule = "is listed twice"
        if rule is not None:
            yield lines.mistake((*at, "kind") if split is _provider else at, rule)
        seen.add(name)
        entries[index] = shaped


def _provider(entry: Value) -> tuple[str, Value, str | None]:
    kind = entry.get("kind") if isinstance(entry, dict) else None
    if not isinstance(entry, dict) or not isinstance(kind, str):
        return "", {"kind": ""}, "is required: {kind: NAME, OPTION: VALUE}"
    return kind, {"kind": kind, "options": {key: entry[key] for key in entry if key != "kind"}}, None


def _writer(entry: Value) -> tuple[str, Value, str | None]:
    if isinstance(entry, str):
        return entry, {"name": entry}, None
    if isinstance(entry, dict) and len(entry) == 1:
        name, options = next(iter(entry.items()))
        if options is None or isinstance(options, dict):
            return name, {"name": name, "options": options or {}}, None
    return "", {"name": ""}, "must be the name of a writer, or NAME: {OPTION: VALUE}"


def _dicts(value: Value, path: KeyPath) -> list[tuple[Tree, KeyPath]]:
    if not isinstance(value, list):
        return []
    return [(item, (*path, index)) for index, item in enumerate(value) if isinstance(item, dict)]

"""Which file of a version is meant: the primary one, or the one that fits what the owner said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from hashtagd.core.card import Card, Download
from hashtagd.core.naming import file_words
from hashtagd.core.troubles import GiveUp, Scope

#: types of files that are no model of their own
_BESIDE: Final = frozenset({"training data", "config"})
#: nor these, where there is something else
_LAST: Final = frozenset({*_BESIDE, "archive"})
#: so many are listed when none, or more than one, fits
_LISTED: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the owner said of the file; everything None: the primary one."""

    file_id: int | None = None
    #: `fp16`, `fp32`, `bf16`, ... as the site says it
    fp: str | None = None
    #: `SafeTensor`, `PickleTensor`, ... or an extension
    format: str | None = None
    #: `full`, `pruned`
    size: str | None = None
    #: `Model`, `VAE`, `Training Data`, ...
    type: str | None = None
    sha256: str | None = None

    def or_else(self, other: "Choice") -> "Choice":
        """Give this choice; where it says nothing, the other one counts."""
        names = [field.name for field in fields(self)]
        mine = {name: value for name in names if (value := getattr(self, name)) is not None}
        return replace(other, **mine)


def choice_in(text: str) -> Choice:
    """Read which file a download address means; anything else means none in particular."""
    words = file_words(text)
    number = words.get("fileId", "")
    if number.isdecimal() and number.isascii():
        return Choice(file_id=int(number))  # as at the site, the number alone counts where there is one
    return Choice(
        type=words.get("type"), format=words.get("format"), size=words.get("size"), fp=words.get("fp")
    )


def pick_file(card: Card, choice: Choice) -> Download:
    """Pick one file of the card's version that can be asked for.

    Raises:
        GiveUp: there is none, or none or several fit; the message lists them.
    """
    files = [item for item in card.downloads if item.urls]
    if not files:
        raise _nothing(card)
    details = _details(card.raw)
    fitting = [item for item in files if _fits(item, choice, details)]
    if choice == Choice():
        fitting = [item for item in fitting if item.type.lower() not in _BESIDE]
    if not fitting:
        raise _none_fits(files, details)
    return min(fitting, key=_rank)


def with_first(card: Card, file: Download) -> Card:
    """Give the card with this file in front: it is the one that the bytes will be."""
    return replace(card, downloads=(file, *(item for item in card.downloads if item is not file)))


def _rank(item: Download) -> tuple[bool, bool, bool]:
    safe = item.name.lower().endswith((".safetensors", ".sft"))
    return (item.type.lower() in _LAST, not item.primary, not safe)


def _fits(item: Download, choice: Choice, details: Mapping[int | None, Mapping[str, Any]]) -> bool:
    known = details.get(item.file_id, {})
    return (
        choice.file_id in (None, item.file_id)
        and choice.sha256 in (None, item.sha256)
        and (choice.type is None or _same(item.type, choice.type))
        and (choice.fp is None or _same(known.get("fp"), choice.fp))
        and (choice.size is None or _same(known.get("size"), choice.size))
        and (choice.format is None or _has_format(item, known, choice.format))
    )


def _has_format(item: Download, known: Mapping[str, Any], wanted: str) -> bool:
    extension = item.name.rpartition(".")[2]
    return _same(known.get("format"), wanted) or _same(extension, wanted.removeprefix("."))


def _same(said: object, wanted: str) -> bool:
    return isinstance(said, str) and said.casefold() == wanted.casefold()


def _details(raw: Mapping[str, Any]) -> dict[int | None, Mapping[str, Any]]:
    files = raw.get("files")
    entries: Sequence[Any] = files if isinstance(files, list) else ()
    return {
        entry["id"]: entry["metadata"]
        for entry in entries
        if isinstance(entry, Mapping)
        and isinstance(entry.get("id"), int)
        and isinstance(entry.get("metadata"), Mapping)
    }


def _nothing(card: Card) -> GiveUp:
    why = card.not_downloadable_because or "no address of its files is known"
    return GiveUp(
        f"version {card.version_id} cannot be downloaded: {why}",
        does="nothing is fetched",
        you="look at the model's page; an archive may still have it: `hashtagd restore` asks by hash",
        scope=Scope.FILE,
        kind="not_downloadable",
    )


def _none_fits(files: Sequence[Download], details: Mapping[int | None, Mapping[str, Any]]) -> GiveUp:
    named = "; ".join(_named(item, details.get(item.file_id, {})) for item in files[:_LISTED])
    return GiveUp(
        f"no file of this version is like that; it has {named}",
        does="nothing is fetched",
        you="name one with `--file NUMBER`",
        scope=Scope.FILE,
        kind="no_such_file",
    )


def _named(item: Download, known: Mapping[str, Any]) -> str:
    words = [str(known[name]) for name in ("fp", "format", "size") if isinstance(known.get(name), str)]
    return f"{item.file_id} {item.name} ({', '.join([item.type, *words])})"

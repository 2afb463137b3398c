"""What the owner locked: parts of a card that stay as they are, whatever a site says later.

A lock belongs to the bytes, as a match does: it survives a rename, a refresh and a second download.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from hashtagd.core.card import Card, Preview


@dataclass(frozen=True, slots=True)
class _Field:
    """How one lockable part is read from a card as JSON, and put back."""

    read: Callable[[Card], Any]
    put: Callable[[Card, Any], Card]
    #: where the part stands in the document that some providers give: (key of the object in it, key)
    raw: tuple[tuple[str | None, str], ...] = ()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list | tuple) else ()


def _previews(value: object) -> tuple[Preview, ...]:
    return tuple(Preview(**item) for item in value) if isinstance(value, list | tuple) else ()


#: the names stand in the contract with users
_FIELDS: Final[Mapping[str, _Field]] = {
    "model_name": _Field(
        lambda card: card.model_name,
        lambda card, value: replace(card, model_name=_text(value)),
        raw=(("model", "name"),),
    ),
    "version_name": _Field(
        lambda card: card.version_name,
        lambda card, value: replace(card, version_name=_text(value)),
        raw=((None, "name"),),
    ),
    "base_model": _Field(
        lambda card: card.base_model,
        lambda card, value: replace(card, base_model=_text(value)),
        raw=((None, "baseModel"),),
    ),
    "trained_words": _Field(
        lambda card: list(card.trained_words),
        lambda card, value: replace(card, trained_words=_texts(value)),
        raw=((None, "trainedWords"),),
    ),
    "tags": _Field(
        lambda card: list(card.tags),
        lambda card, value: replace(card, tags=_texts(value)),
        raw=(("model", "tags"),),
    ),
    "description": _Field(
        lambda card: card.description_html,
        lambda card, value: replace(card, description_html=_text(value)),
        raw=(("model", "description"),),
    ),
    "preview": _Field(
        lambda card: card.to_json()["previews"],
        lambda card, value: replace(card, previews=_previews(value)),
    ),
}
#: what may be locked
LOCKABLE: Final = tuple(_FIELDS)


def pinned_values(card: Card, fields: Mapping[str, object] | tuple[str, ...]) -> dict[str, Any]:
    """Give what the card says in these fields now, as JSON values.

    Raises:
        KeyError: a field cannot be locked.
    """
    return {name: _FIELDS[name].read(card) for name in fields}


def with_pins(card: Card, pins: Mapping[str, Any]) -> Card:
    """Put what was locked in the place of what the card says. Names that cannot be locked are passed over."""
    for name, value in pins.items():
        field = _FIELDS.get(name)
        if field is None:
            continue  # a newer hashtagd wrote it
        card = field.put(card, value)
        if card.raw:
            card = replace(card, raw=_with_raw(card.raw, field, value))
    return card


def _with_raw(raw: Mapping[str, Any], field: _Field, value: object) -> Mapping[str, Any]:
    document = dict(raw)
    for parent, key in field.raw:
        if parent is None:
            document[key] = value
        else:
            inner = document.get(parent)
            document[parent] = {**(inner if isinstance(inner, Mapping) else {}), key: value}
    return document

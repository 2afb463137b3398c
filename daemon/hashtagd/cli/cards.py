"""A model in words: the card as people read it, and as `show --json` gives it."""

from pathlib import Path
from typing import Any

from hashtagd.catalog.pages import FileRow
from hashtagd.core.card import Card, Confidence, DownloadUrl
from hashtagd.core.card_json import hashes_json, model_json
from hashtagd.core.digests import Digests
from hashtagd.core.training import Training, training_of
from hashtagd.service.provisional import card_to_show

#: what the confidence of a match means
CONFIDENCE = {
    "owner": "you said so",
    "exact": "same SHA-256",
    "tensors": "same tensors, another header",
    "claimed": "the file's own header says so",
}


def sure_in_words(card: Card) -> str:
    """Say what the match of a card rests on."""
    if card.confidence is Confidence.CLAIMED and card.provider != "header" and card.by == "sha256":
        return "its word alone, it states no hash"
    return CONFIDENCE[card.confidence.value]


def card_facts(card: Card, update_at: tuple[str, str] | None = None) -> dict[str, object]:
    """Give the card as names and values for people; `update_at`: root and path of its newer version."""
    version = f" - {card.version_name}" if card.version_name else ""
    return {
        "model": f"{card.model_name}{version}" if card.model_name else None,
        "type": card.kind,
        "base model": card.base_model,
        "trigger words": ", ".join(card.trained_words),
        "tags": ", ".join(card.tags),
        "creator": card.creator,
        "matched": f"{card.provider}, {sure_in_words(card)}",
        "original": _original(card),
        "availability": availability_in_words(card),
        "page": card.page_url,
        "newer version": _update(card, update_at),
        "downloads": [_address(url) for item in card.downloads for url in item.urls],
        "no download": card.not_downloadable_because,
    }


def availability_in_words(card: Card) -> str:
    """Say whether the model can still be had, and until when it cannot."""
    words = card.availability.value.replace("_", " ")
    return f"{words} until {card.early_access_ends_at}" if card.early_access_ends_at else words


def training_facts(training: Training | None) -> dict[str, object]:
    """Give what the file tells of its training as names and values for people."""
    if training is None:
        return {}
    words = (f"{text} ({count})" for text, count in training.trigger_candidates)
    plain = {
        name.replace("_", " "): value
        for name, value in training.to_json().items()
        if value not in (None, "", []) and name not in ("trigger_candidates", "folder_hints")
    }
    return {
        "trained": ", ".join(f"{name} {value}" for name, value in plain.items()),
        "trained on": ", ".join(words),
        "data folders": ", ".join(training.folder_hints),
    }


def _original(card: Card) -> str | None:
    """Name the file that was edited, where only the tensors are the same."""
    if card.confidence is not Confidence.TENSORS or not card.downloads or card.downloads[0].sha256 is None:
        return None
    return f"SHA-256 {card.downloads[0].sha256} before somebody edited its header"


def _update(card: Card, there: tuple[str, str] | None) -> str | None:
    if card.update is None:
        return None
    published = f", published {card.update.published_at[:10]}" if card.update.published_at else ""
    have = f"; you have it: {'/'.join(there)}" if there else ""
    return f"{card.update.name or 'without a name'} (version {card.update.version_id}{published}){have}"


def _address(url: DownloadUrl) -> str:
    marks = [word for word, said in (("asks for an account", url.gated), ("paid", url.paid)) if said]
    return url.url + (f" ({', '.join(marks)})" if marks else "")


def card_json(row: FileRow, absolute_path: Path | None) -> dict[str, Any]:
    """Give the documented card of one file: plain JSON values, absent facts as null or []."""
    digests = (
        None
        if row.sha256 is None
        else Digests(sha256=row.sha256, tensors_sha256=row.tensors_sha256, blake3=row.blake3, crc32=row.crc32)
    )
    return {
        "root": row.root,
        "path": row.relpath,
        "absolute_path": None if absolute_path is None else str(absolute_path),
        "size_bytes": row.size_bytes,
        "state": row.state,
        "next_check_at": row.next_check_at,
        "hashes": hashes_json(digests),
        **model_json(card_to_show(row), checked_at=row.checked_at),
        "trouble": None if row.trouble is None else dict(row.trouble),
        "contradicted_by": [_rival(other) for other in row.rivals],
        "locked": list(row.locked),
        "updates_ignored": row.updates_ignored,
        "update_at": None
        if row.update_at is None
        else dict(zip(("root", "path"), row.update_at, strict=True)),
    }


def rival_in_words(card: Card) -> str:
    """Say what another answer takes the file for."""
    named = f"{card.model_name}, " if card.model_name else ""
    numbers = f"model {card.model_id}, version {card.version_id}"
    return f"{card.provider}: {named}{numbers} ({sure_in_words(card)})"


def _rival(card: Card) -> dict[str, Any]:
    names = ("provider", "by", "model_id", "version_id", "model_name")
    return {name: getattr(card, name) for name in names} | {"confidence": card.confidence.value}


def told_training(row: FileRow) -> Training | None:
    """Read what the file tells of its training; None where it tells nothing."""
    if row.header is None:
        return None
    return training_of(row.header.metadata, tensor_rank=row.header.rank)

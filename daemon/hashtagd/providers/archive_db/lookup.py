"""From hashes to cards: which of several rows is meant, and what the database says of it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from hashtagd.core.card import Card
from hashtagd.providers.archive_db.database import ArchiveDatabase, Row
from hashtagd.providers.archive_db.shapes import Held, card_of, published_at, sha256_of
from hashtagd.providers.civitai.fields import identity


def look_up(database: ArchiveDatabase, hints: Mapping[str, Sequence[int]], now: datetime) -> dict[str, Card]:
    """Make the cards of all hashes that the database knows; what is missing from the result is not in there.

    A row without the number of a version names nothing and is passed over.

    Args:
        database: the database that is open.
        hints: for each SHA-256, the numbers of the files that may have it.
        now: decides whether early access has ended.
    """
    files = database.files(sorted({file_id for found in hints.values() for file_id in found}))
    named = [file for file in files if sha256_of(file) in hints and identity(file["version_id"])]
    versions = database.versions(_numbers(named, "version_id"))
    chosen: dict[str, Row] = {}
    for file in sorted(named, key=lambda file: _age(file, versions)):
        chosen.setdefault(sha256_of(file) or "", file)
    siblings: defaultdict[int, list[Row]] = defaultdict(list)
    for file in database.files_of(_numbers(chosen.values(), "version_id")):
        siblings[file["version_id"]].append(file)
    models = database.models(_numbers(chosen.values(), "model_id"))
    archived = database.archived(_numbers(chosen.values(), "id"))
    return {
        sha256: card_of(
            Held(
                file=file,
                files=siblings[file["version_id"]],
                version=versions.get(file["version_id"]),
                model=models.get(file["model_id"]),
                archived=file["id"] in archived,
                made_at=database.made_at,
            ),
            sha256=sha256,
            now=now,
        )
        for sha256, file in chosen.items()
    }


def _age(file: Row, versions: Mapping[int, Row]) -> tuple[bool, bool, float, int, int]:
    """Order rows of one hash: those of known versions, the oldest published, the lowest numbers first."""
    version = versions.get(file["version_id"])
    published = published_at(version) if version is not None else None
    return (
        version is None,
        published is None,
        published.timestamp() if published else 0.0,
        identity(file["version_id"]) or 0,
        file["id"],
    )


def _numbers(rows: Iterable[Row], name: str) -> list[int]:
    return sorted({row[name] for row in rows if isinstance(row[name], int)})

"""A made-up archive database with the tables that LoRA Manager downloads."""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from support.surroundings import sha

#: 2025-08-07 12:00 in UTC
COLLECTED_S: Final = 1_754_568_000
#: 2024-01-02 in UTC
PUBLISHED_S: Final = 1_704_153_600

TABLES: Final = """
create table models (id integer primary key, name text, type text, username text, data text,
  created_at integer, updated_at integer);
create table model_versions (id integer primary key, model_id integer, position integer, name text,
  base_model text, published_at integer, data text, created_at integer, updated_at integer);
create index model_versions_model_id_idx on model_versions (model_id);
create table model_files (id integer primary key, model_id integer, version_id integer, type text,
  sha256 text, data text, created_at integer, updated_at integer);
create index model_files_version_id_idx on model_files (version_id);
create table archived_model_files (file_id integer primary key, model_id integer, version_id integer);
"""


class Archive:
    """A database that is being written."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def model(self, number: int, data: object = ..., **columns: Any) -> None:
        """Add a model."""
        said = {
            "id": number,
            "name": f"Model {number}",
            "type": "LORA",
            "description": "<p>About the model</p>",
            "tags": ["ink", "style"],
            "nsfw": False,
            "allowNoCredit": True,
            "creator": {"username": "somebody", "image": "https://image.example/x.png"},
        }
        row = {"id": number, "name": f"Model {number}", "type": "LORA", "username": "somebody", **columns}
        self._add("models", row, said if data is ... else data)

    def version(self, number: int, model: int, data: object = ..., **columns: Any) -> None:
        """Add a version."""
        said = {
            "id": number,
            "name": f"v{number}",
            "baseModel": "SDXL 1.0",
            "trainedWords": ["word one", "word two"],
            "description": "<p>About the version</p>",
            "nsfwLevel": 1,
            "images": [
                {
                    "url": f"https://image.civitai.com/a/{number}/original=true/{number}.jpeg",
                    "nsfwLevel": 1,
                    "width": 512,
                    "height": 768,
                    "type": "image",
                }
            ],
        }
        row = {
            "id": number,
            "model_id": model,
            "position": 0,
            "name": f"v{number}",
            "base_model": "SDXL 1.0",
            "published_at": PUBLISHED_S,
            **columns,
        }
        self._add("model_versions", row, said if data is ... else data)

    def file(
        self, number: int, version: int, model: int, sha256: object, data: object = ..., **columns: Any
    ) -> None:
        """Add a file of a version."""
        said = {
            "id": number,
            "modelId": model,
            "modelVersionId": version,
            "name": f"file-{number}.safetensors",
            "type": "Model",
            "sizeKB": 1024.5,
            "primary": True,
            "hashes": {"SHA256": sha256 if isinstance(sha256, str) else None, "AutoV3": "ABCDEF012345"},
            "downloadUrl": f"https://civitai.com/api/download/models/{version}?token=secret",
        }
        row = {
            "id": number,
            "model_id": model,
            "version_id": version,
            "type": "Model",
            "sha256": sha256.upper() if isinstance(sha256, str) else sha256,
            **columns,
        }
        self._add("model_files", row, said if data is ... else data)

    def archived(self, file: int) -> None:
        """List a file as archived."""
        self._connection.execute("insert into archived_model_files values (?, 1, 1)", [file])

    def run(self, statement: str) -> None:
        """Do something else to it."""
        self._connection.execute(statement)

    def _add(self, table: str, row: Mapping[str, Any], data: object) -> None:
        said = data if data is None or isinstance(data, str | bytes | int) else json.dumps(data)
        whole = {"created_at": COLLECTED_S, "updated_at": COLLECTED_S, "data": said, **row}
        names = ", ".join(whole)
        marks = ", ".join("?" * len(whole))
        self._connection.execute(f"insert into {table} ({names}) values ({marks})", list(whole.values()))  # noqa: S608


@contextmanager
def archive(path: Path) -> Iterator[Archive]:
    """Make a database, or go on with one, and close it at the end."""
    is_new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("pragma synchronous = off")
        if is_new:
            connection.executescript(TABLES)
        yield Archive(connection)
        connection.commit()


def filled(path: Path, count: int = 300) -> None:
    """Make a database of so many models, each with one version and one file: `sha(n)` is file 300000 + n."""
    with archive(path) as made:
        for number in range(1, count + 1):
            made.model(number)
            made.version(20_000 + number, number)
            made.file(300_000 + number, 20_000 + number, number, sha(number))

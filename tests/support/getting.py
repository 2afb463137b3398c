"""Models that a site on loopback has, for `hashtagd get`."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hashtagd.cli.context import Context
from hashtagd.cli.hands import hands
from hashtagd.service.bringing import Hands
from support.commands import Home
from support.safetensors import lora

CONTENT = lora(7)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
FACTS: dict[str, Any] = {
    "name": "Ink wash",
    "model_id": 11,
    "version_id": 22,
    "file_id": 33,
    "file_name": "ink.safetensors",
    "trained_words": ("inkwash",),
}


def offer(home: Home, content: bytes = CONTENT, **facts: Any) -> str:
    """Let the site have a file; returns its SHA-256."""
    sha256 = hashlib.sha256(content).hexdigest()
    home.site.add(sha256=sha256, size_bytes=len(content), content=content, **{**FACTS, **facts})
    return sha256


def fetched(home: Home) -> list[str]:
    """Give the paths of all downloads that the site was asked for."""
    return [it.path for it in home.site.requests if it.path.startswith(("/api/download", "/storage"))]


@contextmanager
def process(home: Home) -> Iterator[Hands]:
    """Be another process that fetches, for the time of a block."""
    context = Context(config=home.config, volume=None, environ=dict(os.environ))
    with hands(context, context.known_roots()) as held:
        yield held

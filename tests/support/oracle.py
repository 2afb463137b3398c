"""A provider that says what a test wants it to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hashtagd.core.troubles import Trouble
from hashtagd.core.work import Absent, Found, Subject


@dataclass
class Oracle:
    """Says what it is told to about each hash, and keeps whom it was asked about."""

    name: str
    words: dict[str, Any] = field(default_factory=dict)
    ends: Trouble | None = None
    asked: list[list[str]] = field(default_factory=list)
    origin: str | None = None
    batch_limit: int = 100
    slow: bool = False
    reads_headers: bool = True

    def ask(self, subjects: Sequence[Subject]) -> Iterator[tuple[str, Found | Absent | Trouble]]:
        self.asked.append([it.hash for it in subjects])
        yield from self.words.items()
        if self.ends is not None:
            raise self.ends

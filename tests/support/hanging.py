"""A folder on a disk that hangs, as a share does whose server is gone, until it is let go."""

import threading
from dataclasses import dataclass, field
from pathlib import Path, PosixPath


@dataclass
class Hang:
    """One that lasts until it is let go."""

    #: somebody looks
    met: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def path(self, folder: Path) -> Path:
        """Spell a folder so that looks at it hang."""
        hang = self

        class Hanging(PosixPath):
            def __fspath__(self) -> str:
                hang.met.set()
                hang.over.wait()
                return super().__fspath__()

        return Hanging(folder)

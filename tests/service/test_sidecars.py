"""What `show` tells of sidecars on a disk that does not answer."""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from hashtagd.core.place import Place
from hashtagd.service.sidecars import look_at_sidecars
from hashtagd.stages.ground import Ground
from support.library import ROOT, Library, card, written


@dataclass
class DeadShare:
    """A locator whose disk keeps everybody who asks."""

    answer: threading.Event = field(default_factory=threading.Event)

    def locate(self, place: Place) -> Path:
        self.answer.wait()
        raise FileNotFoundError(place.relpath)


def test_a_share_that_never_answers_holds_nobody_up(library: Library) -> None:
    library.note("x.safetensors", "nothing was written for it")
    library.settle()
    library.digest()
    library.answer(card())
    library.publish(publications=[written("x.json", "content")])
    rows = library.catalog.reports.list_files()
    disk = DeadShare()
    ground = Ground(writers={}, locator=disk, clock=library.clock, is_model=lambda _place: False)
    seen = look_at_sidecars(library.catalog, ground, rows, patience_s=0.01)
    disk.answer.set()
    told = [(it.writer, it.path, it.state) for some in seen for it in some]
    assert told == [("json", "x.json", None)]
    assert len(seen) == len(rows)
    assert rows[0].root == ROOT

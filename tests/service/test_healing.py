from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.place import Place
from hashtagd.core.troubles import AskOperator, Scope
from hashtagd.core.work import Park, Stage
from hashtagd.service.clock import StopPause, SystemClock
from hashtagd.service.healing import healed_places, remarks_of
from hashtagd.service.survey import survey_root
from hashtagd.watch.roots import RootFolder, Roots
from hashtagd.watch.scan import ScanReport
from support.safetensors import write
from support.stage_fakes import as_nobody


@dataclass
class Parked:
    catalog: Catalog
    folder: Path
    roots: Roots

    def park(self, name: str, kind: str) -> Place:
        """Let a file be parked for want of a right."""
        write(self.folder / name, data=name.encode())
        survey_root(self.roots.folders["loras"], self.catalog, SystemClock(), StopPause())
        claims = self.catalog.claim(Stage.SETTLE, ["loras"], 10)
        trouble = AskOperator("refused", does="it waits", you="chmod", scope=Scope.FILE, kind=kind)
        self.catalog.apply([(claim, Park(trouble=trouble)) for claim in claims])
        return claims[0].place

    def healed(self) -> list[Place]:
        with as_nobody():
            return healed_places(self.catalog, self.roots, "loras")


@pytest.fixture
def parked(public_folder: Path, tmp_path: Path) -> Iterator[Parked]:
    catalog = Catalog.open(
        f"sqlite:///{tmp_path / 'catalog.db'}", clock=SystemClock(), owner="test", chance=lambda: 0.5
    )
    roots = Roots([RootFolder(name="loras", path=public_folder)])
    yield Parked(catalog, public_folder, roots)
    catalog.close()


def test_a_file_that_may_be_read_again_is_healed(parked: Parked) -> None:
    """F20."""
    place = parked.park("x.safetensors", "not_readable")
    path = parked.folder / "x.safetensors"
    path.chmod(0)
    assert parked.healed() == []
    path.chmod(0o644)
    assert parked.healed() == [place]


def test_a_folder_that_may_be_written_again_heals_its_files(parked: Parked) -> None:
    """F20."""
    place = parked.park("x.safetensors", "no_permission")
    parked.folder.chmod(0o555)
    assert parked.healed() == []
    parked.folder.chmod(0o777)
    assert parked.healed() == [place]


def test_what_no_right_can_heal_stays_parked(parked: Parked) -> None:
    parked.park("x.safetensors", "not_a_model")
    assert parked.healed() == []


def test_names_nobody_can_be_told_are_remarked_on() -> None:
    """F18."""
    unreadable = AskOperator("no", does="skipped", you="chmod", scope=Scope.FILE, kind="folder_unreadable")
    emptied = AskOperator("empty", does="waits", you="mount", scope=Scope.ROOT, kind="root_empty")
    report = ScanReport(unspeakable=2, troubles=[emptied, unreadable])
    assert [trouble.kind for trouble in remarks_of(report)] == ["folder_unreadable", "unspeakable_name"]
    assert remarks_of(ScanReport(unspeakable=1))[0].what == "1 name is not UTF-8"
    assert remarks_of(ScanReport()) == []

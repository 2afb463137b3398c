from pathlib import Path

import pytest

from hashtagd.catalog.catalog import Catalog
from hashtagd.core.ports import Stopping
from hashtagd.service.clock import SystemClock
from hashtagd.service.survey import FOLDERS_PER_COMMIT, survey_root
from hashtagd.watch.roots import RootFolder
from support.safetensors import write
from support.serving import TickingPause


def test_a_survey_notes_in_portions_and_counts_its_changes(catalog: Catalog, tmp_path: Path) -> None:
    for number in range(FOLDERS_PER_COMMIT + 3):
        write(tmp_path / "root" / f"d{number:03}" / "x.safetensors", data=b"%d" % number)
    folder = RootFolder(name="loras", path=tmp_path / "root")
    survey = survey_root(folder, catalog, SystemClock(), TickingPause())
    assert survey.changes == survey.report.files == FOLDERS_PER_COMMIT + 3
    assert catalog.scans.count_files("loras") == survey.changes
    again = survey_root(folder, catalog, SystemClock(), TickingPause())
    assert (again.changes, again.report.files) == (0, survey.changes)


def test_a_survey_of_one_folder_leaves_the_others_alone(catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path / "root" / "a" / "x.safetensors")
    write(tmp_path / "root" / "b" / "y.safetensors", data=b"y")
    folder = RootFolder(name="loras", path=tmp_path / "root")
    assert survey_root(folder, catalog, SystemClock(), TickingPause(), below="a").changes == 1
    assert (set(catalog.scans.files_in("loras", "a")), catalog.scans.count_files("loras")) == (
        {"x.safetensors"},
        1,
    )


def test_a_stop_ends_a_survey(catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path / "root" / "x.safetensors")
    folder = RootFolder(name="loras", path=tmp_path / "root")
    with pytest.raises(Stopping):
        survey_root(folder, catalog, SystemClock(), TickingPause(stopping=True))

from pathlib import Path

from hashtagd.catalog.catalog import Catalog
from hashtagd.service.clock import StopPause, SystemClock
from hashtagd.service.survey import survey_root
from hashtagd.watch.roots import RootFolder
from support.safetensors import write


def test_an_emptied_root_is_believed_only_when_the_owner_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "loras"
    folder.mkdir()
    for number in range(12):
        write(folder / f"model-{number}.safetensors", data=bytes([number]) * 8)
    root = RootFolder(name="loras", path=folder)
    catalog = Catalog.open(
        f"sqlite:///{tmp_path / 'catalog.db'}", clock=SystemClock(), owner="test", chance=lambda: 0.5
    )
    try:
        survey_root(root, catalog, SystemClock(), StopPause())
        for path in folder.iterdir():
            path.unlink()
        doubted = survey_root(root, catalog, SystemClock(), StopPause())
        assert [trouble.kind for trouble in doubted.report.troubles] == ["root_empty"]
        assert catalog.scans.count_files("loras") == 12
        believed = survey_root(root, catalog, SystemClock(), StopPause(), believe_empty=True)
        assert believed.report.troubles == []
        assert catalog.scans.count_files("loras") == 0
    finally:
        catalog.close()

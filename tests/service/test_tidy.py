import os
from datetime import UTC, datetime
from pathlib import Path

from hashtagd.service.presence import FILE_NAME
from hashtagd.service.tidy import sweep_state

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def test_only_old_unfinished_files_of_ours_are_swept(tmp_path: Path) -> None:
    """F87."""
    old = [".hashtagd-new-0123", ".owner-0123.lock", f".{FILE_NAME}.77"]
    kept = ["catalog.db", "owner-0123.lock", FILE_NAME, ".bashrc"]
    for name in [*old, *kept, ".owner-fresh.lock"]:
        (tmp_path / name).write_bytes(b"x")
        age_s = 60 if "fresh" in name else 2 * 3600
        os.utime(tmp_path / name, (NOW.timestamp() - age_s,) * 2)
    (tmp_path / ".owner-folder").mkdir()
    os.utime(tmp_path / ".owner-folder", (0, 0))
    assert sweep_state(tmp_path, NOW) == 3
    assert {path.name for path in tmp_path.iterdir()} == {*kept, ".owner-fresh.lock", ".owner-folder"}
    assert sweep_state(tmp_path, NOW) == 0

import json
from pathlib import Path

from hashtagd.core.troubles import trouble_from_json
from hashtagd.service.health import Health
from hashtagd.service.presence import FILE_NAME, Presence, read_presence, seen_roots
from support.serving import later
from support.stage_fakes import as_nobody

WELL = Health(well=True, reasons=())
ILL = Health(well=False, reasons=("lane scout-1 has ended",))


def test_what_is_told_can_be_read(tmp_path: Path) -> None:
    Presence(tmp_path, {"pid": 7, "paths": {"loras": "/models"}}).tell(
        ILL, {"loras": later()}, {"loras": "poll"}
    )
    found = read_presence(tmp_path)
    assert (found["pid"], found["well"], found["reasons"]) == (7, False, ["lane scout-1 has ended"])
    assert found["watch"] == {"loras": "poll"}
    assert str(trouble_from_json(found["roots"]["loras"])) == str(later())
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_an_idle_daemon_writes_nothing(tmp_path: Path) -> None:
    """F12."""
    presence = Presence(tmp_path, {})
    presence.tell(WELL, {}, {})
    before = (tmp_path / FILE_NAME).stat()
    presence.tell(WELL, {}, {})
    assert (tmp_path / FILE_NAME).stat().st_ino == before.st_ino
    presence.tell(ILL, {}, {})
    assert read_presence(tmp_path)["well"] is False


def test_failing_to_tell_stops_nobody_and_is_tried_again(tmp_path: Path) -> None:
    """F72."""
    folder = tmp_path / "state"
    presence = Presence(folder, {})
    presence.tell(WELL, {}, {})
    folder.mkdir()
    presence.tell(WELL, {}, {})
    assert read_presence(folder)["well"] is True


def test_a_folder_that_turned_read_only_stops_nobody(tmp_path: Path) -> None:
    presence = Presence(tmp_path, {})
    tmp_path.chmod(0o555)
    with as_nobody():
        presence.tell(WELL, {}, {})
    tmp_path.chmod(0o755)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_by_a_folder_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    Presence(tmp_path, {}).tell(WELL, {}, {})
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    assert read_presence(tmp_path) == {}


def test_what_cannot_be_read_counts_as_nothing(tmp_path: Path) -> None:
    assert read_presence(tmp_path / "missing") == {}
    for text in ("{", json.dumps([1]), "\udcff"):
        (tmp_path / FILE_NAME).write_bytes(text.encode(errors="surrogateescape"))
        assert read_presence(tmp_path) == {}


def test_what_was_wrong_outlives_the_process_with_the_time_it_was_seen(tmp_path: Path) -> None:
    presence = Presence(tmp_path, {"paths": {"loras": "/models"}})
    presence.tell(ILL, {}, {"loras": "poll"})
    presence.end({"loras": later()}, {"loras": [later("remark")]})
    told = read_presence(tmp_path)
    assert "well" not in told
    assert "watch" not in told
    seen = seen_roots(told, running=False)["loras"]
    assert (seen.path, seen.seen_at) == ("/models", told["told_at"])
    assert seen.trouble == later().to_json()
    assert list(seen.remarks) == [later("remark").to_json()]
    assert seen_roots(told, running=True)["loras"].seen_at is None


def test_the_next_process_keeps_what_was_wrong_with_roots_that_it_does_not_watch(tmp_path: Path) -> None:
    first = Presence(tmp_path, {"paths": {"loras": "/models", "vae": "/vae", "well": "/well"}})
    first.end({"loras": later(), "vae": later()}, {})
    seen_at = seen_roots(read_presence(tmp_path), running=False)["loras"].seen_at
    for _ in range(2):
        Presence(tmp_path, {"paths": {"vae": "/vae"}}).tell(WELL, {}, {})
    found = seen_roots(read_presence(tmp_path), running=True)
    assert sorted(found) == ["loras", "vae"]
    assert (found["loras"].path, found["loras"].seen_at) == ("/models", seen_at)
    assert (found["vae"].trouble, found["vae"].seen_at) == (None, None)

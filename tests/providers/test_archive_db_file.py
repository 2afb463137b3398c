"""The archive database as a file: where it is found, how it is left, what is wrong with it; and its index."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from hashtagd.core.ports import Stopping
from hashtagd.core.troubles import AskOperator, Scope, TryLater
from hashtagd.core.work import Absent, Found
from hashtagd.providers.archive_db import ArchiveDb, ArchiveDbOptions
from hashtagd.providers.archive_db.database import opened
from hashtagd.providers.archive_db.index import HashIndex
from support.archive_samples import archive, filled
from support.stage_fakes import as_nobody
from support.surroundings import World, sha, subject


class Place:
    """A database, a state folder beside it, and a provider for each question."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lora-manager" / "civitai" / "civitai.sqlite"
        self.state = folder / "state"
        self.index = self.state / "archive-db.index"
        self.world = World()

    def provider(self, path: Path | None = None) -> ArchiveDb:
        around = replace(self.world.surroundings, state_folder=self.state)
        return ArchiveDb(ArchiveDbOptions(path=str(path or self.path)), around)

    def ask(self, *hashes: str, path: Path | None = None) -> list[bool]:
        """Tell for each hash whether it is known."""
        answers = dict(self.provider(path).ask([subject(text) for text in hashes]))
        assert all(isinstance(answer, Found | Absent) for answer in answers.values())
        return [isinstance(answers[text], Found) for text in hashes]

    def trouble(self) -> AskOperator:
        with pytest.raises(AskOperator) as met:
            self.ask(sha(1))
        assert met.value.scope is Scope.PROVIDER
        for clause in (met.value.what, met.value.does, met.value.you):
            assert clause
            assert str(self.path.parent) not in clause
        return met.value

    def indexed(self) -> int:
        """Count how often an index was built."""
        return [event for event, _ in self.world.told].count("archive_indexed")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    filled(made.path)
    return made


@pytest.fixture
def open_place(public_folder: Path) -> Place:
    """A place that nobody may look into as well."""
    made = Place(public_folder)
    filled(made.path, 3)
    made.state.mkdir()
    made.state.chmod(0o777)
    return made


def looks(folder: Path) -> dict[str, bytes]:
    return {item.name: item.read_bytes() for item in folder.iterdir()}


def logged(path: Path) -> None:
    """Let the database keep a write-ahead log."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("pragma journal_mode = wal").fetchone() == ("wal",)


@pytest.mark.parametrize("parts", [0, 1, 2])
def test_the_file_its_folder_and_the_folder_above_all_name_the_database(place: Place, parts: int) -> None:
    named = [place.path, *place.path.parents][parts]
    assert place.ask(sha(1), sha(999), path=named) == [True, False]


def test_a_name_with_odd_characters_is_found(place: Place, tmp_path: Path) -> None:
    odd = tmp_path / "a ?b#c%20.sqlite"
    shutil.move(place.path, odd)
    assert place.ask(sha(1), path=odd) == [True]


@pytest.mark.parametrize("path", ["civitai.sqlite", "", "~bob/x", "/a\0b", 7])
def test_a_path_that_names_no_place_is_refused(path: object) -> None:
    with pytest.raises(ValidationError):
        ArchiveDbOptions.model_validate({"path": path})


def test_a_path_in_the_home_folder_is_expanded(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place.ask(sha(1), path=Path("~/lora-manager")) == [True]


def plainly(_path: Path) -> None:
    """Leave the database as it is."""


@pytest.mark.parametrize("kind", [plainly, logged])
def test_nothing_is_written_and_nothing_laid_beside_it(place: Place, kind: Callable[[Path], None]) -> None:
    kind(place.path)
    before, status = looks(place.path.parent), place.path.stat()
    assert place.ask(*(sha(number) for number in range(1, 400))).count(True) == 300
    assert looks(place.path.parent) == before
    assert list(before) == ["civitai.sqlite"]
    assert place.path.stat().st_mtime_ns == status.st_mtime_ns


@pytest.mark.parametrize("kind", [plainly, logged])
def test_a_folder_that_cannot_be_written_will_do(open_place: Place, kind: Callable[[Path], None]) -> None:
    kind(open_place.path)
    open_place.path.chmod(0o444)
    open_place.path.parent.chmod(0o555)
    try:
        with as_nobody():
            assert not os.access(open_place.path.parent, os.W_OK, effective_ids=True)
            assert open_place.ask(sha(1)) == [True]
    finally:
        open_place.path.parent.chmod(0o755)
    assert list(looks(open_place.path.parent)) == ["civitai.sqlite"]


def test_a_database_that_is_missing_is_never_an_absent_model(place: Place) -> None:
    assert place.ask(sha(1)) == [True]
    place.path.unlink()
    assert place.trouble().kind == "archive_missing"
    place.path.mkdir()
    assert place.trouble().kind == "archive_missing"
    shutil.rmtree(place.path.parent)
    place.path.parent.write_bytes(b"")
    assert place.trouble().kind == "archive_missing"


@pytest.mark.parametrize("closed", ["file", "folder"])
def test_a_database_that_may_not_be_read_is_a_trouble(open_place: Place, closed: str) -> None:
    shut = open_place.path if closed == "file" else open_place.path.parent
    shut.chmod(0)
    try:
        with as_nobody():
            assert open_place.trouble().kind == "archive_unreadable"
    finally:
        shut.chmod(0o755)


def test_a_circle_of_links_is_unreadable(place: Place) -> None:
    place.path.unlink()
    place.path.symlink_to(place.path)
    assert place.trouble().kind == "archive_unreadable"


@pytest.mark.parametrize("content", [b"", b"<html>", b"SQLite format 3\0"])
def test_a_file_of_another_kind_is_a_trouble(place: Place, content: bytes) -> None:
    place.path.write_bytes(content)
    assert place.trouble().kind in ("archive_foreign", "archive_damaged")


@pytest.mark.parametrize(
    "change",
    [
        "drop table models",
        "drop table archived_model_files",
        "alter table model_files rename column sha256 to hash",
        "alter table model_versions rename column data to json",
    ],
)
def test_a_database_with_other_tables_is_a_trouble(place: Place, change: str) -> None:
    with archive(place.path) as made:
        made.run(change)
    assert place.trouble().kind == "archive_foreign"


def test_a_damaged_database_is_a_trouble(place: Place) -> None:
    whole = place.path.read_bytes()
    place.path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    assert place.trouble().kind == "archive_damaged"
    place.path.write_bytes(whole[:12_288])
    assert place.trouble().kind == "archive_damaged"


def test_a_database_that_another_program_holds_is_a_trouble(place: Place) -> None:
    with closing(sqlite3.connect(place.path, isolation_level=None)) as other:
        other.execute("begin exclusive")
        assert place.trouble().kind == "archive_locked"
        other.execute("rollback")
    assert place.ask(sha(1)) == [True]


def test_a_log_that_is_not_merged_yet_is_a_trouble(place: Place) -> None:
    logged(place.path)
    with closing(sqlite3.connect(place.path, isolation_level=None)) as other:
        other.execute("insert into archived_model_files values (1, 1, 1)")
        before = looks(place.path.parent)
        assert place.trouble().kind == "archive_locked"
        assert looks(place.path.parent) == before
    assert place.ask(sha(1)) == [True]


def test_a_journal_of_a_killed_program_is_a_trouble_and_left_alone(place: Place) -> None:
    """It can only be undone by writing."""
    copied = place.path.with_name("copy.sqlite")
    with closing(sqlite3.connect(place.path, isolation_level=None)) as other:
        other.execute("pragma cache_size = 1")
        other.execute("begin immediate")
        other.execute("update model_files set data = hex(randomblob(2000))")
        shutil.copy(place.path, copied)
        shutil.copy(f"{place.path}-journal", f"{copied}-journal")
        other.execute("rollback")
    place.path = copied
    before = looks(copied.parent)
    assert place.trouble().kind == "archive_unreadable"
    assert looks(copied.parent) == before


def test_an_index_is_built_once_and_kept(place: Place) -> None:
    assert place.ask(sha(1)) == [True]
    assert place.ask(sha(2), sha(999)) == [True, False]
    assert place.indexed() == 1
    assert [item.name for item in place.state.iterdir()] == ["archive-db.index"]


def test_one_provider_trusts_an_index_that_it_has_seen(place: Place) -> None:
    provider = place.provider()
    for number in range(3):
        assert len(list(provider.ask([subject(sha(number))]))) == 1
    assert place.indexed() == 1


def test_a_new_database_gets_a_new_index(place: Place) -> None:
    provider = place.provider()
    (answer,) = provider.ask([subject(sha(999))])
    assert isinstance(answer[1], Absent)
    with archive(place.path) as made:
        made.file(999_999, 50, 1, sha(999))
    (answer,) = provider.ask([subject(sha(999))])
    assert isinstance(answer[1], Found)
    assert place.indexed() == 2


def empty(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table mark (version integer)")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4096])


def overwritten(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))


def robbed(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("delete from hint where file_id = 300001")
        connection.commit()


def turned(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("update hint set prefix = prefix + 1 where file_id = 300001")
        connection.commit()


def aged(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("update mark set version = version - 1")
        connection.commit()


@pytest.mark.parametrize("harm", [Path.unlink, empty, foreign, cut, overwritten, robbed, turned, aged])
@pytest.mark.parametrize("anew", [True, False])
def test_a_spoiled_index_is_built_again(place: Place, harm: Callable[[Path], None], anew: bool) -> None:  # noqa: FBT001
    provider = place.provider()
    assert len(list(provider.ask([subject(sha(1))]))) == 1
    harm(place.index)
    if anew:
        provider = place.provider()
    (answer,) = provider.ask([subject(sha(1))])
    assert isinstance(answer[1], Found)
    assert place.indexed() == 2


def test_an_index_that_leads_to_other_rows_makes_no_wrong_match(place: Place) -> None:
    place.ask(sha(1))
    with closing(sqlite3.connect(place.index)) as connection:
        # the sums stay right
        connection.execute("update hint set file_id = 600003 - file_id where file_id in (300001, 300002)")
        connection.commit()
    assert place.ask(sha(1)) == [False]


def test_an_index_that_goes_between_two_looks_is_a_trouble_and_built_again(place: Place) -> None:
    index = HashIndex(place.index)
    with opened(place.path) as database:
        assert index.build(database, lambda: False) == 300
        place.index.unlink()
        with pytest.raises(AskOperator) as met:
            index.rows_of([sha(1)])
        assert met.value.kind == "archive_index"
        assert not index.is_current(database.stamp)
    assert place.ask(sha(1)) == [True]


def test_an_index_that_cannot_be_written_is_a_trouble(place: Place) -> None:
    place.state.write_bytes(b"a file where a folder should be")
    assert place.trouble().kind == "archive_index"
    assert place.ask(path=place.path) == []


def test_an_index_that_cannot_get_its_name_is_a_trouble(place: Place) -> None:
    place.index.mkdir(parents=True)
    assert place.trouble().kind == "archive_index"
    assert [item.name for item in place.state.iterdir()] == ["archive-db.index"]


def test_without_a_state_folder_the_index_is_gone_at_the_end(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    provider = ArchiveDb(ArchiveDbOptions(path=str(place.path)), place.world.surroundings)
    assert list(scratch.iterdir()) == []
    assert len(list(provider.ask([subject(sha(1))]))) == 1
    assert len(list(scratch.rglob("archive-db.index"))) == 1
    for _ in range(2):
        provider.close()
        assert list(scratch.iterdir()) == []


def test_a_stop_ends_the_building_and_leaves_nothing_half(place: Place) -> None:
    place.world.pause.stop_after = 0
    with pytest.raises(Stopping):
        place.ask(sha(1))
    assert not place.state.exists()


class StopLater:
    """A pause that is asked to stop after it was looked at so often."""

    def __init__(self, looks: int) -> None:
        self._left = looks

    @property
    def stopping(self) -> bool:
        self._left -= 1
        return self._left < 0

    def wait(self, seconds: float) -> bool:
        raise AssertionError(f"waits {seconds} s")


def test_a_stop_amid_the_rows_leaves_no_temporary_file(place: Place) -> None:
    around = replace(place.world.surroundings, state_folder=place.state, pause=StopLater(1))
    provider = ArchiveDb(ArchiveDbOptions(path=str(place.path)), around)
    with pytest.raises(Stopping):
        list(provider.ask([subject(sha(1))]))
    assert list(place.state.iterdir()) == []


class Meddling(World):
    """A world in which something happens to the database while the index is built."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        super().__init__()
        self.surroundings = replace(self.surroundings, tell=lambda _event, _values: meddle())


@pytest.mark.parametrize("change", ["touch", "replace", "remove"])
def test_a_database_that_changes_while_it_is_read_gives_no_answer(place: Place, change: str) -> None:
    def meddle() -> None:
        if change == "touch":
            os.utime(place.path, (1, 1))
            return
        place.path.unlink()
        if change == "replace":
            filled(place.path, 3)

    place.world = Meddling(meddle)
    answers: Iterator[object] = place.provider().ask([subject(sha(999))])
    with pytest.raises(TryLater) as met:
        list(answers)
    assert (met.value.scope, met.value.kind) == (Scope.PROVIDER, "archive_changed")


def test_a_file_from_before_or_after_all_time_still_answers(place: Place) -> None:
    for mtime_s in (-(10**6), 10**10):
        os.utime(place.path, (mtime_s, mtime_s))
        assert place.ask(sha(1)) == [True]


def test_nothing_is_held_open_between_answers(place: Place) -> None:
    answers = place.provider().ask([subject(sha(number)) for number in range(1, 300)])
    assert isinstance(next(answers)[1], Found)
    with archive(place.path) as made:  # a writer gets its turn at once
        made.run("update models set name = 'new'")
    assert all(isinstance(answer, Found) for _, answer in answers)

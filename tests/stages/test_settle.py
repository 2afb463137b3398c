"""The settle stage on real files: what a look at each kind of unfinished or hostile file leads to."""

import os
import socket
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hashtagd.core.chain import Chain
from hashtagd.core.header import Incomplete, NotAModel, Whole
from hashtagd.core.place import Place, Stamp
from hashtagd.core.troubles import AskOperator, GiveUp, Scope, TryLater
from hashtagd.core.work import (
    Advance,
    Claim,
    Defer,
    Forget,
    Outcome,
    Park,
    Release,
    Restart,
    Settled,
    Stage,
)
from hashtagd.stages.settle import SettleOptions, SettleStage, read_verdict
from support.safetensors import build, frame, make_safetensors
from support.stage_fakes import (
    NOW,
    ROOT,
    FolderLocator,
    ScriptedPause,
    StillClock,
    as_nobody,
    at_rest,
    claim,
    no_more_files,
    place_silent,
    root_away,
    stamp,
)

QUIET_S = 10.0
#: names that several downloaders use for their control files
SUFFIXES = (".aria2", ".part", ".crdownload")


def companions(name: str) -> tuple[str, ...]:
    return tuple(name + suffix for suffix in SUFFIXES)


def settle_stage(
    folder: Path,
    *,
    pause: ScriptedPause | None = None,
    locator: FolderLocator | None = None,
    find: Callable[[str], tuple[str, ...]] = companions,
) -> SettleStage:
    return SettleStage(
        locator=locator or FolderLocator(folder),
        clock=StillClock(),
        pause=pause or ScriptedPause(),
        options={ROOT: SettleOptions(quiet_s=QUIET_S)},
        companions=find,
        chain=Chain(),
        chance=lambda: 0.5,
    )


def settle_claim(path: Path, folder: Path, *, still_s: float = 3_600.0, known: Stamp | None = None) -> Claim:
    return claim(path, folder, stage=Stage.SETTLE, still_s=still_s, known=known)


def settle(path: Path, folder: Path, *, still_s: float = 3_600.0, known: Stamp | None = None) -> Outcome:
    (outcome,) = settle_stage(folder).run([settle_claim(path, folder, still_s=still_s, known=known)])
    return outcome


def test_a_whole_file_at_rest_goes_on_with_what_its_header_says(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    content = make_safetensors(path, metadata={"modelspec.title": "A"})
    outcome = settle(path, tmp_path)
    assert isinstance(outcome, Advance)
    assert isinstance(outcome.facts, Settled)
    assert outcome.facts.header is not None
    assert outcome.facts.header.length_bytes == struct.unpack("<Q", content[:8])[0]
    assert outcome.facts.header.metadata == {"modelspec.title": "A"}


def test_a_header_longer_than_the_first_read_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    make_safetensors(path, metadata={f"key{number}": "v" * 1000 for number in range(300)})
    outcome = settle(path, tmp_path)
    assert isinstance(outcome, Advance)
    assert isinstance(outcome.facts, Settled)
    assert outcome.facts.header is not None
    assert len(outcome.facts.header.metadata) == 300


def test_before_its_quiet_time_a_file_is_not_even_opened(public_folder: Path) -> None:
    path = public_folder / "x.safetensors"
    make_safetensors(path)
    path.chmod(0)  # so that opening it would show
    with as_nobody():
        assert settle(path, public_folder, still_s=4.0) == Defer(trouble=None, wait_s=6.0)


def test_a_file_that_changed_since_it_was_noted_starts_over(tmp_path: Path) -> None:
    """F31, F35."""
    path = tmp_path / "x.safetensors"
    make_safetensors(path)
    known = stamp(path)
    with path.open("ab") as file:
        file.write(b"more")
    assert settle(path, tmp_path, known=known) == Restart(stamp=stamp(path))


def test_a_file_that_changes_between_the_look_and_the_read_starts_over(tmp_path: Path) -> None:
    """F31."""
    path = tmp_path / "x.safetensors"
    make_safetensors(path)
    row = settle_claim(path, tmp_path)

    def meanwhile(name: str) -> tuple[str, ...]:
        os.utime(path.with_name(name), ns=(1, 1))
        return ()

    (outcome,) = settle_stage(tmp_path, find=meanwhile).run([row])
    assert outcome == Restart(stamp=stamp(path))


def test_rest_is_counted_from_the_last_change_where_the_file_tells_it(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    make_safetensors(path)
    known = Stamp(size_bytes=1, mtime_ns=1, inode=1)
    at_rest(path, 60.0)
    restart = settle(path, tmp_path, known=known)
    assert restart == Restart(stamp=stamp(path), still_since=NOW - timedelta(seconds=60))
    for seconds in (7_200.0, -60.0):  # before the row was made, and after now: no times to believe
        at_rest(path, seconds)
        assert settle(path, tmp_path, known=known) == Restart(stamp=stamp(path))


def test_a_file_that_never_stops_changing_never_gets_past_this_stage(tmp_path: Path) -> None:
    """F35."""
    path = tmp_path / "x.safetensors"
    make_safetensors(path)
    known = stamp(path)
    for look in range(5):
        os.utime(path, ns=(0, look + 1))
        outcome = settle(path, tmp_path, known=known)
        assert outcome == Restart(stamp=stamp(path))
        known = stamp(path)


def test_another_inode_of_the_same_size_and_time_starts_over(tmp_path: Path) -> None:
    """F19."""
    path = tmp_path / "x.safetensors"
    make_safetensors(path)
    known = stamp(path)
    twin = tmp_path / "twin"
    make_safetensors(twin)
    os.utime(twin, ns=(known.mtime_ns, known.mtime_ns))
    twin.replace(path)
    assert settle(path, tmp_path, known=known) == Restart(stamp=stamp(path))


def test_where_inodes_cannot_be_trusted_only_size_and_time_count(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    make_safetensors(path)
    assert isinstance(settle(path, tmp_path, known=stamp(path, trusted=False)), Advance)
    os.utime(path, ns=(1, 1))
    other = Stamp(size_bytes=path.stat().st_size, mtime_ns=2, inode=0)
    assert settle(path, tmp_path, known=other) == Restart(stamp=stamp(path, trusted=False))


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 60, 100])
def test_a_file_cut_off_anywhere_is_incomplete(tmp_path: Path, length: int) -> None:
    """F22."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(build(data=bytes(200))[:length])
    outcome = settle(path, tmp_path)
    assert isinstance(outcome, Defer)
    assert isinstance(outcome.trouble, TryLater)
    assert (outcome.trouble.kind, outcome.trouble.scope) == ("incomplete", Scope.FILE)
    assert outcome.wait_s >= QUIET_S


def test_looks_get_rarer_and_end_after_a_day(tmp_path: Path) -> None:
    """F22."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(build(data=bytes(200))[:150])
    soon, later = (settle(path, tmp_path, still_s=still_s) for still_s in (60.0, 3_000.0))
    assert isinstance(soon, Defer)
    assert isinstance(later, Defer)
    assert soon.wait_s < later.wait_s <= 3_600
    end = settle(path, tmp_path, still_s=90_000.0)
    assert isinstance(end, Park)
    assert isinstance(end.trouble, GiveUp)


@pytest.mark.parametrize(
    "content, guess",
    [
        (b"<!DOCTYPE html><html><head><title>Log in</title></head></html>" + b" " * 600, "HTML"),
        (b'{"error": "Unauthorized", "message": "no key"}' + b" " * 600, "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n" + b"\n" * 600, "LFS"),
        (b"PK\x03\x04" + b"\xff" * 600, "zip"),
    ],
    ids=["html", "json", "lfs", "zip"],
)
def test_what_is_no_model_is_parked_with_a_guess_at_what_it_is(
    tmp_path: Path, content: bytes, guess: str
) -> None:
    """F27."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    outcome = settle(path, tmp_path)
    assert isinstance(outcome, Park)
    assert isinstance(outcome.trouble, GiveUp)
    assert guess.lower() in str(outcome.trouble).lower()


def test_a_length_beyond_the_format_is_never_allocated(tmp_path: Path) -> None:
    """F23."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", 2**64 - 1) + bytes(1_000))
    assert isinstance(settle(path, tmp_path), Park)


def test_a_header_too_large_to_be_kept_is_settled_by_its_size_alone(tmp_path: Path) -> None:
    """F23."""
    path = tmp_path / "x.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 17 << 20))
        file.truncate((17 << 20) + 8)
    assert settle(path, tmp_path) == Advance(facts=Settled(header=None))


def test_a_companion_keeps_a_file_that_looks_whole(tmp_path: Path) -> None:
    """F28."""
    path = tmp_path / "x.safetensors"
    make_safetensors(path)
    control = tmp_path / "x.safetensors.aria2"
    control.write_bytes(b"")
    outcome = settle(path, tmp_path)
    assert isinstance(outcome, Defer)
    assert outcome.trouble is not None
    assert "x.safetensors.aria2" in outcome.trouble.what
    control.unlink()
    assert isinstance(settle(path, tmp_path), Advance)


def test_a_companion_of_another_file_keeps_nobody(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    make_safetensors(path)
    (tmp_path / "y.safetensors.aria2").write_bytes(b"")
    assert isinstance(settle(path, tmp_path), Advance)


def test_reserved_space_without_content_is_not_read_as_a_model(tmp_path: Path) -> None:
    """F28."""
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"")
    os.truncate(path, 1 << 30)
    assert path.stat().st_blocks == 0
    outcome = settle(path, tmp_path)
    assert isinstance(outcome, Defer)
    assert outcome.trouble is not None


def test_a_header_followed_by_holes_has_to_rest_much_longer(tmp_path: Path) -> None:
    """F28."""
    path = tmp_path / "x.safetensors"
    content = build(data=b"")
    header = content[8:].replace(b"[0]", b"[4194304]").replace(b"[0,0]", b"[0,4194304]")
    path.write_bytes(frame(header))
    os.truncate(path, 8 + len(header) + 4194304)
    assert isinstance(settle(path, tmp_path, still_s=QUIET_S + 1), Defer)
    assert isinstance(settle(path, tmp_path, still_s=86_400.0), Advance)


def test_formats_without_a_header_are_judged_by_rest_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"anything")
    assert settle(path, tmp_path) == Advance(facts=Settled(header=None))


def test_extensions_count_in_any_case(tmp_path: Path) -> None:
    path = tmp_path / "X.SafeTensors"
    path.write_bytes(b"<html>" + b" " * 600)
    assert isinstance(settle(path, tmp_path), Park)


def test_a_file_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    make_safetensors(path)
    row = settle_claim(path, tmp_path)
    path.unlink()
    assert settle_stage(tmp_path).run([row]) == [Forget()]


def test_a_folder_that_became_a_file_is_gone_too(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "x.safetensors"
    make_safetensors(path)
    row = settle_claim(path, tmp_path)
    path.unlink()
    path.parent.rmdir()
    path.parent.write_bytes(b"")
    assert settle_stage(tmp_path).run([row]) == [Forget()]


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        folder = os.open(path.parent, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")  # the name alone could be too long for a socket
        os.close(folder)


def _loop(path: Path) -> None:
    path.symlink_to(path.name)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [_fifo, _folder, _socket, _loop, _dangling])
def test_what_is_no_file_is_never_waited_for(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """F21, F17."""
    path = tmp_path / "x.safetensors"
    known = Stamp(size_bytes=1, mtime_ns=1, inode=1)
    make(path)
    row = claim(path, tmp_path, stage=Stage.SETTLE, known=known)
    assert settle_stage(tmp_path).run([row]) == [Forget()]


def test_a_symlink_is_judged_by_what_it_leads_to(tmp_path: Path) -> None:
    """F17."""
    blob = tmp_path / "blobs" / "abc"
    make_safetensors(blob)
    path = tmp_path / "x.safetensors"
    path.symlink_to("blobs/abc")
    assert isinstance(settle(path, tmp_path), Advance)


def test_a_file_that_may_not_be_read_waits_for_a_person(public_folder: Path) -> None:
    """F20."""
    path = public_folder / "x.safetensors"
    make_safetensors(path)
    path.chmod(0)
    with as_nobody():
        outcome = settle(path, public_folder)
    assert isinstance(outcome, Park)
    assert isinstance(outcome.trouble, AskOperator)


def test_when_no_file_can_be_opened_any_more_the_lane_rests(tmp_path: Path) -> None:
    """F82."""
    path = tmp_path / "x.safetensors"
    make_safetensors(path)
    row = settle_claim(path, tmp_path)
    stage = settle_stage(tmp_path)
    with no_more_files(), pytest.raises(TryLater) as caught:
        stage.run([row])
    assert caught.value.scope is Scope.DAEMON
    assert isinstance(stage.run([row])[0], Advance)


def test_a_root_that_is_away_gives_the_row_back(tmp_path: Path) -> None:
    """F06."""
    path = tmp_path / "x.safetensors"
    make_safetensors(path)
    trouble = root_away()
    stage = settle_stage(tmp_path, locator=FolderLocator(tmp_path, trouble))
    assert stage.run([settle_claim(path, tmp_path)]) == [Release(trouble=trouble)]


@pytest.mark.parametrize("attempts", [1, 20])
def test_a_file_that_does_not_answer_waits_and_is_not_blamed(tmp_path: Path, attempts: int) -> None:
    path = tmp_path / "x.safetensors"
    make_safetensors(path)
    trouble = place_silent()
    stage = settle_stage(tmp_path, locator=FolderLocator(tmp_path, trouble))
    claim = replace(settle_claim(path, tmp_path), attempts=attempts)
    assert stage.run([claim]) == [Release(trouble=trouble, wait_s=300.0)]


class _LeavingLocator(FolderLocator):
    """A root whose disk goes away right after it was located."""

    def locate(self, place: Place) -> Path:
        path = super().locate(place)
        path.unlink()
        self.trouble = root_away()
        return path


def test_a_disk_that_goes_away_midway_is_no_deletion(tmp_path: Path) -> None:
    """F06."""
    path = tmp_path / "x.safetensors"
    make_safetensors(path)
    stage = settle_stage(tmp_path, locator=_LeavingLocator(tmp_path))
    (outcome,) = stage.run([settle_claim(path, tmp_path)])
    assert isinstance(outcome, Release)
    assert outcome.trouble is not None
    assert outcome.trouble.kind == "root_away"


def test_a_stop_gives_the_rest_back(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    make_safetensors(path)
    stage = settle_stage(tmp_path, pause=ScriptedPause(stopping=True))
    assert stage.run([settle_claim(path, tmp_path)] * 2) == [Release(), Release()]


def test_one_bad_file_in_a_batch_costs_only_itself(tmp_path: Path) -> None:
    def outcomes(names: Sequence[str]) -> list[Outcome]:
        return settle_stage(tmp_path).run([settle_claim(tmp_path / name, tmp_path) for name in names])

    make_safetensors(tmp_path / "good.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"\xff" * 1000)
    make_safetensors(tmp_path / "fine.safetensors")
    kinds = [
        type(outcome) for outcome in outcomes(["good.safetensors", "bad.safetensors", "fine.safetensors"])
    ]
    assert kinds == [Advance, Park, Advance]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_prefix_of_a_model_is_ever_whole(tmp_path: Path, data: st.DataObject) -> None:
    """F22."""
    content = make_safetensors(metadata={"a": "b" * data.draw(st.integers(0, 50))}, data_bytes=30)
    cut = data.draw(st.integers(0, len(content)))
    path = tmp_path / "x.safetensors"
    path.write_bytes(content[:cut])
    with path.open("rb") as file:
        verdict = read_verdict(file.fileno(), cut)
    assert isinstance(verdict, Whole) == (cut == len(content))
    assert isinstance(verdict, Whole | Incomplete | NotAModel)


def test_bytes_that_came_since_the_last_look_rest_since_their_own_time_not_since_this_look(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.safetensors"
    make_safetensors(path)
    moved = path.stat()
    clock = StillClock(
        moment=datetime.fromtimestamp(max(moved.st_mtime, moved.st_ctime), UTC) + timedelta(seconds=3)
    )
    stage = SettleStage(
        locator=FolderLocator(tmp_path),
        clock=clock,
        pause=ScriptedPause(),
        options={ROOT: SettleOptions(quiet_s=QUIET_S)},
        companions=companions,
        chain=Chain(),
        chance=lambda: 0.5,
    )
    known = Stamp(size_bytes=1, mtime_ns=1, inode=1)
    looked_before = replace(
        settle_claim(path, tmp_path, known=known), still_since=clock.moment - timedelta(seconds=8)
    )
    (outcome,) = stage.run([looked_before])
    assert isinstance(outcome, Restart)
    assert outcome.still_since == clock.moment - timedelta(seconds=3)


def test_a_time_before_the_last_look_is_not_believed(tmp_path: Path) -> None:
    """F88: the file's clock is behind ours."""
    path = tmp_path / "x.safetensors"
    make_safetensors(path)
    known = Stamp(size_bytes=1, mtime_ns=1, inode=1)
    assert settle(path, tmp_path, known=known) == Restart(stamp=stamp(path), still_since=None)

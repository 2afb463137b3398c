"""The digest stage on real files that change, vanish or fail while they are read."""

import errno
import hashlib
import os
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hashtagd.core.chain import Chain, Link
from hashtagd.core.header import Header
from hashtagd.core.ports import Stopping
from hashtagd.core.schedule import MAX_ATTEMPTS, file_retry_wait_s
from hashtagd.core.troubles import AskOperator, GiveUp, Scope, TryLater
from hashtagd.core.work import (
    Advance,
    Claim,
    Defer,
    Digested,
    Forget,
    HashKind,
    Outcome,
    Park,
    Put,
    QuestionKey,
    Release,
    Restart,
)
from hashtagd.stages.digest import DigestOptions, DigestStage, ignore_progress
from hashtagd.stages.hashing import LargeFileHasher, SmallFileHasher
from hashtagd.stages.reading import Preadv
from support.safetensors import build, make_safetensors
from support.stage_fakes import (
    NOW,
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

BLOCK = 16 * 1024
#: files from this size on take the way of large files in these tests
LARGE = 8 * BLOCK
#: one size for each of the two ways
SIZES = [3 * BLOCK, 12 * BLOCK]
CIVITAI = Chain((Link(name="civitai"),))


class Bench:
    """A digest stage over one folder, with everything around it scripted."""

    def __init__(
        self,
        folder: Path,
        *,
        progress: Callable[[Claim, int], None] = ignore_progress,
        preadv: Preadv = os.preadv,
        chain: Chain = CIVITAI,
        workers: int = 2,
        now: datetime = NOW,
    ) -> None:
        self.folder = folder
        self.clock = StillClock(now)
        self.pause = ScriptedPause(self.clock)
        self.locator = FolderLocator(folder)
        self.stage = DigestStage(
            locator=self.locator,
            clock=self.clock,
            pause=self.pause,
            chain=chain,
            options=DigestOptions(workers=workers),
            chance=lambda: 0.5,
            progress=progress,
            large=LargeFileHasher(preadv=preadv, block_bytes=BLOCK),
            small=lambda: SmallFileHasher(preadv=preadv, block_bytes=BLOCK),
            large_from_bytes=LARGE,
        )

    def run(self, *claims: Claim) -> list[Outcome]:
        try:
            return self.stage.run(claims)
        finally:
            self.stage.close()

    def one(self, path: Path, *, attempts: int = 1) -> Outcome:
        (outcome,) = self.run(claim(path, self.folder, attempts=attempts))
        return outcome


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def digested(outcome: Outcome) -> Digested:
    assert isinstance(outcome, Advance), outcome
    assert isinstance(outcome.facts, Digested)
    return outcome.facts


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.safetensors"


def write(path: Path, size_bytes: int) -> bytes:
    content = os.urandom(size_bytes)
    path.write_bytes(content)
    at_rest(path)
    return content


@pytest.mark.parametrize("size", SIZES)
def test_unchanged_bytes_are_hashed_and_put_the_first_question(tmp_path: Path, path: Path, size: int) -> None:
    content = build(data=os.urandom(size))
    path.write_bytes(content)
    at_rest(path)
    facts = digested(Bench(tmp_path).one(path))
    header_bytes = 8 + struct.unpack("<Q", content[:8])[0]
    assert facts.digests.sha256 == sha256(content)
    assert facts.digests.tensors_sha256 == sha256(content[header_bytes:])
    key = QuestionKey(hash_kind=HashKind.SHA256, hash=sha256(content), provider="civitai")
    assert facts.questions == (Put(key=key),)


def test_without_providers_no_question_is_put(tmp_path: Path, path: Path) -> None:
    write(path, 100)
    assert digested(Bench(tmp_path, chain=Chain()).one(path)).questions == ()


def test_the_known_header_says_where_the_tensors_begin(tmp_path: Path, path: Path) -> None:
    content = write(path, 1_000)
    header = Header(length_bytes=92, tensor_count=1)
    (outcome,) = Bench(tmp_path).run(claim(path, tmp_path, header=header))
    assert digested(outcome).digests.tensors_sha256 == sha256(content[100:])


def test_a_header_too_large_to_be_kept_still_has_a_tensor_part(tmp_path: Path, path: Path) -> None:
    """F23."""
    length = 17 << 20
    with path.open("wb") as file:
        file.write(struct.pack("<Q", length))
        file.seek(8 + length)
        file.write(b"tensors")
    at_rest(path)
    assert digested(Bench(tmp_path).one(path)).digests.tensors_sha256 == sha256(b"tensors")


@pytest.mark.parametrize("name", ["x.gguf", "x.ckpt"])
def test_formats_without_a_header_have_no_tensor_part(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    make_safetensors(path)
    at_rest(path)
    assert digested(Bench(tmp_path).one(path)).digests.tensors_sha256 is None


def test_a_length_that_leads_beyond_the_file_is_no_header(tmp_path: Path, path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 1_000) + bytes(100))
    at_rest(path)
    assert digested(Bench(tmp_path).one(path)).digests.tensors_sha256 is None


@pytest.mark.parametrize("size", SIZES)
def test_a_file_that_grows_while_hashed_goes_back_to_settle(tmp_path: Path, path: Path, size: int) -> None:
    """F31."""

    def grow(_: Claim, done_bytes: int) -> None:
        if done_bytes == BLOCK:
            with path.open("ab") as file:
                file.write(b"more")

    write(path, size)
    assert Bench(tmp_path, progress=grow).one(path) == Restart(stamp=stamp(path))


@pytest.mark.parametrize("size", SIZES)
def test_a_file_rewritten_in_place_while_hashed_goes_back_to_settle(
    tmp_path: Path, path: Path, size: int
) -> None:
    """F31, F35."""

    def rewrite(_: Claim, done_bytes: int) -> None:
        if done_bytes == BLOCK:
            with path.open("r+b") as file:
                file.write(b"other bytes, same size")

    write(path, size)
    assert Bench(tmp_path, progress=rewrite).one(path) == Restart(stamp=stamp(path))


@pytest.mark.parametrize("size", SIZES)
def test_a_file_replaced_by_rename_while_hashed_goes_back_to_settle(
    tmp_path: Path, path: Path, size: int
) -> None:
    """F32."""

    def replace(_: Claim, done_bytes: int) -> None:
        if done_bytes == BLOCK:
            twin = tmp_path / "twin"
            twin.write_bytes(os.urandom(size))
            at_rest(twin)  # same size, same time: only the inode tells
            twin.replace(path)

    write(path, size)
    assert Bench(tmp_path, progress=replace).one(path) == Restart(stamp=stamp(path))


@pytest.mark.parametrize("size", SIZES)
def test_a_file_cut_short_while_hashed_goes_back_to_settle(tmp_path: Path, path: Path, size: int) -> None:
    """F33."""

    def cut(_: Claim, done_bytes: int) -> None:
        if done_bytes == BLOCK:
            os.truncate(path, BLOCK + 1)

    write(path, size)
    assert Bench(tmp_path, progress=cut).one(path) == Restart(stamp=stamp(path))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("empty_first", [False, True])
def test_a_file_deleted_while_hashed_is_forgotten(
    tmp_path: Path, path: Path, size: int, *, empty_first: bool
) -> None:
    """F33."""

    def delete(_: Claim, done_bytes: int) -> None:
        if done_bytes == BLOCK:
            if empty_first:
                os.truncate(path, 0)
            path.unlink()

    write(path, size)
    assert Bench(tmp_path, progress=delete).one(path) == Forget()


def test_a_disk_that_goes_away_midway_is_no_deletion(tmp_path: Path, path: Path) -> None:
    """F06."""

    def leave(_: Claim, __: int) -> None:
        path.unlink()
        bench.locator.trouble = root_away()

    write(path, 100)
    bench = Bench(tmp_path, progress=leave)
    outcome = bench.one(path)
    assert outcome == Release(trouble=bench.locator.trouble)
    assert bench.locator.trouble is not None


def test_a_file_that_changed_before_it_was_opened_is_not_read(tmp_path: Path, path: Path) -> None:
    write(path, 100)
    row = claim(path, tmp_path)
    os.utime(path, ns=(1, 1))
    read: list[int] = []
    bench = Bench(tmp_path, progress=lambda _, done_bytes: read.append(done_bytes))
    assert bench.run(row) == [Restart(stamp=stamp(path))]
    assert read == []


def test_where_inodes_cannot_be_trusted_only_size_and_time_count(tmp_path: Path, path: Path) -> None:
    content = write(path, 100)
    row = claim(path, tmp_path, known=stamp(path, trusted=False))
    (outcome,) = Bench(tmp_path).run(row)
    assert digested(outcome).digests.sha256 == sha256(content)
    os.utime(path, ns=(1, 1))
    assert Bench(tmp_path).run(row) == [Restart(stamp=stamp(path, trusted=False))]


def test_bytes_that_changed_under_a_name_that_looks_the_same_go_back_to_settle(
    tmp_path: Path, path: Path
) -> None:
    """F32."""

    def rewrite_and_replace(_: Claim, done_bytes: int) -> None:
        if done_bytes == BLOCK:
            with path.open("r+b") as file:
                file.write(b"other bytes, same size")
            twin = tmp_path / "twin"
            twin.write_bytes(bytes(SIZES[0]))
            at_rest(twin)
            twin.replace(path)  # without trusted inodes, the name looks as it did before

    write(path, SIZES[0])
    row = claim(path, tmp_path, known=stamp(path, trusted=False))
    (outcome,) = Bench(tmp_path, progress=rewrite_and_replace).run(row)
    assert isinstance(outcome, Restart)
    assert outcome.stamp != row.stamp


def failing_at(path: Path, offset: int, code: int) -> Preadv:
    """Make a disk with a bad spot in one file."""
    inode = path.stat().st_ino

    def preadv(fd: int, buffers: Sequence[memoryview], at: int, flag: int) -> int:
        if at >= offset and os.fstat(fd).st_ino == inode:
            raise OSError(code, os.strerror(code))
        return os.preadv(fd, buffers, at, flag)

    return preadv


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("code", [errno.EIO, errno.EBUSY, errno.ESTALE])
def test_a_bad_spot_costs_its_own_file_a_wait_and_no_other(
    tmp_path: Path, path: Path, size: int, code: int
) -> None:
    """F29."""
    write(path, size)
    other = tmp_path / "y.safetensors"
    content = write(other, size)
    bench = Bench(tmp_path, preadv=failing_at(path, 2 * BLOCK, code))
    bad, good = bench.run(claim(path, tmp_path, file_id=1, attempts=3), claim(other, tmp_path, file_id=2))
    assert isinstance(bad, Defer)
    assert isinstance(bad.trouble, TryLater)
    assert bad.trouble.scope is Scope.FILE
    assert errno.errorcode[code] in bad.trouble.what
    assert bad.wait_s == file_retry_wait_s(3, 0.5)
    assert digested(good).digests.sha256 == sha256(content)


def test_after_the_last_attempt_a_file_that_cannot_be_read_is_parked(tmp_path: Path, path: Path) -> None:
    """F29."""
    write(path, 100)
    bench = Bench(tmp_path, preadv=failing_at(path, 0, errno.EIO))
    assert isinstance(bench.one(path, attempts=MAX_ATTEMPTS - 1), Defer)
    outcome = Bench(tmp_path, preadv=failing_at(path, 0, errno.EIO)).one(path, attempts=MAX_ATTEMPTS)
    assert isinstance(outcome, Park)
    assert isinstance(outcome.trouble, GiveUp)
    assert str(MAX_ATTEMPTS) in outcome.trouble.what


def test_a_disk_that_ends_files_early_is_no_reason_to_start_over_for_ever(tmp_path: Path, path: Path) -> None:
    write(path, 2 * BLOCK)

    def preadv(fd: int, buffers: Sequence[memoryview], at: int, flag: int) -> int:
        return os.preadv(fd, buffers, at, flag) if at == 0 else 0

    assert isinstance(Bench(tmp_path, preadv=preadv).one(path), Defer)


def test_a_file_that_may_not_be_read_waits_for_a_person(public_folder: Path) -> None:
    """F20."""
    path = public_folder / "x.safetensors"
    write(path, 100)
    path.chmod(0)
    with as_nobody():
        outcome = Bench(public_folder).one(path)
    assert isinstance(outcome, Park)
    assert isinstance(outcome.trouble, AskOperator)


def test_when_no_file_can_be_opened_any_more_the_lane_rests(tmp_path: Path, path: Path) -> None:
    """F82."""
    write(path, 100)
    row = claim(path, tmp_path)
    bench = Bench(tmp_path)
    with no_more_files(), pytest.raises(TryLater) as caught:
        bench.run(row)
    assert caught.value.scope is Scope.DAEMON
    digested(bench.run(row)[0])


def test_a_fifo_under_a_models_name_is_never_waited_for(tmp_path: Path, path: Path) -> None:
    """F21."""
    write(path, 100)
    row = claim(path, tmp_path)
    path.unlink()
    os.mkfifo(path)
    assert Bench(tmp_path).run(row) == [Forget()]


def test_a_symlink_is_hashed_as_what_it_leads_to(tmp_path: Path, path: Path) -> None:
    """F17."""
    blob = tmp_path / "blob"
    content = write(blob, 100)
    path.symlink_to("blob")
    assert digested(Bench(tmp_path).one(path)).digests.sha256 == sha256(content)


@pytest.mark.parametrize("size", SIZES)
def test_a_write_in_the_same_tick_of_the_clock_is_not_missed(tmp_path: Path, path: Path, size: int) -> None:
    """F34."""
    write(path, size)
    now = datetime.fromtimestamp(path.stat().st_mtime + 0.5, UTC)
    bench = Bench(tmp_path, now=now)
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    content = os.urandom(size)

    def rewrite() -> None:
        with path.open("r+b") as file:
            file.write(content)
        os.utime(path, ns=times)

    bench.pause.during = rewrite
    facts = digested(bench.one(path))
    assert facts.digests.sha256 == sha256(content)
    assert bench.pause.waits_s == [2.0]


def test_young_files_of_a_batch_wait_together(tmp_path: Path) -> None:
    """F34."""
    paths = [tmp_path / f"{number}.safetensors" for number in range(5)]
    for path in paths:
        write(path, 100)
    at_rest(paths[0], 7_200.0)
    bench = Bench(tmp_path, now=datetime.fromtimestamp(paths[1].stat().st_mtime + 1.9, UTC))
    outcomes = bench.run(*(claim(path, tmp_path, file_id=at) for at, path in enumerate(paths)))
    assert [digested(outcome).digests.sha256 for outcome in outcomes] == [
        sha256(path.read_bytes()) for path in paths
    ]
    assert bench.pause.waits_s == [2.0]


def test_a_young_file_that_changes_while_we_wait_goes_back_to_settle(tmp_path: Path, path: Path) -> None:
    """F34."""
    write(path, 100)
    bench = Bench(tmp_path, now=datetime.fromtimestamp(path.stat().st_mtime, UTC))
    bench.pause.during = lambda: os.utime(path, ns=(1, 1))
    outcome = bench.one(path)
    assert outcome == Restart(stamp=stamp(path))


def test_a_stop_while_young_files_rest_gives_only_those_back(tmp_path: Path) -> None:
    """F34, F84."""
    young, old = tmp_path / "young.safetensors", tmp_path / "old.safetensors"
    write(young, 100)
    write(old, 100)
    at_rest(old, 7_200.0)
    bench = Bench(tmp_path, now=datetime.fromtimestamp(young.stat().st_mtime, UTC))

    def stop() -> None:
        bench.pause.stopping = True

    bench.pause.during = stop
    given_back, done = bench.run(claim(young, tmp_path, file_id=1), claim(old, tmp_path, file_id=2))
    assert given_back == Release()
    digested(done)


def test_a_time_in_the_future_does_not_make_a_file_young_for_ever(tmp_path: Path, path: Path) -> None:
    """F88."""
    content = write(path, 100)
    at_rest(path, -86_400.0)
    bench = Bench(tmp_path)
    assert digested(bench.one(path)).digests.sha256 == sha256(content)
    assert bench.pause.waits_s == []


@pytest.mark.parametrize("size", SIZES)
def test_a_stop_midway_gives_the_unfinished_back_and_keeps_the_finished(
    tmp_path: Path, path: Path, size: int
) -> None:
    """F84."""
    other = tmp_path / "y.safetensors"
    write(path, size)
    write(other, size)

    def stop(row: Claim, done_bytes: int) -> None:
        if row.file_id == 2 and done_bytes >= BLOCK:
            raise Stopping

    outcomes = Bench(tmp_path, progress=stop).run(
        claim(path, tmp_path, file_id=1), claim(other, tmp_path, file_id=2)
    )
    digested(outcomes[0])
    assert outcomes[1] == Release()


def test_a_stop_request_is_seen_after_a_few_blocks_of_a_terabyte(tmp_path: Path, path: Path) -> None:
    """F30."""
    path.write_bytes(b"")
    os.truncate(path, 1 << 40)
    at_rest(path)
    seen: list[int] = []

    def stop(_: Claim, done_bytes: int) -> None:
        seen.append(done_bytes)
        bench.pause.stopping = True

    bench = Bench(tmp_path, progress=stop)
    assert bench.one(path) == Release()
    assert seen[0] == BLOCK
    assert len(seen) <= 5


def test_a_stopping_daemon_opens_nothing_more(tmp_path: Path, path: Path) -> None:
    write(path, 100)
    bench = Bench(tmp_path)
    bench.pause.stopping = True
    assert bench.one(path) == Release()


def test_a_root_that_is_away_gives_the_row_back(tmp_path: Path, path: Path) -> None:
    """F06."""
    write(path, 100)
    bench = Bench(tmp_path)
    bench.locator.trouble = root_away()
    assert bench.one(path) == Release(trouble=bench.locator.trouble)


def test_a_file_that_does_not_answer_waits_and_is_not_blamed(tmp_path: Path, path: Path) -> None:
    write(path, 100)
    bench = Bench(tmp_path)
    bench.locator.trouble = place_silent()
    assert bench.one(path) == Release(trouble=bench.locator.trouble, wait_s=300.0)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_batch_of_all_sizes_comes_back_in_order(tmp_path: Path, workers: int) -> None:
    contents = {}
    for number in range(12):
        path = tmp_path / f"{number}.safetensors"
        contents[path] = write(path, (number * 5 % 12) * BLOCK + number)
    claims = [claim(path, tmp_path, file_id=100 + number) for number, path in enumerate(contents)]
    gone = list(contents)[4]
    gone.unlink()
    outcomes = Bench(tmp_path, workers=workers).run(*claims)
    assert outcomes[4] == Forget()
    for outcome, (path, content) in zip(outcomes, contents.items(), strict=True):
        if path != gone:
            assert digested(outcome).digests.sha256 == sha256(content)


def test_no_claims_no_outcomes(tmp_path: Path) -> None:
    assert Bench(tmp_path).run() == []


def test_a_bug_while_hashing_is_not_swallowed(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"{number}.safetensors", 100)

    def broken(_: Claim, __: int) -> None:
        raise ZeroDivisionError

    claims = [claim(tmp_path / f"{number}.safetensors", tmp_path, file_id=number) for number in range(3)]
    with pytest.raises(ZeroDivisionError):
        Bench(tmp_path, progress=broken).run(*claims)


def test_a_model_is_never_changed_by_being_hashed(tmp_path: Path, path: Path) -> None:
    content = write(path, SIZES[1])
    before = path.stat()
    Bench(tmp_path).one(path)
    after = path.stat()
    assert path.read_bytes() == content
    for fact in ("st_mode", "st_mtime_ns", "st_ctime_ns", "st_ino", "st_size", "st_nlink"):
        assert getattr(before, fact) == getattr(after, fact)

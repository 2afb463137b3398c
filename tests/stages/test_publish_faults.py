"""Publishing on a bad day: full and read-only disks, planted links, forbidden folders, failing flushes."""

import errno
import os
import resource
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from hashtagd.core.troubles import AskOperator, Scope, TryLater
from hashtagd.core.work import Advance, Defer, Forget, Outcome, Park, Release
from hashtagd.stages.calls import Calls
from support.publish_fakes import (
    SMALL_PICTURE,
    World,
    before_renames,
    gone,
    kind_of,
    png,
    published,
)
from support.stage_fakes import NOW, as_nobody


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def run(*command: str) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 4 MiB with room for few names."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = "size=4m,nr_inodes=64"
    if os.geteuid() != 0 or not run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)):
        pytest.skip("SKIPPED ALOUD: needs the right to mount a small tmpfs")
    try:
        yield folder
    finally:
        run("umount", "-l", str(folder))


def use_up_names(folder: Path) -> None:
    for number in range(100):
        (folder / f"n{number}").touch()


def failing(code: int, *, after: int = 0) -> Calls:
    """Let every flush of a file fail once so many went well."""
    good = iter(range(after))

    def fsync(fd: int) -> None:
        if next(good, None) is None:
            raise OSError(code, os.strerror(code))
        os.fsync(fd)

    return Calls(fsync=fsync)


def trouble_kind(outcome: Outcome) -> str | None:
    assert isinstance(outcome, Defer | Park | Release), outcome
    return kind_of(outcome.trouble)


def test_a_full_disk_pauses_the_root_keeps_the_old_files_and_heals(small_disk: Path) -> None:
    """F78."""
    world = World(small_disk)
    model = world.model()
    world.publish(world.claim(model, card=None))
    before = world.tree()
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space"):
        ballast.write_bytes(bytes(8 * 1024 * 1024))
    [outcome] = world.publish(world.claim(model))
    assert isinstance(outcome, Defer)
    assert isinstance(outcome.trouble, AskOperator)
    assert (outcome.trouble.kind, outcome.trouble.scope) == ("disk_full", Scope.ROOT)
    assert outcome.wait_s <= 60
    assert world.fetcher.asked == []
    assert {name: content for name, content in world.tree().items() if name != "ballast"} == before
    ballast.unlink()
    published(world.publish(world.claim(model))[0])
    assert {"wisp.civitai.info", "wisp.preview.png"} <= set(world.tree())


def test_a_disk_without_inodes_counts_as_full(small_disk: Path) -> None:
    """F78."""
    world = World(small_disk)
    claim = world.claim(world.model())
    with pytest.raises(OSError, match="No space"):
        use_up_names(small_disk)
    assert trouble_kind(world.publish(claim)[0]) == "disk_full"
    assert world.temporary() == []


def test_a_read_only_root_defers_every_file_of_the_batch_with_one_attempt(small_disk: Path) -> None:
    """F79."""
    world = World(small_disk)
    claims = [world.claim(world.model(f"{number}.safetensors"), file_id=number) for number in range(1, 4)]
    if not run("mount", "-o", "remount,ro", str(small_disk)):
        pytest.skip("SKIPPED ALOUD: needs the right to remount read-only")
    outcomes = world.publish(*claims)
    assert [trouble_kind(outcome) for outcome in outcomes] == ["read_only"] * 3
    assert all("ReadWritePaths" in str(getattr(outcome, "trouble", "")) for outcome in outcomes)
    assert world.fetcher.asked == []
    assert world.ledger.calls == 0
    run("mount", "-o", "remount,rw", str(small_disk))
    assert all(isinstance(outcome, Advance) for outcome in world.publish(*claims))


def test_a_forbidden_folder_parks_the_file_and_says_what_to_do(public_folder: Path) -> None:
    world = World(public_folder / "root")
    model = world.model()
    model.parent.chmod(0o555)
    claim = world.claim(model)
    with as_nobody():
        [outcome] = world.publish(claim)
    assert isinstance(outcome, Park)
    assert outcome.trouble.kind == "no_permission"
    assert "retry" in outcome.trouble.you
    assert set(world.tree()) == {"wisp.safetensors"}


def test_an_unreadable_sidecar_blocks_only_itself(public_folder: Path) -> None:
    """P6, P12."""
    world = World(public_folder / "root")
    model = world.model()
    model.parent.chmod(0o777)
    theirs = public_folder / "root" / "wisp.civitai.info"
    theirs.write_bytes(b"private")
    theirs.chmod(0o600)
    if os.geteuid() != 0:
        theirs.chmod(0)
    claim = world.claim(model)
    with as_nobody():
        facts = published(world.publish(claim)[0])
    theirs.chmod(0o600)
    assert kind_of(facts.trouble) == "sidecar_unreadable"
    assert theirs.read_bytes() == b"private"
    assert {"wisp.metadata.json", "wisp.preview.png"} <= set(world.tree())


def test_a_rename_that_fails_leaves_no_temporary_file_and_is_tried_again(world: World) -> None:
    """F78."""

    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    world.calls = before_renames(full)
    assert trouble_kind(world.publish(world.claim(world.model()))[0]) == "disk_full"
    assert set(world.tree()) == {"wisp.safetensors"}
    world.calls = None
    published(world.publish(world.claim(world.folder / "wisp.safetensors"))[0])


def test_a_folder_that_cannot_be_flushed_is_published_again(world: World) -> None:
    """F80. The names might not survive a power cut, so the row must not say that they do."""

    def fsync(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.fsync(fd)

    world.calls = Calls(fsync=fsync)
    assert trouble_kind(world.publish(world.claim(world.model()))[0]) == "write_error"
    assert trouble_kind(world.publish(world.claim(world.folder / "wisp.safetensors"))[0]) == "write_error"
    world.calls = None
    facts = published(world.publish(world.claim(world.folder / "wisp.safetensors"))[0])
    assert len(facts.publications) == 3


def test_a_flush_that_fails_again_is_tried_later_and_leaves_nothing(world: World) -> None:
    """F80."""
    world.calls = failing(errno.EIO)
    [outcome] = world.publish(world.claim(world.model()))
    assert isinstance(outcome, Defer)
    assert isinstance(outcome.trouble, TryLater)
    assert outcome.trouble.kind == "write_error"
    assert set(world.tree()) == {"wisp.safetensors"}


def test_one_artifact_that_cannot_be_written_blocks_no_other(world: World) -> None:
    """P12."""
    world.calls = failing(errno.EIO, after=2)
    [outcome] = world.publish(world.claim(world.model()))
    assert trouble_kind(outcome) == "write_error"
    assert {"wisp.preview.png", "wisp.metadata.json"} <= set(world.tree())
    assert "wisp.civitai.info" not in world.tree()
    world.calls = None
    facts = published(world.publish(world.claim(world.folder / "wisp.safetensors"))[0])
    assert len(facts.publications) == 3
    assert len(world.fetcher.asked) == 1


@pytest.mark.parametrize(
    "code,kind,ends",
    [
        (errno.EDQUOT, "disk_full", Defer),
        (errno.EROFS, "read_only", Defer),
        (errno.ESTALE, "mount_away", Defer),
        (errno.EACCES, "no_permission", Park),
    ],
)
def test_each_refusal_of_the_disk_has_its_own_outcome(
    world: World, code: int, kind: str, ends: type[Outcome]
) -> None:
    """F78, F79."""

    def write(_fd: int, _data: memoryview) -> int:
        raise OSError(code, os.strerror(code))

    world.calls = Calls(write=write)
    [outcome] = world.publish(world.claim(world.model()))
    assert isinstance(outcome, ends)
    assert trouble_kind(outcome) == kind
    assert set(world.tree()) == {"wisp.safetensors"}


@pytest.mark.parametrize("code", [errno.ENOMEM, errno.EMFILE])
def test_want_of_files_or_memory_stops_the_lane_for_a_moment(world: World, code: int) -> None:
    """Rows given back with their old due time would be claimed again at once, and again."""

    def write(_fd: int, _data: memoryview) -> int:
        raise OSError(code, os.strerror(code))

    world.calls = Calls(write=write)
    with pytest.raises(TryLater) as caught:
        world.publish(world.claim(world.model()))
    assert (caught.value.kind, caught.value.scope) == ("exhausted", Scope.DAEMON)
    assert set(world.tree()) == {"wisp.safetensors"}


def test_what_was_published_before_the_machine_ran_out_is_reported(world: World) -> None:
    fine = world.claim(world.model("a.safetensors"), file_id=1, card=None)
    late = world.claim(world.model("b.safetensors"), file_id=2, card=None)
    left = iter(range(1))

    def write(fd: int, data: memoryview) -> int:
        if next(left, None) is None:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        return os.write(fd, data)

    world.calls = Calls(write=write)
    outcomes = world.publish(fine, late)
    assert isinstance(outcomes[0], Advance)
    assert isinstance(outcomes[1], Release)
    assert trouble_kind(outcomes[1]) == "exhausted"


@contextmanager
def few_descriptors() -> Iterator[list[int]]:
    """Limit this process to a few more descriptors; closes in the end those that are put into the list."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open(os.devnull, os.O_RDONLY)
    taken = [probe]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, probe + 16), hard))
    try:
        yield taken
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in taken:
            os.close(fd)


def test_a_sidecar_that_no_descriptor_is_left_for_is_not_called_unreadable(world: World) -> None:
    for name in ("wisp.metadata.json", "wisp.civitai.info"):
        (world.folder / name).write_bytes(b'{"mine": 1}')
    world.fetcher.pages[SMALL_PICTURE] = gone()
    claim = world.claim(world.model())
    with few_descriptors() as taken:

        def take_all() -> None:
            with suppress(OSError):
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))

        world.fetcher.during = take_all
        with pytest.raises(TryLater) as caught:
            world.publish(claim)
    assert caught.value.kind == "exhausted"


@pytest.mark.parametrize("name", ["wisp.metadata.json", "wisp.civitai.info", "wisp.preview.png"])
def test_a_link_planted_at_an_artifacts_name_leads_nowhere(
    world: World, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    """F93."""
    victim = tmp_path_factory.mktemp("elsewhere") / "victim"
    victim.write_bytes(b"{}")
    before = victim.stat()
    (world.folder / name).symlink_to(victim)
    for _ in range(3):
        published(world.publish(world.claim(world.folder / "wisp.safetensors" if _ else world.model()))[0])
    after = victim.stat()
    assert victim.read_bytes() == b"{}"
    assert (before.st_mtime_ns, before.st_mode, before.st_ino) == (
        after.st_mtime_ns,
        after.st_mode,
        after.st_ino,
    )


@pytest.mark.parametrize("name", ["wisp.metadata.json", "wisp.civitai.info"])
def test_a_hard_link_planted_at_an_artifacts_name_loses_only_the_name(world: World, name: str) -> None:
    """F93. The placeholder and the empty object are ours to replace; the other name keeps its bytes."""
    victim = world.folder / "victim.txt"
    victim.write_bytes(b"{}")
    (world.folder / name).hardlink_to(victim)
    published(world.publish(world.claim(world.model()))[0])
    assert victim.read_bytes() == b"{}"
    assert world.tree()[name] != b"{}"


def test_a_dangling_link_at_the_pictures_name_is_a_picture_of_somebody(world: World) -> None:
    """F93."""
    (world.folder / "wisp.preview.png").symlink_to(world.folder / "nowhere")
    published(world.publish(world.claim(world.model()))[0])
    assert not (world.folder / "nowhere").exists()
    assert world.fetcher.asked == []


def test_nothing_is_written_behind_a_link_that_leads_out_of_the_root(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "wisp.safetensors").write_bytes(b"the model")
    (world.folder / "styles").symlink_to(outside)
    facts = published(world.publish(world.claim(world.folder / "styles" / "wisp.safetensors"))[0])
    assert kind_of(facts.trouble) == "outside_root"
    assert [path.name for path in outside.iterdir()] == ["wisp.safetensors"]


def test_a_root_that_is_a_link_and_links_within_it_are_written_through(tmp_path: Path) -> None:
    (tmp_path / "disk" / "real").mkdir(parents=True)
    (tmp_path / "root").symlink_to("disk")
    (tmp_path / "disk" / "alias").symlink_to("real")
    world = World(tmp_path / "root")
    model = world.model("alias/wisp.safetensors")
    published(world.publish(world.claim(model))[0])
    assert (tmp_path / "disk" / "real" / "wisp.preview.png").read_bytes() == png()
    text = (tmp_path / "disk" / "real" / "wisp.metadata.json").read_text("utf-8")
    assert f'"file_path": "{model}"' in text


def test_a_folder_swapped_for_a_link_after_the_claim_gets_nothing(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """F94."""
    claim = world.claim(world.model("styles/wisp.safetensors"))
    victim = tmp_path_factory.mktemp("victim")
    (world.folder / "styles").rename(world.folder / "moved")
    (world.folder / "styles").symlink_to(victim)
    world.publish(claim)
    assert list(victim.iterdir()) == []


def test_a_folder_swapped_for_a_link_while_a_picture_is_fetched_gets_nothing(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """F94."""
    claim = world.claim(world.model("styles/wisp.safetensors"))
    victim = tmp_path_factory.mktemp("victim")

    def swap() -> None:
        (world.folder / "styles").rename(world.folder / "moved")
        (world.folder / "styles").symlink_to(victim)

    world.fetcher.during = swap
    world.publish(claim)
    assert list(victim.iterdir()) == []


def test_what_is_no_regular_file_any_more_is_forgotten(world: World) -> None:
    claim = world.claim(world.model())
    (world.folder / "wisp.safetensors").unlink()
    (world.folder / "wisp.safetensors").mkdir()
    assert isinstance(world.publish(claim)[0], Forget)


def test_old_temporary_files_are_swept_and_young_ones_left(world: World) -> None:
    """F87."""
    for name, age_s in ((".hashtagd-old", 7_200), (".hashtagd-young", 60), (".foreign", 7_200)):
        path = world.folder / name
        path.write_bytes(b"")
        os.utime(path, (NOW.timestamp() - age_s,) * 2)
    world.publish(world.claim(world.model()))
    assert {name for name in world.tree() if name.startswith(".")} == {".hashtagd-young", ".foreign"}


def test_a_picture_cut_short_is_no_picture(world: World) -> None:
    later = TryLater("cut", does="waits", you="wait", scope=Scope.PROVIDER, kind="cut_short", after_s=30.0)
    world.fetcher.pages[SMALL_PICTURE] = later
    facts = published(world.publish(world.claim(world.model()))[0])
    assert facts.again_in_s == 30.0
    assert "wisp.preview.png" not in world.tree()
    assert world.temporary() == []


def test_a_writer_that_breaks_leaves_no_temporary_file(world: World) -> None:
    class Broken:
        name = "broken"

        def render(self, _card: object, target: object) -> Sequence[object]:
            if getattr(target, "picture", None) is not None:
                raise RuntimeError("a bug")
            return ()

    stage = world.stage()
    writers = {None: [*stage._planning.writers_of("loras"), Broken()]}
    stage._planning = replace(stage._planning, writers=writers)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="a bug"):
        stage.run([world.claim(world.model())])
    assert set(world.tree()) == {"wisp.safetensors"}


def test_every_trouble_of_the_disk_names_no_path(world: World) -> None:
    """P11."""
    for code in (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.ESTALE):

        def write(_fd: int, _data: memoryview, code: int = code) -> int:
            raise OSError(code, os.strerror(code), "/secret/path")

        world.calls = Calls(write=write)
        [outcome] = world.publish(world.claim(world.model()))
        text = str(replace(outcome).trouble)  # type: ignore[union-attr]
        assert str(world.folder) not in text
        assert "/secret/path" not in text

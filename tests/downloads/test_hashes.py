"""The hashes of bytes that come in pieces are those that the digest stage finds in the file."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hashtagd.core.chain import Chain
from hashtagd.core.digests import Digests
from hashtagd.core.header import LONGEST_HEADER_BYTES, Whole
from hashtagd.core.place import Place
from hashtagd.core.work import Advance, Digested
from hashtagd.stages.calls import Calls
from hashtagd.stages.crew import Crew
from hashtagd.stages.digest import DigestOptions, DigestStage
from hashtagd.stages.intake import BLOCK_BYTES, Intake
from hashtagd.stages.opening import HEADERED_EXTENSIONS
from hashtagd.stages.part import Part
from hashtagd.stages.settle import read_verdict
from hashtagd.stages.sums import blake3_maker
from support.downloads import Serve, fetched, gives, kind_of, mirror
from support.safetensors import frame, lora, make_safetensors, noise
from support.stage_fakes import ROOT, FolderLocator, ScriptedPause, StillClock, at_rest, claim

SAFETENSORS = make_safetensors(data_bytes=3 * BLOCK_BYTES + 17, fill=1)
#: files by what may be odd about them; the name decides whether there is a tensor part
CASES = {
    "whole.safetensors": SAFETENSORS,
    "lora.sft": lora(3),
    "plain.ckpt": noise(4, 2 * BLOCK_BYTES + 1),
    "empty.safetensors": b"",
    "empty.ckpt": b"",
    "no_tensors.safetensors": frame(b"{}"),
    "length_0.safetensors": bytes(8),
    "length_0_and_more.safetensors": bytes(8) + b"tensors",
    "length_only.safetensors": (5).to_bytes(8, "little"),
    "header_ends_the_file.safetensors": (5).to_bytes(8, "little") + b"12345",
    "header_lacks_a_byte.safetensors": (5).to_bytes(8, "little") + b"1234",
    "header_too_long.safetensors": (LONGEST_HEADER_BYTES + 1).to_bytes(8, "little") + bytes(200),
    "header_far_too_long.safetensors": b"\xff" * 64,
    "a_block.safetensors": noise(5, BLOCK_BYTES),
    "a_block_and_1.safetensors": noise(6, BLOCK_BYTES + 1),
    **{f"{size}_bytes.safetensors": noise(size, size) for size in range(1, 17)},
    **{f"{size}_zeros.safetensors": bytes(size) for size in range(1, 17)},
    **{f"{size}_bytes.ckpt": noise(size, size) for size in range(1, 17)},
}


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    made = Crew("absorbing")
    yield made
    made.close()


def by_digest_stage(folder: Path, name: str) -> Digests:
    """Hash a file as the daemon hashes one that somebody put there."""
    path = at_rest(folder / name)
    stage = DigestStage(
        locator=FolderLocator(folder),
        clock=StillClock(),
        pause=ScriptedPause(),
        chain=Chain(),
        options=DigestOptions(workers=1, blake3=True),
        chance=lambda: 0.0,
    )
    fd = os.open(path, os.O_RDONLY)
    verdict = read_verdict(fd, path.stat().st_size) if path.suffix in HEADERED_EXTENSIONS else None
    os.close(fd)
    header = verdict.header if isinstance(verdict, Whole) else None
    [outcome] = stage.run([claim(path, folder, header=header)])
    stage.close()
    assert isinstance(outcome, Advance)
    assert isinstance(outcome.facts, Digested)
    return outcome.facts.digests


def taken_in(crew: Crew, path: Path, content: bytes, sizes: list[int], kept: int = 0) -> Digests:
    """Take a file in by pieces of these sizes, over and over, after `kept` bytes that were there."""
    with Part.open(path, Place(root=ROOT, relpath=path.name), Calls()) as part:
        part.append(memoryview(content[:kept]))
        headered = path.suffix in HEADERED_EXTENSIONS
        with Intake.open(
            part, crew, headered=headered, blake3=blake3_maker(), stopping=lambda: False
        ) as intake:
            intake.begin_at(kept)
            at, turn = kept, 0
            while at < len(content):
                room = intake.room()
                piece = content[at : at + min(sizes[turn % len(sizes)], len(room))]
                room[: len(piece)] = piece
                intake.took(len(piece))
                at, turn = at + len(piece), turn + 1
                assert intake.length_bytes == at
            digests = intake.digests()
            assert intake.sha256() == digests.sha256
            assert part.finish() is not None
    assert path.read_bytes() == content
    return digests


@pytest.mark.parametrize("name", CASES)
def test_hashes_of_what_comes_equal_those_of_what_is_there(crew: Crew, tmp_path: Path, name: str) -> None:
    content = CASES[name]
    digests = taken_in(crew, tmp_path / name, content, [65_536])
    assert digests == by_digest_stage(tmp_path, name)
    assert digests.sha256 == hashlib.sha256(content).hexdigest()


@settings(max_examples=60, deadline=None)
@given(
    content=st.sampled_from([name for name, content in CASES.items() if len(content) <= 200])
    | st.binary(max_size=40),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    kept=st.integers(0, 40),
    headered=st.booleans(),
)
@example(content=b"", sizes=[1], kept=0, headered=True)
def test_pieces_of_any_size_make_the_same_hashes(
    crew: Crew,
    content: str | bytes,
    sizes: list[int],
    kept: int,
    headered: bool,  # noqa: FBT001
) -> None:
    """Byte by byte, across the length of the header, and with a part that was there before."""
    data = CASES[content] if isinstance(content, str) else content
    name = "x.safetensors" if headered else "x.ckpt"
    with tempfile.TemporaryDirectory() as folder:
        digests = taken_in(crew, Path(folder) / name, data, sizes, min(kept, len(data)))
        assert digests == by_digest_stage(Path(folder), name)


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 3 * BLOCK_BYTES), min_size=1, max_size=5),
    kept=st.integers(0, len(SAFETENSORS)),
)
@example(sizes=[BLOCK_BYTES], kept=BLOCK_BYTES)
@example(sizes=[BLOCK_BYTES - 1, 1, 1], kept=3)
def test_pieces_across_blocks_make_the_same_hashes(crew: Crew, sizes: list[int], kept: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        # small pieces only at the beginning: a million of them would prove no more
        digests = taken_in(
            crew, Path(folder) / "x.safetensors", SAFETENSORS, [*sizes, BLOCK_BYTES // 3], kept
        )
    assert digests.sha256 == hashlib.sha256(SAFETENSORS).hexdigest()
    begins = 8 + int.from_bytes(SAFETENSORS[:8], "little")
    assert digests.tensors_sha256 == hashlib.sha256(SAFETENSORS[begins:]).hexdigest()


@pytest.mark.parametrize("name", ["whole.safetensors", "lora.sft", "plain.ckpt", "empty.ckpt"])
@pytest.mark.parametrize("cut_after", [None, 1, 9, 700_001])
def test_hashes_of_a_download_that_is_cut_equal_those_of_the_file(
    serve: Serve, name: str, cut_after: int | None
) -> None:
    """Over real sockets, in one answer and in several."""
    content = CASES[name]
    job, server = serve(gives(content, cut_after=cut_after), gives(content), blake3=True)
    facts = fetched(job.run(mirror(server.url), content=content, name=name))
    assert facts.digests == by_digest_stage(job.folder, name)
    assert facts.digests.blake3 is not None
    # and once more of a file that is found there
    again = fetched(job.run(mirror(server.url), content=content, name=name))
    assert (again.digests, again.header) == (facts.digests, facts.header)


def test_the_header_is_told_and_the_first_question_is_put(serve: Serve) -> None:
    content = lora(5)
    job, server = serve(gives(content))
    facts = fetched(job.run(mirror(server.url), content=content, name="x.safetensors"))
    assert facts.header is not None
    assert facts.header.metadata["ss_output_name"] == "made_lora_5"
    assert [put.key.hash for put in facts.questions] == [hashlib.sha256(content).hexdigest()]


def test_a_model_that_nobody_vouches_for_must_be_whole_by_its_own_word(serve: Serve) -> None:
    """P5: no site states its hash."""
    content = lora(6)
    for data, kind in ((content, None), (content[:-5], "no_model"), (noise(9, 5_000), "no_model")):
        job, server = serve(gives(data))
        outcome = job.run(mirror(server.url), content=None, name="x.safetensors")
        if kind is None:
            fetched(outcome)
            job.path("x.safetensors").unlink()
        else:
            assert kind_of(outcome) == kind
            assert job.names == []


def test_a_file_whose_hash_is_right_needs_no_proper_header(serve: Serve) -> None:
    """What the site has is what was wanted."""
    content = noise(10, 5_000)
    job, server = serve(gives(content))
    facts = fetched(job.run(mirror(server.url), content=content, name="x.safetensors"))
    assert facts.header is None

"""What hashing leaves in the page cache, by mincore: the product asks the kernel otherwise (`cachestat`)."""

import os
from pathlib import Path

import pytest

from bench.cached import MIB, chill, resident_bytes, resident_pages, warm, write
from bench.hashing import claim_of, digests_of, make_stage
from hashtagd.core.header import Header
from hashtagd.stages.digest import LARGE_FROM_BYTES

#: one for the pipeline, the rest for the workers: 64 MiB
SIZES_MIB = (48, *(2,) * 8)


def test_the_stage_leaves_every_page_that_others_had_and_adds_none(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.safetensors" for number in range(len(SIZES_MIB))]
    for path, size_mib in zip(paths, SIZES_MIB, strict=True):
        write(path, size_mib * MIB, seed=size_mib)
        os.utime(path, (0, 0))
    large, *small = paths
    assert large.stat().st_size > LARGE_FROM_BYTES
    warm(small[1])
    assert resident_bytes(small[1]) == small[1].stat().st_size, "reading plainly would bring pages"
    for path in paths:
        chill(path)
    if any(map(resident_bytes, paths)):
        pytest.skip("the page cache cannot be emptied here: these files are not on a disk")
    # somebody else has half of the large one, and one of the small ones
    warm(large, 24 * MIB)
    warm(small[0])
    before = [resident_pages(path) for path in paths]
    stage = make_stage(tmp_path, workers=2)
    header = Header(length_bytes=4096, tensor_count=1)
    try:
        digests_of(stage, [claim_of(path, number, header) for number, path in enumerate(paths)])
    finally:
        stage.close()
    assert [resident_pages(path) for path in paths] == before

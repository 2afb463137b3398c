import re

import pytest

from support.commands import Home


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_the_demo_tells_the_whole_story_and_leaves_nothing_behind(home: Home) -> None:
    done = home.bare("demo")
    assert done.code == 0, done.out + done.err
    for words in (
        "a library with two models",
        "loras/watercolor.safetensors was published",
        "now neon-city.safetensors arrives",
        "neon-city.preview.png",
        "trigger words  neon city, rain",
        "each file was read once",
    ):
        assert words in done.out
    assert re.search(r"All of it took \d+ requests", done.out)
    assert done.out.count("read once: SHA-256") == 3
    assert not home.state.exists()
    assert home.site.requests == ()

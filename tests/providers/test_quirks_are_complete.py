"""Every habit of the site on the project's list has a test that is named after it."""

import re
from pathlib import Path

QUIRKS = 50
NAMED = re.compile(r"^def test_quirk_(\d\d)_\w+\(", re.MULTILINE)


def test_every_quirk_has_its_test() -> None:
    texts = [path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_quirks_of_*.py")]
    numbers = {int(number) for text in texts for number in NAMED.findall(text)}
    assert sorted(numbers) == list(range(1, QUIRKS + 1))

"""Entries of lists as strangers make them, for property tests."""

from dataclasses import replace

from hypothesis import strategies as st

from hashtagd.core.addresses import plain_address, source_of
from hashtagd.core.card import DownloadUrl
from hashtagd.core.manifest import Entry
from hashtagd.core.relative_paths import MODEL_SUFFIXES, broken_rule

#: what titles of models hold, and what they could
HOSTILE = (
    '=HYPERLINK("http://evil.example";"click")',
    "+1",
    "-2+3",
    "@SUM(A1)",
    "'quoted",
    "'=twice",
    "''=thrice",
    "\t=tab",
    "\r=return",
    "\uff1dwide",
    'a "quoted", word; and\ttabs',
    "two\nlines",
    "two\r\nlines",
    "a\u2028b\u2029c\x85d\x0be\x1cf",
    "escape \x1b[31mred\x9b2J",
    "\u202egnp.exe",
    "مرحبا بالعالم",
    "👩\u200d🎨 плакат 海報",
    "x" * 10_240,
    " spaces at both ends ",
    "\ufeffmark",
    "NULL",
    "1e5",
)

WORDS = st.sampled_from(HOSTILE) | st.text(min_size=1, max_size=30)
IDS = st.none() | st.integers(1, 2**63 - 1)
HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
_PARTS = st.sampled_from(("styles", "原神", "a b", "=x", "-y", "'z", "two\nlines", "👩‍🎨")) | st.text(
    min_size=1, max_size=12
).filter(lambda it: "/" not in it)
PATHS = st.builds(
    lambda folders, name, suffix: "/".join([*folders, name + suffix]),
    st.lists(_PARTS, max_size=3),
    _PARTS,
    st.sampled_from(MODEL_SUFFIXES),
).filter(lambda it: broken_rule(it) is None)
_ADDRESSES = st.builds(
    lambda host, path, query: plain_address(f"https://{host}/{path}{query}"),
    st.sampled_from(("civitai.com", "huggingface.co", "mirror.example:8443", "[2001:db8::1]")),
    st.text(max_size=10) | st.just("api/download/models/2130994"),
    st.sampled_from(("", "?fileId=7", "?type=Model&format=SafeTensor")),
).filter(lambda it: it is not None)


def _url(url: str) -> DownloadUrl:
    return DownloadUrl(url=url, source=source_of(url))


URLS = st.lists(_ADDRESSES.map(_url), max_size=3, unique_by=lambda it: it.url).map(tuple)

#: what a table keeps as well
ENTRIES = st.builds(
    Entry,
    root=st.none() | WORDS.filter(lambda it: "\0" not in it),
    path=PATHS,
    size_bytes=st.none() | st.integers(0, 2**63 - 1),
    sha256=st.none() | HASHES,
    model_id=IDS,
    version_id=IDS,
    file_id=IDS,
    model_name=st.none() | WORDS,
    version_name=st.none() | WORDS,
    kind=st.none() | WORDS,
    base_model=st.none() | WORDS,
    urls=URLS,
)

_FLAGS = st.none() | st.booleans()
#: what only lines of JSON keep
RICH_ENTRIES = st.builds(
    lambda entry, source, gated, paid: replace(
        entry, urls=tuple(replace(url, source=source, gated=gated, paid=paid) for url in entry.urls)
    ),
    ENTRIES,
    WORDS,
    _FLAGS,
    _FLAGS,
)

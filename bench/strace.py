"""Counts by strace what a process does: nothing it says of itself is believed."""

import re
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

_CALLS = "read,pread64,readv,preadv,preadv2,mmap"
#: `12 read(3</a/b.safetensors>, ""..., 9) = 9`, or `<unfinished ...>` where another thread came between
_BEGUN = re.compile(
    r"(?P<thread>\d+) +(?P<call>\w+)\((?P<words>.*\.(?:safetensors|sft)>.*?)"
    r"(?:\) += (?P<result>-?\w+).*|<unfinished \.\.\.>)$"
)
_RESUMED = re.compile(r"(?P<thread>\d+) +<\.\.\. \w+ resumed>.*\) += (?P<result>-?\d+)")


def tracer(into: Path) -> list[str] | None:
    """Give the words to put before a command; None where there is no strace."""
    if not shutil.which("strace"):
        return None
    return ["strace", "-f", "-qq", "-y", "-s", "0", "-e", f"trace={_CALLS}", "-o", str(into)]


def counter(into: Path, calls: Iterable[str]) -> list[str] | None:
    """Give the words to put before a command whose calls are to be counted; None where there is no strace."""
    if not shutil.which("strace"):
        return None
    return [
        "strace",
        "-f",
        "-qq",
        "-c",
        "-U",
        "calls,name",
        "-e",
        f"trace={','.join(calls)}",
        "-o",
        str(into),
    ]


def calls_made(summary: str) -> Counter[str]:
    """Read how often each call was made, from what strace wrote."""
    rows = (line.split() for line in summary.splitlines())
    return Counter({row[1]: int(row[0]) for row in rows if len(row) == 2 and row[0].isdigit()})


def model_bytes_read(trace: str, *, except_for: str | None = None) -> int:
    """Add up what was read of model files, mapped memory included.

    Args:
        trace: what strace wrote.
        except_for: the end of a path that may be read, for example of a file that is still arriving.
    """
    total = 0
    waiting: set[str] = set()
    for line in trace.splitlines():
        begun, resumed = _BEGUN.match(line), _RESUMED.match(line)
        if begun and not (except_for and f"{except_for}>" in begun["words"]):
            if begun["call"] == "mmap":  # mmap(NULL, 4096, ...): the second word is the length
                total += int(begun["words"].split(", ")[1])
            elif begun["result"] is None:
                waiting.add(begun["thread"])
            else:
                total += max(0, int(begun["result"]))
        elif resumed and resumed["thread"] in waiting:
            waiting.remove(resumed["thread"])
            total += max(0, int(resumed["result"]))
    return total

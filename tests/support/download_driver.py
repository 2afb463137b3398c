"""One download in a process of its own, so that it can be killed: the real stage with the real downloader.

As a script it is a mould: everything is imported once, and each line of JSON on its input makes a fork that
brings one file. Of the catalog's memory it keeps what matters here, where the bytes came from, in a file.
"""

import contextlib
import gc
import json
import os
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hashtagd.core.card import DownloadUrl
from hashtagd.core.chain import Chain
from hashtagd.core.place import Place
from hashtagd.core.transfer import Begun, Fetched, TransferClaim, Wanted
from hashtagd.providers.downloads import FileDownloader
from hashtagd.providers.surroundings import Surroundings
from hashtagd.service.clock import StopPause, SystemClock
from hashtagd.stages.download import DownloadOptions, DownloadStage
from support.stage_fakes import ROOT, FolderLocator
from support.surroundings import HandClock, OpenGates

#: how a fork ends otherwise than by a signal
BROUGHT, NOT_BROUGHT, BROKE = 0, 3, 5


class Memory:
    """Keeps where the bytes came from, whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.begun = Begun(**json.loads(path.read_text())) if path.exists() else None

    def __call__(self, _claim: TransferClaim, _bytes_done: int, begun: Begun | None) -> bool:
        if begun is not None and begun != self.begun:
            temporary = self._path.with_suffix(".new")
            temporary.write_text(json.dumps(asdict(begun)))
            temporary.rename(self._path)
            self.begun = begun
        return True


def bring(wish: dict[str, Any]) -> int:
    """Bring one file; returns how it ended."""
    clock, pause = SystemClock(), StopPause()
    surroundings = Surroundings(clock=clock, pause=pause, gatekeeper=OpenGates(HandClock()))
    downloader = FileDownloader(
        surroundings, base_url="https://civitai.com", allowed_origins=[wish["origin"]]
    )
    memory = Memory(Path(wish["memory"]))
    stage = DownloadStage(
        locator=FolderLocator(Path(wish["folder"])),
        downloader=downloader,
        clock=clock,
        pause=pause,
        chain=Chain(),
        options=DownloadOptions(min_free_bytes=0),
        chance=lambda: 0.0,
        progress=memory,
    )
    wanted = Wanted(
        place=Place(root=ROOT, relpath=wish["name"]),
        sha256=wish["sha256"],
        size_bytes=None,
        sources=(DownloadUrl(url=f"{wish['origin']}/x", source="mirror"),),
    )
    outcome = stage.run(TransferClaim(transfer_id=1, fence=1, attempts=1, wanted=wanted, begun=memory.begun))
    return BROUGHT if isinstance(outcome, Fetched) else NOT_BROUGHT


def _fork(wish: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = BROKE
    try:
        status = bring(wish)
    except BaseException:  # noqa: BLE001 - the fork must never come back into the mould's loop
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Make one fork for each line, one after another; tell its pid and how it ended.

    With a wish as argument: bring that, and nothing else.
    """
    if sys.argv[1:]:
        sys.exit(bring(json.loads(sys.argv[1])))
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        pid = _fork(json.loads(line))
        print(pid, flush=True)  # noqa: T201 - the protocol
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201 - the protocol


if __name__ == "__main__":
    main()

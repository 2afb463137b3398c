"""Every event that the daemon logs, in one place: its level, and when it happens."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

EventLevel = Literal["debug", "info", "warning", "error", "critical"]

EVENTS: Final[Mapping[str, tuple[EventLevel, str]]] = MappingProxyType(
    {
        "daemon_started": ("info", "all lanes run"),
        "daemon_stopped": ("info", "all lanes have ended, but for those that are stuck"),
        "settings_refused": ("error", "new settings cannot be used, so the daemon goes on with those it has"),
        "settings_warned": ("warning", "the settings can be used, but something in them looks wrong"),
        "catalog_failed": ("warning", "the catalog does not answer; told again when the reason changes"),
        "lane_waited": ("warning", "a lane rests for a reason that concerns all of its work"),
        "bug_met": ("error", "hashtagd did something wrong; the traceback is there"),
        "thread_crashed": ("critical", "a thread ended by a mistake of hashtagd; the traceback is there"),
        "process_crashed": ("critical", "hashtagd ended by a mistake of its own; the traceback is there"),
        "error_ignored_by_python": ("error", "something went wrong in a clean-up, where nobody can be told"),
        "log_lines_dropped": ("warning", "so many lines before this one could not be written, and are lost"),
        "root_scanned": ("info", "a root was walked, and holds other numbers of files than the last time"),
        "root_unchanged": ("debug", "a root was walked, and holds as much as the last time"),
        "root_paused": ("warning", "a root, or one stage of it, is not worked on"),
        "root_recovered": ("info", "what was wrong with a root is over"),
        "root_polled": ("warning", "a root that should be watched is only scanned"),
        "root_inodes_distrusted": ("warning", "inode numbers of a root are ignored from now on"),
        "scan_met_trouble": ("warning", "a scan could not see everything"),
        "look_failed": ("warning", "a file that something happened to could not be looked at"),
        "file_settled": ("info", "a file rests and is whole"),
        "file_digested": ("info", "a file was read and its hashes are known"),
        "file_published": ("info", "everything that was wanted for a file is on disk"),
        "file_deferred": ("info", "a file is tried again later"),
        "file_released": ("info", "a file's work broke off for a reason that is not the file's"),
        "file_parked": ("warning", "a file is left alone until it changes or somebody acts"),
        "file_changed": ("info", "a file's bytes changed, so its work starts over"),
        "file_gone": ("info", "a file is not there any more"),
        "file_fetched": ("info", "a download is complete, verified and at its place"),
        "download_deferred": ("info", "a download is tried again later; what came of it is kept"),
        "download_parked": ("warning", "a download is left alone until somebody acts"),
        "hashing_paused": ("info", "ComfyUI generates, so no file is read"),
        "hashing_resumed": ("info", "ComfyUI has nothing to do any more, so files are read again"),
        "page_served": ("info", "health and figures can be looked at"),
        "log_file_failed": (
            "warning",
            "`log.file` cannot be written; all else of the log goes on",
        ),
        "page_not_served": ("warning", "nothing can listen at `web.listen`; everything else goes on"),
        "gallery_gathered": ("info", "the further pictures of a model are there"),
        "galleries_full": ("warning", "galleries hold as much as they may, so no more pictures are fetched"),
        "galleries_swept": ("info", "pictures of models that are gone were removed"),
        "nudge_failed": ("info", "a program that runs beside us could not be told of a file"),
        "artifacts_swept": ("info", "what had been written beside a file that is gone was removed"),
        "model_found": ("info", "a site knows a hash"),
        "model_absent": ("info", "a site does not know a hash"),
        "model_vanished": ("info", "a site knew a hash and does not know it any more"),
        "update_found": ("info", "a model has a newer version; told once for each"),
        "archive_indexed": ("info", "the hashes of an archive database were indexed"),
        "question_deferred": ("info", "a hash is asked about again later"),
        "question_parked": ("warning", "a hash is not asked about any more"),
        "request_retried": ("debug", "a request failed and is tried once more at once"),
        "key_put_aside": ("warning", "a site refused the API key; look-ups go on without it"),
    }
)


def level_of(event: str) -> EventLevel:
    """Say how loud an event is; one that other packages' providers tell is ordinary."""
    return EVENTS[event][0] if event in EVENTS else "info"

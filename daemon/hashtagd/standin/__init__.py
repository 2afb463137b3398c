"""Stand-ins for Civitai and CivArchive on loopback: for `hashtagd demo`, tests, benches; never for real work.

They answer in the shapes and with the habits of the real sites, keep a log of what they were asked, and fail
when they are told to.
"""

from hashtagd.standin.archive import ArchiveStandin, copy_at
from hashtagd.standin.faults import Fault
from hashtagd.standin.library import Listing
from hashtagd.standin.server import Request, Standin

__all__ = ["ArchiveStandin", "Fault", "Listing", "Request", "Standin", "copy_at"]

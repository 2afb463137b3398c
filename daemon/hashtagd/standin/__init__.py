"""A stand-in for Civitai on loopback: for `hashtagd demo`, tests and measurements, never for real work.

It answers in the shapes and with the habits of the real site, keeps a log of what it was asked, and fails
when it is told to.
"""

from hashtagd.standin.faults import Fault
from hashtagd.standin.library import Listing
from hashtagd.standin.server import Request, Standin

__all__ = ["Fault", "Listing", "Request", "Standin"]

"""What became of an artifact: still as hashtagd wrote it, changed since, somebody else's, or not there."""

from enum import StrEnum


class SidecarState(StrEnum):
    """Whose bytes lie at an artifact's place."""

    #: byte for byte what we wrote
    OURS = "ours"
    #: we wrote there, and somebody changed or replaced it since
    EDITED = "edited"
    #: we never wrote there, or no more than a few keys into a file of somebody else
    FOREIGN = "foreign"
    #: nothing lies there
    MISSING = "missing"

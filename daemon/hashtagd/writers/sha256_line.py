"""`STEM.sha256`, the bare hash: pysssss' Custom Scripts read the whole model into memory without it.

Its reader takes every byte for the hash, so there is no end of line; and it never looks whether the hash is
right, so ours is replaced when the model's bytes change.
"""

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

from hashtagd.core.artifacts import SidecarFile, Target
from hashtagd.core.card import Card

SUFFIX: Final = ".sha256"


class Sha256LineOptions(BaseModel):
    """No options."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Sha256Line:
    """Renders the hash, whoever knows the model."""

    name = "sha256-line"
    Options = Sha256LineOptions

    def __init__(self, options: Sha256LineOptions) -> None:
        self._options = options

    def render(self, card: Card | None, target: Target) -> Sequence[SidecarFile]:  # noqa: ARG002 - the port
        """Make the file: 64 lower-case digits and nothing else."""
        return [SidecarFile(suffix=SUFFIX, content=target.digests.sha256.encode("ascii"))]

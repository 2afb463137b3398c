"""`STEM.civitai.info`, the version object as Civitai sent it: Civitai Helper, SwarmUI and others read it.

Pure ASCII, because its readers open it in the encoding of their machine. Nothing is written for what Civitai
does not know.
"""

import json
from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

from hashtagd.core.artifacts import SidecarFile, Target
from hashtagd.core.card import Card
from hashtagd.writers.version_object import trusted, version_object, with_primary

SUFFIX: Final = ".civitai.info"
_PROVIDERS: Final = frozenset({"civitai", "owner"})


class CivitaiInfoOptions(BaseModel):
    """No options."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CivitaiInfo:
    """Renders the version object, with the file at hand marked as the primary one."""

    name = "civitai-info"
    Options = CivitaiInfoOptions

    def __init__(self, options: CivitaiInfoOptions) -> None:
        self._options = options

    def render(self, card: Card | None, target: Target) -> Sequence[SidecarFile]:
        """Make the sidecar of a version that Civitai knows by the whole file, or that the owner named."""
        known = trusted(card)
        if known is None or known.provider not in _PROVIDERS or not known.raw:
            return []
        version = version_object(known)
        if not version:
            return []
        text = json.dumps(with_primary(version, target.digests.sha256), indent=4, ensure_ascii=True)
        return [SidecarFile(suffix=SUFFIX, content=text.encode("ascii"), is_placeholder=is_placeholder)]


def is_placeholder(content: bytes) -> bool:
    """Tell whether the file only says "asked, not known": `{}` or an object with `skeleton_file: true`."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and (not value or value.get("skeleton_file") is True)

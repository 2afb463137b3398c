"""`STEM.preview.png`, the one picture every program here shows. Says what to fetch; never fetches.

Whatever still picture the site serves is kept under this name: all readers look at the bytes, not at the
extension.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Annotated, Final
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field

from hashtagd.core.artifacts import PreviewFile, Target
from hashtagd.core.card import Card, Preview
from hashtagd.core.work import Publication
from hashtagd.writers.version_object import trusted

SUFFIX: Final = ".preview.png"
#: from this level on everything is wanted, also what nobody rated
_ANY_LEVEL: Final = 32
#: a version whose first pictures are all gone will not have a fifth that is there
_CANDIDATES: Final = 4
#: `/ACCOUNT/UUID/PARAMETERS/NAME`, the form in which the image host takes a size
_PARTS: Final = 4
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


class PreviewOptions(BaseModel):
    """What picture is wanted."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    #: Civitai's bits: 1 PG, 2 PG-13, 4 R, 8 X, 16 XXX; 32 takes everything, also what nobody rated
    max_nsfw_level: Annotated[int, Field(ge=0, le=63)] = 1
    width_px: Annotated[int, Field(ge=32, le=8192)] = 450
    max_bytes: Annotated[int, Field(ge=1024)] = 20 * 1024 * 1024
    #: origins beside civitai.com whose pictures have addresses of the same form, for example on loopback
    image_origins: Annotated[tuple[str, ...], Field(strict=False)] = ()


class PreviewPicture:
    """Renders the wish for one picture, with candidates in order of preference."""

    name = "preview"
    wishes_picture = True
    Options = PreviewOptions

    def __init__(self, options: PreviewOptions) -> None:
        self._options = options

    def render(self, card: Card | None, target: Target) -> Sequence[PreviewFile]:  # noqa: ARG002 - the port
        """Wish for the first acceptable picture that can be had."""
        chosen = list(self.candidates(card).items())[:_CANDIDATES]
        if not chosen:
            return []
        return [
            PreviewFile(
                suffix=SUFFIX,
                urls=tuple(url for url, _ in chosen),
                nsfw_levels=tuple(level for _, level in chosen),
                max_bytes=self._options.max_bytes,
                version_id=None if card is None else card.version_id,
            )
        ]

    def accepts(self, card: Card | None, picture: Publication) -> bool:
        """Tell whether it may lie beside the model: by its rating, and unless it is of another version."""
        known = trusted(card)
        version_id = None if known is None else known.version_id
        is_of_another = None not in (version_id, picture.version_id) and version_id != picture.version_id
        return self._takes(picture.nsfw_level) and not is_of_another

    def _takes(self, nsfw_level: int | None) -> bool:
        """Tell whether a picture of this rating is wanted; None: nobody rated it."""
        if self._options.max_nsfw_level >= _ANY_LEVEL:
            return True
        # 0 is Civitai's "not rated", which is no promise of harmlessness
        return 0 < (nsfw_level or 0) <= self._options.max_nsfw_level

    def candidates(self, card: Card | None) -> dict[str, int | None]:
        """Give the acceptable pictures of a trusted card with their ratings: stills first, then of videos."""
        known = trusted(card)
        shown = known.previews if known is not None else ()
        previews = [item for item in shown if self._takes(item.nsfw_level)]
        previews.sort(key=lambda item: item.media != "image")
        wanted: dict[str, int | None] = {}
        for item in previews:
            url = self._address(item)
            if url is not None:
                wanted.setdefault(url, item.nsfw_level)
        return wanted

    def _address(self, preview: Preview) -> str | None:
        """Give the address of a small still; None for a video that nobody makes a still of."""
        try:
            parts = urlsplit(preview.url)
            host = parts.hostname or ""
        except ValueError:
            return None
        path = parts.path.split("/")
        if not self._takes_size(f"{parts.scheme}://{parts.netloc}", host, path):
            return preview.url if preview.media == "image" else None
        size = f"width={self._options.width_px},optimized=true"
        if preview.media == "video":
            path[-2:] = [f"anim=false,transcode=true,{size}", PurePosixPath(path[-1]).stem + ".jpeg"]
        else:
            path[-2] = size
        return urlunsplit(parts._replace(path="/".join(path)))

    def _takes_size(self, origin: str, host: str, path: Sequence[str]) -> bool:
        ours = host == "civitai.com" or host.endswith(".civitai.com") or origin in self._options.image_origins
        return ours and len(path) > _PARTS and bool(path[-1]) and _UUID.fullmatch(path[-3]) is not None

"""One picture for a model: which one lies there already, and getting one where there is none.

Never a second one: a program that finds two shows either.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from hashtagd.core.artifacts import PreviewFile
from hashtagd.core.ports import Fetcher
from hashtagd.core.troubles import AskOperator, GiveUp, Scope, Trouble, TryLater

#: what any of the programs shows as a model's picture, in the order in which LoRA Manager looks
PICTURE_SUFFIXES: Final = (
    *(".webp", ".preview.webp", ".preview.png", ".preview.jpeg", ".preview.jpg", ".preview.mp4"),
    *(".png", ".jpeg", ".jpg", ".mp4", ".gif", ".webm", ".avif", ".jxl", ".example.0.jpeg"),
    *(".preview.gif", ".preview.avif", ".preview.jxl", ".preview.webm", ".bmp", ".preview.bmp"),
    *(".thumb.jpg", ".thumb.png"),
)
PICTURE_ENDINGS: Final = tuple({"." + suffix.rpartition(".")[2] for suffix in PICTURE_SUFFIXES})
#: where the trouble of a silent image host names no time
AGAIN_S: Final = 300.0
#: where an image host needs a person first: its gate has the same longest wait
FOR_A_PERSON_S: Final = 900.0
_STILL_TYPES: Final = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"})


class Listing:
    """The names in one folder, ready to be asked for pictures."""

    def __init__(self, names: Iterable[str]) -> None:
        # a folder may hold a hundred thousand names; only those that could be pictures are kept
        self._exact = {name for name in names if name.casefold().endswith(PICTURE_ENDINGS)}
        self._folded: dict[str, list[str]] = {}
        for name in sorted(self._exact):
            self._folded.setdefault(name.casefold(), []).append(name)

    def add(self, name: str) -> None:
        """Note a name that is about to appear."""
        if name not in self._exact:
            self._exact.add(name)
            self._folded.setdefault(name.casefold(), []).append(name)

    def picture_of(
        self, stem: str, *, is_taken: Callable[[str], bool], without: Collection[str] = ()
    ) -> str | None:
        """Name the picture of a model: the first that fits exactly, else the first in any letter case.

        Args:
            stem: the model's name without its extension.
            is_taken: tells of a name like that in other letter case whether another model has it exactly.
            without: names that do not count.
        """
        for suffix in PICTURE_SUFFIXES:
            if stem + suffix in self._exact and stem + suffix not in without:
                return stem + suffix
        for suffix in PICTURE_SUFFIXES:
            for name in self._folded.get((stem + suffix).casefold(), ()):
                # every suffix is ASCII: case folding keeps its length
                if name not in without and not is_taken(name[: -len(suffix)]):
                    return name
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A fetched picture, whole."""

    content: bytes
    nsfw_level: int | None
    #: of which version of a model it is; None: nobody knows
    version_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPicture:
    """Nothing was fetched; `again_in_s` is None when asking again would change nothing."""

    trouble: Trouble
    again_in_s: float | None


def fetch_picture(fetcher: Fetcher, wish: PreviewFile) -> Picture | NoPicture:
    """Try the candidates in order: the next when one is gone or no picture; time heals everything else.

    A trouble of a host is never the last word: even one that needs a person is over one day.

    Raises:
        Stopping: the process was asked to stop meanwhile.
    """
    trouble: Trouble = _no_candidate()
    for index, url in enumerate(wish.urls):
        try:
            content, _ = fetch_still(fetcher, url, wish.max_bytes)
        except TryLater as later:
            return NoPicture(trouble=later, again_in_s=heals_in_s(later))
        except (GiveUp, AskOperator) as other:
            # what a host has is told rather than what an address has: it is what heals
            trouble = trouble if trouble.scope is Scope.PROVIDER else other
        else:
            level = wish.nsfw_levels[index] if index < len(wish.nsfw_levels) else None
            return Picture(content=content, nsfw_level=level, version_id=wish.version_id)
    return NoPicture(trouble=trouble, again_in_s=heals_in_s(trouble))


def fetch_still(fetcher: Fetcher, url: str, max_bytes: int) -> tuple[bytes, str]:
    """Fetch one still picture; returns it with its media type, judged by its bytes.

    Raises:
        Trouble: there is none now; `heals_in_s` says whether there may be one later.
        Stopping: the process was asked to stop meanwhile.
    """
    into = BytesIO()
    media_type = fetcher.fetch(url, into, max_bytes)
    if media_type not in _STILL_TYPES:
        raise _unusable("the preview's address gave no still picture")
    if not 0 < into.getbuffer().nbytes <= max_bytes:
        raise _unusable("the preview is empty or larger than allowed")
    return into.getvalue(), media_type


def heals_in_s(trouble: Trouble) -> float | None:
    """Say when to ask again for a picture that could not be fetched; None: that would change nothing."""
    if isinstance(trouble, TryLater):
        return AGAIN_S if trouble.after_s is None else trouble.after_s
    return None if trouble.scope is Scope.FILE else FOR_A_PERSON_S


def _unusable(what: str) -> GiveUp:
    return GiveUp(
        what,
        does="hashtagd tries the next picture of the model, if there is one",
        you="put a picture of your own beside the model if you want one",
        scope=Scope.FILE,
        kind="no_picture",
    )


def _no_candidate() -> GiveUp:
    return _unusable("the model has no acceptable picture")

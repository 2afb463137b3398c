"""What a file tells about its own training: how it was made, and which words may call it up.

Anybody can write anything into a header, so all of this is hearsay: every value may be missing, of another
type, absurd or private, and then counts as not said. Nothing here raises.

Source: the keys that kohya's scripts and their descendants write (`ss_*`).
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Final

from hashtagd.core.harmless import line, word

#: so many words are enough to find the one that matters
_MOST_WORDS: Final = 24
#: so many different tags and folders are looked at, the most frequent first; hardly any of them are refused
_MOST_LOOKED_AT: Final = 1_000
_LONGEST_NAME: Final = 200
_LONGEST_COMMENT: Final = 500
_LONGEST_NUMBER: Final = 64
#: longer texts are not kept of a header, so they do not come from one
_LONGEST_JSON: Final = 256 * 1024

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{0,40})?(?:[eE][+-]?[0-9]{1,3})?")
_LARGEST: Final = 1e12
_MOST: Final = 1_000_000_000
_LARGEST_RANK: Final = 65_536
_MOST_SKIPPED: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: such files are not older than 2015; the other end is the year 2100
_EARLIEST_S: Final = 1_420_070_400
_LATEST_S: Final = 4_102_444_800

_RESOLUTION: Final = re.compile(r"[\[(]?\s?([0-9]{2,5})(?:\s?[,x]\s?([0-9]{2,5}))?,?\s?[\])]?")
_SEPARATOR: Final = re.compile(r"[/\\]")
_MODEL_ENDS: Final = re.compile(r"\.(?:safetensors|sft|ckpt|gguf|pth?|bin)\Z", re.IGNORECASE)
#: folders whose children are named after people
_HOMES: Final = frozenset({"home", "users", "user", "media"})
#: a dataset folder: repeats, then what is trained
_FOLDER: Final = re.compile(r"[0-9]{1,6}_(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Facts of a training, each as the file states it; None or empty where it does not."""

    #: what made it, for example `networks.lora` or `lycoris.kohya`
    network_module: str | None = None
    rank: int | None = None
    alpha: float | None = None
    #: what it was trained on, in the trainer's words: a bare name, never a path
    base_model_name: str | None = None
    images: int | None = None
    #: done until this file was saved; else planned
    epochs: int | None = None
    steps: int | None = None
    #: width x height, for example `1024x1024`, or one number for both
    resolution: str | None = None
    clip_skip: int | None = None
    #: RFC 3339 in UTC
    started_at: str | None = None
    finished_at: str | None = None
    comment: str | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    #: (word, on how many pictures it stood), the most frequent first
    trigger_candidates: tuple[tuple[str, int], ...] = ()
    #: what the names of the dataset folders hint at: `10_name` says "name"
    folder_hints: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON values: lists for tuples, no number that a store cannot hold."""
        return asdict(self) | {
            "trigger_candidates": [[word, count] for word, count in self.trigger_candidates],
            "folder_hints": list(self.folder_hints),
        }


def training_of(metadata: Mapping[str, str], *, tensor_rank: int | None = None) -> Training | None:
    """Read what the metadata of a header say of the training.

    Args:
        metadata: as `core.header.Header` keeps them.
        tensor_rank: the rank by the shapes of the tensors, for files that do not state one.

    Returns None where nothing is said at all.
    """
    folders = _object(metadata.get("ss_tag_frequency"))
    training = Training(
        network_module=line(metadata.get("ss_network_module"), _LONGEST_NAME),
        rank=_whole(metadata, "ss_network_dim", most=_LARGEST_RANK) or tensor_rank,
        alpha=_number(metadata.get("ss_network_alpha")),
        base_model_name=_base_model_name(metadata),
        images=_whole(metadata, "ss_num_train_images"),
        epochs=_whole(metadata, "ss_epoch") or _whole(metadata, "ss_num_epochs"),
        steps=_whole(metadata, "ss_steps") or _whole(metadata, "ss_max_train_steps"),
        resolution=_resolution(metadata.get("ss_resolution")),
        clip_skip=_whole(metadata, "ss_clip_skip", most=_MOST_SKIPPED),
        started_at=_moment(metadata.get("ss_training_started_at")),
        finished_at=_moment(metadata.get("ss_training_finished_at")),
        comment=line(metadata.get("ss_training_comment"), _LONGEST_COMMENT),
        optimizer=line(metadata.get("ss_optimizer"), _LONGEST_NAME),
        learning_rate=_number(metadata.get("ss_learning_rate")),
        trigger_candidates=_trigger_candidates(folders),
        folder_hints=_folder_hints([*folders, *_object(metadata.get("ss_dataset_dirs"))]),
    )
    return training if training != Training() else None


def _number(value: object) -> float | None:
    """Read a number that is at least 0 and finite."""
    text = value.strip() if isinstance(value, str) and len(value) <= _LONGEST_NUMBER else ""
    number = float(text) if _NUMBER.fullmatch(text) else math.inf
    return number if 0 <= number <= _LARGEST else None


def _whole(metadata: Mapping[str, str], key: str, *, most: int = _MOST) -> int | None:
    number = _number(metadata.get(key))
    return int(number) if number is not None and 1 <= number <= most and number.is_integer() else None


def _moment(value: object) -> str | None:
    seconds = _number(value)
    if seconds is None or not _EARLIEST_S <= seconds <= _LATEST_S:
        return None
    return (_EPOCH + timedelta(seconds=int(seconds))).isoformat().replace("+00:00", "Z")


def _resolution(value: object) -> str | None:
    text = value.strip() if isinstance(value, str) and len(value) <= _LONGEST_NUMBER else ""
    found = _RESOLUTION.fullmatch(text)
    return "x".join(part for part in found.groups() if part) if found else None


def _base_model_name(metadata: Mapping[str, str]) -> str | None:
    """Give the first proper name; of what is often a path, only the last part, without the ending."""
    names = (_file_name(metadata.get(key)) for key in ("ss_sd_model_name", "base_model"))
    return next((name for name in names if name), None)


def _file_name(value: object) -> str | None:
    # the end is enough for the last part and the folder before it
    *before, last = _SEPARATOR.split(value.strip()[-2 * _LONGEST_NAME :]) if isinstance(value, str) else [""]
    if len(last) > _LONGEST_NAME or (before and before[-1].lower() in _HOMES):
        return None
    name = line(_MODEL_ENDS.sub("", last), _LONGEST_NAME)
    return name if name and any(map(str.isalnum, name)) else None


def _object(text: object) -> Mapping[str, Any]:
    """Read a JSON object that stands in a text; an empty one where there is none."""
    if not isinstance(text, str) or len(text) > _LONGEST_JSON:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _trigger_candidates(folders: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    counts: Counter[str] = Counter()
    for folder in folders.values():
        for tag, count in (folder if isinstance(folder, dict) else {}).items():
            if type(count) is int and 0 < count <= _MOST:
                counts[tag.strip()] += count
    found: Counter[str] = Counter()
    for tag, count in counts.most_common(_MOST_LOOKED_AT):
        if clean := word(tag):
            found[clean] += count
        if len(found) == _MOST_WORDS:
            break
    return tuple(found.most_common())


def _folder_hints(folders: Iterable[str]) -> tuple[str, ...]:
    names = (_FOLDER.fullmatch(_SEPARATOR.split(folder)[-1]) for folder in islice(folders, _MOST_LOOKED_AT))
    hints = (hint for name in names if name and (hint := word(name[1])))
    return tuple(dict.fromkeys(hints))[:_MOST_WORDS]

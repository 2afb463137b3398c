"""What a person may type or paste to name a model of Civitai: a number, an AIR, or an address of the site.

Nothing is looked up here, so what comes out may name a model that does not exist.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, parse_qs, urlsplit

_HOSTS: Final = frozenset(
    {
        *("civitai.com", "civitai.red", "civitai.green"),
        *("www.civitai.com", "www.civitai.red", "www.civitai.green"),
        "api.civitai.com",
    }
)
_PORTS: Final = (None, 80, 443)
#: ids are 32-bit integers there
_LARGEST_ID: Final = 2**31 - 1
_LONGEST_TEXT: Final = 2_048
_ID: Final = r"([1-9][0-9]{0,9})"
#: the site's own parser takes the parts before the source as optional, too
_AIR: Final = re.compile(
    rf"(?:(?:urn:)?air:)?(?:[a-z0-9_-]+:){{0,2}}civitai:{_ID}(?:@{_ID})?", re.ASCII | re.IGNORECASE
)
_NUMBER: Final = re.compile(_ID)
_MODEL_PATHS: Final = re.compile(rf"(?:/api/v1)?/models/{_ID}(?:/[^/]*)?/?")
_VERSION_PATHS: Final = re.compile(
    rf"(?:/api/download/models|/api/v1/model-versions|/model-versions)/{_ID}/?"
)
_DOWNLOAD_PATH: Final = "/api/download/models/"
#: by which a download address tells the files of a version apart
_FILE_WORDS: Final = frozenset({"fileId", "type", "format", "size", "fp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """What was named; at least one number is there, and the version counts where it is."""

    #: None where only the version was named
    model_id: int | None
    #: None where the model was named, but none of its versions
    version_id: int | None


def parse_model_name(text: str) -> ModelRef:
    """Read a version's id, an AIR, or the address of a page, of an API call or of a download.

    A number alone is a version's: that is what AIRs, download addresses and other tools end in.

    Raises:
        ValueError: it is none of these; the message is three clauses for a person and quotes nothing, because
            a pasted address may hold a token.
    """
    said = text.strip()
    if len(said) > _LONGEST_TEXT:
        raise _unreadable()
    number, air = _NUMBER.fullmatch(said), _AIR.fullmatch(said)
    if number:
        return ModelRef(model_id=None, version_id=_id(number[1]))
    if air:
        return ModelRef(model_id=_id(air[1]), version_id=_id(air[2]) if air[2] else None)
    return _of_address(_address(said))


def file_words(text: str) -> dict[str, str]:
    """Give what a download address says of the file (`fileId`, `type`, `fp`, ...); nothing for other names.

    Of a word that is there twice nothing is known.
    """
    said = text.strip()
    try:
        address = _address(said) if len(said) <= _LONGEST_TEXT else None
    except ValueError:
        return {}
    if address is None or not address.path.startswith(_DOWNLOAD_PATH):
        return {}
    words = parse_qs(address.query)
    return {name: values[0] for name, values in words.items() if name in _FILE_WORDS and len(values) == 1}


def _of_address(address: SplitResult) -> ModelRef:
    version = _VERSION_PATHS.fullmatch(address.path)
    if version:
        return ModelRef(model_id=None, version_id=_id(version[1]))
    model = _MODEL_PATHS.fullmatch(address.path)
    if model is None:
        raise _unreadable()
    stated = set(parse_qs(address.query, keep_blank_values=True).get("modelVersionId", ()))
    if len(stated) > 1:
        raise _unreadable()
    return ModelRef(model_id=_id(model[1]), version_id=_id(stated.pop()) if stated else None)


def _address(said: str) -> SplitResult:
    whole = said if "://" in said else f"https://{said}"
    if not whole.isprintable() or " " in whole:
        raise _unreadable()
    try:
        address = urlsplit(whole)
        usable = address.hostname in _HOSTS and address.port in _PORTS and "@" not in address.netloc
    except ValueError:
        raise _unreadable() from None
    if not usable or address.scheme not in ("https", "http"):
        raise _unreadable()
    return address


def _id(digits: str) -> int:
    if not _NUMBER.fullmatch(digits) or int(digits) > _LARGEST_ID:
        raise _unreadable()
    return int(digits)


def _unreadable() -> ValueError:
    return ValueError(
        "this names no model of Civitai; nothing was changed; give the id of a version (2130994), "
        "an AIR (urn:air:sdxl:lora:civitai:1882733@2130994) or the address of the model's page "
        "(https://civitai.com/models/1882733?modelVersionId=2130994)"
    )

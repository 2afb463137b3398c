"""Strict readers of what is no JSON: the bare hash, the page, and extended attributes."""

import re
import unicodedata
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import yaml

from support.readers import RefusedError, hexadecimal, need, texts

_MARKUP = re.compile(r"<[A-Za-z/!]")
_KEYS = ("website", "modelPage", "author", "baseModel", "hashes", "metadata", "preview")


def read_sha256(content: bytes) -> str:
    """Read the bare hash as pysssss does: every byte counts."""
    text = _decoded(content)
    hexadecimal(text, 64, upper=False)
    return text


def read_page(content: bytes) -> dict[str, Any]:
    """Read the page of Model Manager; gives its front matter and, under `sections`, lines by heading."""
    text = _decoded(content)
    need(text.startswith("---\n"), "no front matter")
    front_text, end, body = text[4:].partition("\n---\n")
    need(end, "the front matter has no end")
    try:
        front = yaml.safe_load(front_text)
    except yaml.YAMLError as error:
        raise RefusedError(str(error)) from error
    need(isinstance(front, dict), "the front matter is no map")
    need(set(front) <= set(_KEYS) and front.get("website"), f"its keys: {list(front)}")
    for key in _KEYS[:4]:
        need(isinstance(front.get(key, ""), str) and "\n" not in front.get(key, ""), f"{key} is no line")
    texts(front.get("preview", []), "preview")
    texts([*front.get("hashes", {}).values(), *front.get("metadata", {}).values()], "hashes")
    hexadecimal(front.get("hashes", {}).get("SHA256"), 64, upper=True)
    need(not _MARKUP.search(body), "HTML")
    _visible(body)
    return {**front, "sections": _sections(body)}


def read_attributes(values: Mapping[str, bytes]) -> dict[str, Any]:
    """Read the attributes of a model: UTF-8 without controls, and all within what ext4 has for a file."""
    texts_by_key = {key: _decoded(value) for key, value in values.items()}
    need(sum(len(key) + len(value) + 32 for key, value in values.items()) < 4096, "they do not fit")
    for key, text in texts_by_key.items():
        need(key.startswith("user."), key)
        need(text and text == text.strip() and "\n" not in text, f"{key}: {text!r}")
        _visible(text)
    hexadecimal(texts_by_key.get("user.checksum.sha256"), 64, upper=False)
    address = texts_by_key.get("user.xdg.origin.url")
    need(address is None or urlsplit(address).scheme in ("http", "https"), address)
    tags = texts_by_key.get("user.xdg.tags")
    words = [] if tags is None else tags.split(",")
    need(all(words) and len(set(words)) == len(words), f"tags: {words}")
    return {**texts_by_key, "tags": words}


def _sections(body: str) -> dict[str, list[str]]:
    sections: dict[str, list[str]] = {}
    heading = ""
    for line in body.splitlines():
        if line.startswith("# "):
            heading = line[2:]
            need(heading not in sections, "a heading stands twice")
            sections[heading] = []
        elif line.strip():
            need(heading, "text before the first heading")
            need(not line.startswith(("#", "---", "```", "===")), f"a stranger's mark: {line!r}")
            sections[heading].append(line.strip())
    return sections


def _visible(text: str) -> None:
    """Refuse controls and reversed writing."""
    odd = [char for char in text if unicodedata.category(char) == "Cc" and char not in "\n\t"]
    need(
        not odd and not set(text) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"), "controls"
    )


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8", "strict")
    except UnicodeDecodeError as error:
        raise RefusedError(str(error)) from error

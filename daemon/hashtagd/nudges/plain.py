"""A stranger's HTML as plain text. Pure."""

import html
import re
from typing import Final

#: so much is looked at for each character that is wanted: marks take more room than words
_MARGIN: Final = 8
_UNSEEN = re.compile(r"<(script|style)\b[^<>]{0,1000}>.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_LINE_ENDS = re.compile(r"<(?:br|hr|/p|/div|/li|/tr|/h[1-6]|/pre|/blockquote)\b[^<>]{0,1000}>", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z!][^<>]{0,1000}>")
#: control characters but for line ends, direction marks, halves of surrogate pairs
_UNWANTED = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
_BLANKS = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n[\s]*")


def plain_text(text: str, longest: int) -> str:
    """Drop the marks of HTML and keep its lines; at most so many characters.

    The result is text, not HTML: a `<` in it is meant as one.
    """
    text = _UNSEEN.sub("", text[: longest * _MARGIN])
    text = _LINE_ENDS.sub("\n", " ".join(text.split()))
    text = html.unescape(_TAG.sub("", text)).replace("\r", "\n").replace("\t", " ")
    text = _LINES.sub("\n", _BLANKS.sub(" ", _UNWANTED.sub("", text))).strip()
    return text[:longest].rstrip()

"""Text by strangers made fit to be kept and shown: bounded, in one line where one is meant, nothing private.

Trainers write paths of their machines into a model's header, and now and then an address or a key. None of
that may reach a card. Every pattern takes linear time: it starts at a fixed sign or a border of words, and
its repeats are bounded.
"""

import html
import re
from typing import Final

#: put in place of what is private inside a longer text
HIDDEN: Final = "[…]"
#: so much more than what is kept is looked at, so that nothing private is cut in half and then not recognised
_MARGIN: Final = 1_000
LONGEST_WORD: Final = 100
#: a list of more words is cut before it is looked at
_MOST_PARTS: Final = 1_000

#: NUL and halves of surrogate pairs, which no store can hold; escape codes and reversed writing, which
#: deceive the eye
_UNWANTED: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

_PATHS: Final = r"""
    file:/{1,3}[^\s"'<>]*
  | (?<![\w/.~\\-]) / (?:[^/\s"'<>][^/\n"'<>]{0,63}/)+ [^\s"'<>]*
  | (?<![\w/.~\\-]) / (?:root|mnt|media|workspace|content|tmp)/ [^\s"'<>]*
  | / (?:home|users)/ (?:[^/\s"'<>][^/\n"'<>]{0,63}/)* [^\s"'<>]*
  | ~/ [^\s"'<>]* | (?<![\w/.\\-]) ~ [\w.-]{1,32} / [^\s"'<>]*
  | (?:[A-Za-z]:\\ | (?<![A-Za-z])[A-Za-z]:/) (?:[^\\/\n"'<>|]{1,64}[\\/])* [^\s"'<>|]*
  | \\\\ [\w.-]{1,64} \\ [^\s"'<>|]*
"""
_LOGINS: Final = r"""
    (?<![\w.%+-]) [\w.%+-]{1,64} @ [A-Za-z0-9-]{1,63} (?:\.[A-Za-z0-9-]{1,63}){0,8} \.[A-Za-z]{2,24}\b
  | (?<=://) [^\s/@]{1,256} @
"""
_KEYS: Final = r"""
    (?:hf|gh[pousr])_[A-Za-z0-9]{20,256} | \b(?:github_pat_|sk-|r8_|civitai_)[\w-]{16,256}
  | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b
  | \bey[\w-]{8,256}\.ey[\w-]{8,1024} (?:\.[\w-]{0,1024})?
  | -----BEGIN[ ][A-Z ]{0,40}PRIVATE[ ]KEY [^"]*
  | \b(?:bearer|basic)\s{1,8}[A-Za-z0-9._~+/=-]{16,512}
  | (?:api[-_]?key|token|passwd|password|pwd|secret)["']?\s{0,8}[=:]\s{0,8}["']?[^\s"'&<>]{6,512}
  | (?<![0-9A-Za-z])[0-9a-f]{32}(?![0-9A-Za-z])
"""
_PRIVATE: Final = re.compile(f"{_PATHS}|{_LOGINS}|{_KEYS}", re.IGNORECASE | re.VERBOSE)
#: a path from the top, from home, or with a separator that booru tags do not have between letters
_PATH_WORD: Final = re.compile(r"^~?/\w|\w\\\w|(?:^|[\\/])\.{1,2}[\\/]")
_FILE_ENDS: Final = (
    *(".safetensors", ".ckpt", ".sft", ".gguf", ".pt", ".pth", ".bin"),
    *(".txt", ".png", ".jpg", ".jpeg", ".webp", ".toml", ".json"),
)
#: a text shorter than this and without any of these signs is none of the above
_SHORT: Final = 16
_SIGNS: Final = re.compile(r"[/\\~@:=]")
#: a reference to a character with a number that Python refuses to read
_NO_CHARACTER: Final = re.compile("&#[0-9]{9,};?")
#: how a script prints what it was not told
_NOTHING: Final = frozenset({"none", "null", "nan", "undefined"})
_TAG: Final = re.compile(r"</?[A-Za-z!][^<>]{0,1000}>")


def is_private(text: str) -> bool:
    """Tell whether a short text holds what looks like a path, a login, an e-mail address or a key."""
    if len(text) < _SHORT and _SIGNS.search(text) is None:
        return False
    if _PRIVATE.search(text) is not None or _PATH_WORD.search(text) is not None:
        return True
    is_file = ("/" in text or "\\" in text) and text.lower().endswith(_FILE_ENDS)
    return is_file and "://" not in text


def line(value: object, longest: int) -> str | None:
    """Give a text as one line of at most so many characters; None where it says nothing or is private."""
    if not isinstance(value, str):
        return None
    text = " ".join(_UNWANTED.sub("", value.strip()[: longest + _MARGIN]).split())
    if not text or text.lower() in _NOTHING or is_private(text):
        return None
    return text[:longest].rstrip()


def word(value: object) -> str | None:
    """Give a word or short phrase; None where it is empty, private, or has too many letters or lines."""
    text = value.strip() if isinstance(value, str) else ""
    return line(text, LONGEST_WORD) if len(text) <= LONGEST_WORD and not {"\n", "\r"} & set(text) else None


def words(value: object, most: int) -> tuple[str, ...]:
    """Give the words of a text that has commas between them, each once, at most so many."""
    parts = value.split(",", _MOST_PARTS)[:_MOST_PARTS] if isinstance(value, str) else ()
    return tuple(dict.fromkeys(found for part in parts if (found := word(part))))[:most]


def prose(value: object, longest: int) -> str | None:
    """Give a longer text without marks of HTML; its lines stay, what is private in it is blanked out.

    The result is text, not HTML: a `<` in it is meant as one.

    Returns None where nothing is left to say.
    """
    if not isinstance(value, str):
        return None
    text = _PRIVATE.sub(HIDDEN, plain(value.strip()[: longest + _MARGIN]))[:longest].strip()
    return text if text.replace(HIDDEN, "").strip() else None


def plain(text: str) -> str:
    """Take the marks of HTML away, and what no store can hold or deceives the eye; nothing else is judged."""
    text = _NO_CHARACTER.sub("", _TAG.sub("", text))
    # only now: what is spelled as a character reference must not slip through
    return visible(html.unescape(text))


def visible(text: str) -> str:
    """Take away what no store can hold, and what deceives the eye."""
    return _UNWANTED.sub("", text)

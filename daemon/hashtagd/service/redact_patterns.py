"""What secrets and personal facts look like in text, as a table of patterns. No state, no known secrets here.

Every pattern takes linear time: it begins with a fixed word or a look-behind, and its repeats are bounded or
of a class that its end is not in. None touches bare hexadecimal of any length: SHA-256, BLAKE3, CRC32 and the
short names of models must survive, and so must MD5 sums, which look exactly like an API key of Civitai.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

HIDDEN = "[redacted]"
HIDDEN_SHORT = "[…]"
HIDDEN_MAIL = "[e-mail]"
HIDDEN_ADDRESS = "[address]"

#: the only names whose values stay in the query of an address
OPEN_QUERY_NAMES = frozenset(
    {"page", "limit", "cursor", "type", "format", "size", "fp", "fileid", "modelversionid"}
)
#: endings that follow an @ in names of files and systemd units, where no mail is meant
_NO_MAIL = (
    r"(?:safetensors|sft|gguf|ckpt|pth|bin|json|png|jpe?g|webp|mp4|yaml|txt|service|socket|timer|mount|slice)"
)

_SECRET_PARTS = frozenset(
    {"key", "apikey", "token", "secret", "auth", "authorization", "session", "cookie", "cookies", "password"}
    | {"passwd", "pwd", "credential", "credentials", "bearer", "signature", "sig"}
)
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

_HEADER_NAME = (
    r"[\w-]{0,40}?(?:authorization|cookie|token|secret|session(?:[-_]?id)?|\bauth|[-_]auth|api[-_]?key|[-_]key"
    r"|password|passwd|pwd)"
)
#: what no ordinary word after "token" or "basic" has: a digit, padding, or very many letters in a row
_NO_WORD = re.compile(r"[0-9]|=$|[A-Za-z]{20}")
_OPEN_VALUE = re.compile(r"[\w.,|:=+-]{0,64}")


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern and what is put in its place."""

    #: lower-case texts; without one of them the pattern cannot match, and is not tried
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    replacement: str | Callable[[re.Match[str]], str]


def is_secret_name(name: str) -> bool:
    """Tell whether a key, header or field of this name holds a secret."""
    return any(part.lower() in _SECRET_PARTS for part in _PARTS.findall(name))


def _hide_in_url(found: re.Match[str]) -> str:
    address, hash_sign, fragment = found[0].partition("#")
    rest, mark, query = address.partition("?")
    host, slash, path = rest.removeprefix("://").partition("/")
    login, at, bare = host.rpartition("@")
    host = f"{HIDDEN_SHORT}@{bare}" if at and login else host
    return f"://{host}{slash}{path}{mark}{_hide_values(query)}{hash_sign}{fragment}"


def _hide_values(query: str) -> str:
    return re.sub(r"[^&;]+", _hide_parameter, query)


def _hide_parameter(found: re.Match[str]) -> str:
    name, equals, value = found[0].partition("=")
    if not equals:
        # a value without a name: nobody can tell what it is
        return found[0] if HIDDEN_SHORT in found[0] else HIDDEN_SHORT
    if name.lower() in OPEN_QUERY_NAMES and _OPEN_VALUE.fullmatch(value):
        return found[0]
    return f"{name}={HIDDEN_SHORT}"


def _hide_token(found: re.Match[str]) -> str:
    value = found["value"]
    is_hash = found["word"].lower() != "bearer" and re.fullmatch(r"[0-9a-fA-F]{64}", value)
    is_word = not _NO_WORD.search(value)
    return found[0] if is_hash or is_word else f"{found['word']}{found['gap']}{HIDDEN}"


def _hide_address(found: re.Match[str]) -> str:
    host = found["host"]
    return found[0] if host.startswith("127.") or host == "[::1]" else f"{found['before']}{HIDDEN_ADDRESS}"


_I = re.IGNORECASE

RULES: tuple[Rule, ...] = (
    # known shapes
    Rule(
        ("private key-----",),
        re.compile(
            r'-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:[^"]*?-----END [A-Z ]{0,40}PRIVATE KEY-----|[^"]*)'
        ),
        HIDDEN,
    ),
    Rule(
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
        re.compile(r"\b(gh[pousr]_)[A-Za-z0-9]{36,}"),
        rf"\1{HIDDEN}",
    ),
    Rule(("github_pat_",), re.compile(r"\b(github_pat_)\w{22,}", re.ASCII), rf"\1{HIDDEN}"),
    Rule(("hf_",), re.compile(r"\b(hf_)[A-Za-z0-9]{34,}"), rf"\1{HIDDEN}"),
    Rule(("akia", "asia"), re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"), rf"\1{HIDDEN}"),
    Rule((".ey",), re.compile(r"\bey[\w-]{8,}\.ey[\w-]{8,}(?:\.[\w-]*)?", re.ASCII), HIDDEN),
    # addresses: login, query; relative ones have only a query
    Rule(("://",), re.compile(r"""://[^\s"'<>\\]+"""), _hide_in_url),
    Rule(
        ("?",),
        re.compile(r"""(?<=[\w/.\]-])\?(?P<query>[A-Za-z0-9_.~%+\[\]-]{1,64}=[^\s"'<>\\#]*)"""),
        lambda found: f"?{_hide_values(found['query'])}",
    ),
    # headers: pairs in the printed form of lists and maps, then lines
    Rule(
        ("auth", "cookie", "token", "secret", "session", "key", "passw", "pwd"),
        re.compile(
            rf"""(?P<head>(?P<q>["']){_HEADER_NAME}(?P=q)\s{{0,8}}[,:]\s{{0,8}}b?(?P<r>["']))"""
            r"""(?:(?!(?P=r))[^\\]|\\.)*""",
            _I,
        ),
        rf"\g<head>{HIDDEN}",
    ),
    Rule(
        ("authorization", "api-key"),
        re.compile(r"""\b((?:proxy-)?authorization|x-api-key)(\s{0,8}[:=]\s{0,8})[^\s"'\\][^\r\n"\\]*""", _I),
        rf"\1\2{HIDDEN}",
    ),
    Rule(
        ("cookie",),
        re.compile(r"""\b((?:set-)?cookie)(\s{0,8}[:=]\s{0,8})[^\s=;"\\]{1,128}=[^\r\n"\\]*""", _I),
        rf"\1\2{HIDDEN}",
    ),
    Rule(
        ("bearer", "basic", "token"),
        re.compile(r"""\b(?P<word>bearer|basic|token)(?P<gap>\s+)(?P<value>[A-Za-z0-9._~+/=-]{8,})""", _I),
        _hide_token,
    ),
    # a name and its value, in any notation
    Rule(
        ("pass", "pwd", "token", "key", "secret"),
        re.compile(
            r"""(?P<head>(?:password|passwd|pwd|token|api[-_]?key|secret)\\?["']?\s{0,8}[=:]\s{0,8})"""
            r"""(?:(?P<open>\\?["'])(?P<quoted>(?:(?!(?P=open)).){6,}?)(?P=open)|[^\s"'\\&<>]{6,})""",
            _I,
        ),
        lambda found: f"{found['head']}{found['open'] or ''}{HIDDEN}{found['open'] or ''}",
    ),
    Rule(
        ("key",),
        re.compile(r"""(\bkey\\?["']?\s{0,8}[=:]?\s{0,8}\\?["']?)[0-9a-f]{32}(?![0-9a-f])""", _I),
        rf"\1{HIDDEN}",
    ),
    # who and where
    Rule(
        ("://", "host", "addr", "peer"),
        re.compile(
            r"""(?P<before>://|\b(?:host|addr|address|peer)["']?[=:]\s?["'(]{0,2})"""
            r"""(?P<host>[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b|\[[0-9A-Fa-f:.]{2,45}\])"""
        ),
        _hide_address,
    ),
    Rule(
        ("/home/", "/users/", "/media/", "/run/user/"),
        re.compile(
            r"""(?<![\w.~-])(?:/mnt/[a-z](?=/users))?/(?:home|users|run/media|run/user|media)/[^/\s"'\\:,;)\]>]+""",
            _I,
        ),
        "~",
    ),
    Rule(
        ("\\users\\",),
        re.compile(r"""(?<!\w)[A-Za-z]:\\{1,4}Users\\{1,4}(?:[^\\/"'\r\n]{1,64}(?=\\)|[^\\/"'\s]+)""", _I),
        "~",
    ),
    Rule(
        ("@",),
        re.compile(
            rf"(?<![\w.%+-])(?!git@)[\w.%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.(?!{_NO_MAIL}\b)[A-Za-z]{{2,24}}\b"
        ),
        HIDDEN_MAIL,
    ),
)

#: finds nothing in a lower-case text that no rule can change
HINT = re.compile("|".join(sorted({re.escape(hint) for rule in RULES for hint in rule.hints})))

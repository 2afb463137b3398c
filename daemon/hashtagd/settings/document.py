"""YAML text -> plain values and the line of each, with every trap of YAML turned into a mistake.

The scalars are those of YAML 1.2's core schema, so `no` and `1:30` are text and `0644` is not 420; where a
number or a boolean is wanted they are mistakes. Aliases, tags and second documents have no use here and are
refused, which also keeps documents small that would be endless if walked.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from hashtagd.settings.mistakes import KeyPath, Mistake, SettingsMistakes, spell

MAX_CHARACTERS = 256 * 1024
_MAX_DEPTH = 20

_NULL = re.compile(r"null|Null|NULL|~|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
#: 18 digits at most: int() itself refuses thousands of them, and no setting needs more
_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,30}|[0-9]{1,30}(\.[0-9]{0,30})?)([eE][-+]?[0-9]{1,3})?", re.ASCII)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]", re.ASCII)
_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
#: spellings of keys under which people put a secret
_SECRET_KEY = re.compile(
    r"(civitai)?_?(api|access|auth)?_?(key|token)|password|passwd|secret|bearer|authorization|cookie"
)

Value = None | bool | int | float | str | list["Value"] | dict[str, "Value"]


@dataclass(slots=True)
class Document:
    """What a text says, as far as it could be understood."""

    value: Value = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def refuse(self, path: KeyPath, node: yaml.Node, rule: str) -> None:
        """Note a mistake at a node."""
        self.mistakes.append(Mistake(line=node.start_mark.line + 1, path=spell(path), rule=rule))


class _Refused(Exception):  # noqa: N818 - a signal inside this module
    def __init__(self, line: int, rule: str) -> None:
        super().__init__(rule)
        self.line = line
        self.rule = rule


class _Loader(yaml.BaseLoader):
    """Composes nodes without resolving scalars; refuses aliases and depth before they can cost anything."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            raise _Refused(line, "aliases (*) are not used here; write the value out")
        if self.depth >= _MAX_DEPTH:
            raise _Refused(line, f"nested deeper than {_MAX_DEPTH} levels")
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def read_document(text: str, source: str) -> Document:
    """Read one YAML document.

    Returns what was understood; its mistakes (duplicate keys, tags, secrets) are to be reported together with
    those that a look at the values will find.

    Raises:
        SettingsMistakes: the text as a whole is no YAML.
    """
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_CHARACTERS:
        raise _whole(source, None, f"is longer than {MAX_CHARACTERS} characters")
    try:
        node = yaml.compose(text, Loader=_Loader)
    except _Refused as refused:
        raise _whole(source, refused.line, refused.rule) from None
    except yaml.MarkedYAMLError as error:
        # PyYAML quotes the line it stumbles over, and that line may hold a key: pass on only the position
        raise _whole(source, *_explain(error, text)) from None
    except yaml.YAMLError:
        raise _whole(source, None, "has characters that YAML does not allow") from None
    document = Document()
    if node is not None:
        document.value = _value(node, (), document)
    return document


def _whole(source: str, line: int | None, rule: str) -> SettingsMistakes:
    return SettingsMistakes(source, [Mistake(line=line, path="", rule=rule)])


def _explain(error: yaml.MarkedYAMLError, text: str) -> tuple[int | None, str]:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return None, "is not well-formed YAML"
    lines = text.splitlines() or [""]
    if mark.line >= len(lines):  # a bracket that is never closed is missed behind the last line
        return len(lines), "is not well-formed YAML: something that began is not ended here"
    line = mark.line + 1
    if error.context == "expected a single document in the stream":
        return line, "a second document begins here; put everything into one"
    if "\t" in lines[mark.line][: mark.column + 1]:
        return line, "a tab stands here; YAML is indented with spaces"
    return line, f"is not well-formed YAML here (column {mark.column + 1})"


def _value(node: yaml.Node, path: KeyPath, document: Document) -> Value:
    document.lines.setdefault(path, node.start_mark.line + 1)
    if node.tag not in _PLAIN_TAGS:
        document.refuse(path, node, "tags (!) are not used here")
        return None
    if isinstance(node, yaml.MappingNode):
        return dict(_pairs(node, path, document))
    if isinstance(node, yaml.SequenceNode):
        return [_value(child, (*path, index), document) for index, child in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node, path, document)
    return None


def _pairs(node: yaml.MappingNode, path: KeyPath, document: Document) -> Iterator[tuple[str, Value]]:
    seen: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode) or _CONTROL.search(key_node.value):
            document.refuse(path, key_node, "a key must be plain text")
            continue
        key = str(key_node.value)
        if _SECRET_KEY.fullmatch(key.lower().replace("-", "_")):
            rule = "a secret must not stand in this file; use $CIVITAI_API_KEY or api_key_file"
            document.refuse((*path, key), key_node, rule)
            continue
        if key in seen:
            document.refuse(path, key_node, f"a key is given twice (first in line {seen[key]})")
            continue
        seen[key] = line
        document.lines[*path, key] = line
        yield key, _value(value_node, (*path, key), document)


def can_hold(text: str) -> bool:
    """Tell whether settings may hold a text as a value, however it is quoted."""
    return _CONTROL.search(text) is None


def _scalar(node: yaml.ScalarNode, path: KeyPath, document: Document) -> Value:
    text = str(node.value)
    if not can_hold(text):
        document.refuse(path, node, "has control characters")
        return None
    return _plain(text) if node.style is None else text


def _plain(text: str) -> Value:
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and not _LEADING_ZERO.match(text):
        return float(text)
    return text

"""Documents in YAML that people write, read whole before anything is made of them.

Scalars are read as text: a rate never passes through a float, `on` stays a word, and a date is
what is written. Aliases and tags are refused, so a small file cannot grow in memory and nothing
but text, lists and mappings can come out of it. What is wrong is one sentence with line and field.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from itertools import islice
from typing import Any, Final, TypeVar

import yaml
from marshmallow import RAISE, Schema, ValidationError, fields, validate

from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark

T = TypeVar("T")
Path = tuple[str | int, ...]

LARGEST_BYTES: Final = 256 * 1024
DEEPEST: Final = 8
"""Levels of nesting; a tariff has seven."""
_NO_TEXT: Final = mark("it has a character that is no text")
_ODD: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""Control characters, halves of characters, and what is no character."""
MOST_FAULTS: Final = 100
"""So many are told at once: who made more of them did not write a tariff."""


class Fault(Exception):
    """What is wrong and at which path of fields; the line is looked up unless it is given."""

    def __init__(
        self, path: Path, problem: str, *, line: int | None = None, **values: object
    ) -> None:
        super().__init__(problem)
        self.path = path
        self.problem = problem
        self.line = line
        self.values = values


class BadDocument(Invalid):
    """A document that cannot be accepted; `line` and `field` say where it is wrong."""

    def sentence(self, translate: Callable[[str], str]) -> str:
        """Return the sentence, each of its parts in the reader's language."""
        place = [translate(self.values["where"])]
        if self.values["line"]:
            place.append(translate(mark("line %(line)s")) % self.values)
        if self.values["field"]:
            place.append(self.values["field"])
        return f"{', '.join(place)}: {translate(self.values['problem']) % self.values}"


def read_document(
    text: str, schema: type[Schema], build: Callable[[Mapping[str, Any]], T], *, where: str
) -> T:
    """Return what `build` makes of the document's fields; refuse with its first fault.

    `schema` says which fields there are, `build` raises a `Fault` where they do not fit together.
    """
    root: yaml.Node | None = None
    try:
        root = _root(text)
        return build(_checked(_plain(root, ()), schema))
    except Fault as fault:
        raise _bad(fault, root, where) from None


def faults_of(
    text: str, schema: type[Schema], build: Callable[[Mapping[str, Any]], object], *, where: str
) -> tuple[BadDocument, ...]:
    """Return the faults of a document that can be told apart, by line; empty where it is right.

    Faults of single fields are found at once, up to `MOST_FAULTS`. How fields fit together is
    judged after that, up to the first thing that does not.
    """
    root: yaml.Node | None = None
    try:
        root = _root(text)
        tree = _plain(root, ())
        found = schema(unknown=RAISE).validate(tree)
        if not found:
            build(_checked(tree, schema))
            return ()
        told = islice(_all(found, ()), MOST_FAULTS)
        faults = [_bad(_own_words(path, reason), root, where) for path, reason in told]
    except Fault as fault:
        faults = [_bad(fault, root, where)]
    return tuple(sorted(faults, key=lambda one: one.values["line"] or 0))


def _bad(fault: Fault, root: yaml.Node | None, where: str) -> BadDocument:
    return BadDocument(
        where=where,
        line=fault.line or _line_of(root, fault.path),
        field=".".join(str(part) for part in fault.path),
        problem=fault.problem,
        **fault.values,
    )


def tree_of(text: str, *, where: str = mark("tariff")) -> dict[str, Any]:
    """Return a document as text, lists and mappings, unjudged; refuse what is no YAML of fields."""
    try:
        tree: dict[str, Any] = _plain(_root(text), ())
    except Fault as fault:
        raise BadDocument(
            where=where, line=fault.line, field="", problem=fault.problem, **fault.values
        ) from None
    return tree


def _root(text: str) -> yaml.Node:
    if len(text.encode(errors="replace")) > LARGEST_BYTES:
        raise Fault((), mark("the file is larger than %(limit)s bytes"), limit=LARGEST_BYTES)
    try:
        root = yaml.compose(text, Loader=_PlainLoader)
    except yaml.YAMLError as error:
        position = getattr(error, "problem_mark", None)
        raise Fault(
            (),
            mark("this is no YAML: %(reason)s"),
            line=None if position is None else position.line + 1,
            reason=getattr(error, "problem", None) or str(error).partition("\n")[0],
        ) from None
    except ValueError:  # the number of a character beyond all there are, written as an escape
        raise Fault((), _NO_TEXT) from None
    if not isinstance(root, yaml.MappingNode):
        raise Fault((), mark("the document is no mapping of fields"))
    return root


class _PlainLoader(yaml.BaseLoader):
    """Composes text, lists and mappings; refuses aliases, tags and endless nesting."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse what could grow, change its type or run deeper than a tariff does."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.events.AliasEvent):
            _refuse(event, mark("aliases are not allowed"))
        if getattr(event, "tag", None) is not None:
            _refuse(event, mark("tags are not allowed"))
        if self.depth == DEEPEST:
            _refuse(event, mark("the fields are nested too deeply"))
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _refuse(event: yaml.Event, problem: str) -> None:
    position = event.start_mark
    raise Fault((), problem, line=None if position is None else position.line + 1)


def _plain(node: yaml.Node, path: Path) -> Any:  # noqa: ANN401 - text, a list or a mapping
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item, (*path, number)) for number, item in enumerate(node.value)]
    if not isinstance(node, yaml.MappingNode):
        return _text(node, path)
    tree: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise Fault(path, mark("the name of a field is one word"))
        _text(key, path)
        if key.value in tree:
            # The second would win in silence.
            raise Fault(
                path,
                mark("the key %(key)s comes twice"),
                line=key.start_mark.line + 1,
                key=repr(key.value),
            )
        tree[key.value] = _plain(value, (*path, key.value))
    return tree


def _text(node: yaml.Node, path: Path) -> str:
    """Return the text of a scalar; an escape may write what no page and no database keeps."""
    text: str = node.value
    if _ODD.search(text):
        raise Fault(path, _NO_TEXT, line=node.start_mark.line + 1)
    return text


_WRONG_NAME: Final = mark("a name has 1 to 200 characters")
_OUR_WORDS: Final = {
    "Missing data for required field.": mark("the field is missing"),
    "Unknown field.": mark("there is no such field"),
    "Not a valid date.": mark("this is not a date such as 2026-10-01"),
    "Not a valid string.": mark("this is not a text"),
    "Not a valid list.": mark("this is not a list"),
    "Not a valid mapping type.": mark("this is not a mapping of fields"),
    "Invalid input type.": mark("this is not a mapping of fields"),
    "Invalid type.": mark("this is not a mapping of fields"),
}
"""What marshmallow says, in the words of the catalogues."""


class NameSchema(Schema):
    """What documents call a thing, in both languages."""

    ru = fields.String(required=True, validate=validate.Length(1, 200, error=_WRONG_NAME))
    en = fields.String(load_default="", validate=validate.Length(0, 200, error=_WRONG_NAME))


def choice(choices: type[StrEnum], error: str, **options: Any) -> fields.Enum[Any]:  # noqa: ANN401
    """Return the field of one of the `choices`."""
    return fields.Enum(choices, by_value=True, error_messages={"unknown": error}, **options)


def dated(value: str, **options: Any) -> fields.List[Any]:  # noqa: ANN401
    """Return a field of dated values: each entry has `from` and the field `value`."""
    entry = Schema.from_dict(
        {
            "from_": fields.Date(required=True, data_key="from"),
            value: fields.String(required=True),
        },
        name="Dated",
    )
    return fields.List(
        fields.Nested(entry),
        validate=validate.Length(1, 500, error=mark("there are 1 to 500 dated values")),
        **(options or {"required": True}),
    )


def code_field() -> fields.String:
    """Return the field of a code."""
    return fields.String(
        required=True,
        validate=validate.Regexp(
            r"[a-z0-9][a-z0-9_-]{0,63}\Z",
            error=mark("a code has small Latin letters, digits, _ and -, at most 64"),
        ),
    )


def source_field() -> fields.String:
    """Return the field of the act or page that prices come from."""
    return fields.String(
        required=True,
        validate=validate.Length(1, 1000, error=mark("a source has 1 to 1000 characters")),
    )


def confidence_field() -> fields.String:
    """Return the field of how sure we are of the source."""
    return fields.String(
        required=True,
        validate=validate.OneOf(
            ["high", "medium", "low", "memory"],
            error=mark("a confidence is high, medium, low or memory"),
        ),
    )


def _checked(tree: Mapping[str, Any], schema: type[Schema]) -> Mapping[str, Any]:
    try:
        loaded: Mapping[str, Any] = schema(unknown=RAISE).load(tree)
    except ValidationError as error:
        path, reason = next(_all(error.messages, ()))
        raise _own_words(path, reason) from None
    return loaded


def _own_words(path: Path, reason: str) -> Fault:
    return Fault(path, _OUR_WORDS.get(reason) or reason)


def _all(messages: object, path: Path) -> Iterator[tuple[Path, str]]:
    """Yield the path and the sentence of each thing that marshmallow finds wrong."""
    if isinstance(messages, Mapping):
        for key, rest in messages.items():
            # These three are marshmallow's own words for a place, no fields of the document.
            part = () if key in {"_schema", "key", "value"} else (getattr(key, "value", key),)
            yield from _all(rest, (*path, *part))
    elif isinstance(messages, list):
        for one in messages:
            yield from _all(one, path)
    else:
        yield path, str(messages).replace("%", "%%")


def _line_of(root: yaml.Node | None, path: Path) -> int | None:
    """Return the line of the deepest field of `path` that the document has."""
    if root is None or not path:
        return None
    node, line = root, root.start_mark.line
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = [pair for pair in node.value if pair[0].value == part]
            if not found:
                break
            line, node = found[0][0].start_mark.line, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line
    return int(line) + 1

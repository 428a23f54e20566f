"""Who did something, as people read it: a user's name, or the machine that acted on its own."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from kilokassa.core.text import mark
from kilokassa.web.by_hand import names_of
from kilokassa.web.language import translate
from kilokassa.web.visit import Visit

_USER: Final = re.compile(r"user:\d+")
_SOURCES: Final[Mapping[str, str]] = {
    "accounts file": mark("the file of accounts"),
    "registry": mark("the registry"),
    "resident": mark("the customer"),
    "staff": mark("the operator"),
    "replacement": mark("replacement of the meter"),
    "api": mark("another system"),
}
_MACHINES: Final[Mapping[str, str]] = {
    "check": mark("the periodic check"),
    "import": mark("import %(number)s"),
    "file": mark("import %(number)s"),
    "retry": mark("a second try of an import"),
    "estimate": mark("an estimate"),
    "walk": mark("walk-round %(number)s"),
    "meters": mark("the meters"),
    "cli": mark("the command line"),
    "scheduler": mark("the scheduler"),
    "demo": mark("the demo"),
    "job": mark("automatically"),
}


def source_text(source: str) -> str:
    """Return where a value or an event came from, as people read it."""
    kind, _, rest = source.partition("#")[0].partition(":")
    message = {**_MACHINES, **_SOURCES}.get(kind)
    return source if message is None else translate(message) % {"number": rest}


def event_source_text(source: str) -> str:
    """Return where a device event came from: files of events are known by their content alone."""
    return translate(mark("a file")) if source.startswith("file:") else source_text(source)


class Doers:
    """The names of those who did the things of one page; looked up once."""

    def __init__(
        self, here: Visit, actors: Iterable[str | None], notes: Iterable[str] = ()
    ) -> None:
        wanted = {actor for actor in actors if actor}
        for note in notes:
            wanted |= set(_USER.findall(note))
        self._names = names_of(here.session, wanted)

    def name(self, actor: str | None) -> str:
        """Return a name; empty where nobody did it."""
        if not actor:
            return ""
        kind, _, number = actor.partition(":")
        if actor not in self._names or self._names[actor] == actor:
            message = _MACHINES.get(kind)
            return actor if message is None else translate(message) % {"number": number}
        return self._names[actor]

    def note(self, text: str) -> str:
        """Return a note with the users in it by their names."""
        return _USER.sub(lambda found: self.name(found[0]), text)

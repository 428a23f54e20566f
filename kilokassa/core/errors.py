"""Refusals: nouns with a code, the data of the case and one sentence for people."""

from collections.abc import Callable
from typing import Any, ClassVar


class DomainError(Exception):
    """A request that is refused for a reason its sender can understand.

    `template` is an English sentence with named `%(field)s` places; an edge translates the template
    before it fills it in, so the sentence reaches people in their own language.
    """

    code: ClassVar[str] = "refused"
    retryable: ClassVar[bool] = False
    template: ClassVar[str] = "The request was refused."

    def __init__(self, **values: Any) -> None:  # noqa: ANN401 - whatever the template names
        self.values = values
        super().__init__(self.sentence(str))

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel whole between processes; the usual way would call `__init__` with a sentence."""
        return _blank, (type(self), *self.args), self.__dict__

    def sentence(self, translate: Callable[[str], str]) -> str:
        """Return the refusal as a sentence, its template first passed through `translate`."""
        return translate(self.template) % self.values


class NotFound(DomainError):
    """What was asked for does not exist, or the actor may not know that it does."""

    code = "not_found"
    template = "There is no %(what)s %(name)s."

    def sentence(self, translate: Callable[[str], str]) -> str:
        """Return the sentence with the kind of thing in the reader's language too."""
        return translate(self.template) % (self.values | {"what": translate(self.values["what"])})


class Forbidden(DomainError):
    """The actor's scope does not allow the action."""

    code = "forbidden"
    template = "You have no right to do this: %(action)s."

    def sentence(self, translate: Callable[[str], str]) -> str:
        """Return the sentence with the deed in the reader's language too."""
        return translate(self.template) % {"action": translate(self.values["action"])}


class Invalid(DomainError):
    """A value that cannot be accepted; `where` names the line, field or account.

    `problem` is itself a template over the other values:
    `Invalid(where="line 7", problem="%(text)s is not a time", text="25:00")`.
    """

    code = "invalid"
    template = "%(where)s: %(problem)s"

    def sentence(self, translate: Callable[[str], str]) -> str:
        """Return the sentence with both the place and the problem in the reader's language."""
        problem = translate(self.values["problem"]) % self.values
        return f"{translate(self.values['where'])}: {problem}"


class RequestConflict(DomainError):
    """An idempotency key that was used for another request."""

    code = "request_conflict"
    template = "The key %(key)s was already used for another request."


def _blank(kind: type[DomainError], *args: object) -> DomainError:
    return kind.__new__(kind, *args)

"""Which layout a file of payments has, told by the file itself, and its rows."""

from datetime import date
from hashlib import sha256

from kilokassa.core.errors import Invalid
from kilokassa.core.text import mark
from wallet.payments import registry_tula
from wallet.payments.one_c import is_one_c, read_one_c
from wallet.payments.reading import (
    WHERE,
    Control,
    ReadFile,
    checked,
    decoded,
    lines_of,
)
from wallet.payments.registry_agent import FIELDS as AGENT_FIELDS
from wallet.payments.registry_agent import columns_of, read_agent, read_csv
from wallet.payments.registry_dbf import is_dbf, read_dbf
from wallet.payments.registry_tula import read_tula


def read_payments(data: bytes, name: str, today: date, control: Control | None = None) -> ReadFile:
    """Return the rows of a file of payments, checked against its control where one is given."""
    return checked(_read(data, name, today), control, name)


def _read(data: bytes, name: str, today: date) -> ReadFile:
    if is_one_c(data):
        return read_one_c(data, today)
    if is_dbf(data):
        return read_dbf(data, today, name, sha256(data).hexdigest())
    text, _ = decoded(data)
    first = next(iter(lines_of(text)), None)
    if first is None:
        raise Invalid(where=WHERE, problem=mark("it is empty"))
    line = first[1].rstrip(";")
    fields = line.count(";") + 1
    if any(columns_of(line.split(delimiter)) for delimiter in ";,\t"):
        return read_csv(data, today)
    # A row may end in empty fields: then the mark at its end says how many there are.
    counts = {fields, first[1].count(";") + 1, first[1].count(";")}
    if registry_tula.FIELDS in counts:
        return read_tula(data, today)
    if AGENT_FIELDS in counts:
        return read_agent(data, today)
    raise Invalid(
        where=WHERE,
        problem=mark(
            "its layout is not known: a first line of %(fields)s fields is that of no registry"
        ),
        fields=first[1].count(";") + 1,
    )

"""The ledger as lines of JSON: written wallet by wallet, and audited from these lines alone.

The first line names the format and what it holds. Seals follow, each with the number of the last
entry that it covered; then, for every wallet in order, the wallet, its lots, and its entries with
their postings and draws. Whoever has the file needs no database and no program of the house to
compute every chain, balance, lot and seal anew.

Pure: rows go in and lines come out, lines go in and faults come out. Nothing of a file is trusted.
One wallet is held at a time, however many there are.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, NamedTuple, get_args, get_type_hints

from kilokassa.core.errors import DomainError
from kilokassa.core.text import mark
from wallet.audit import (
    Drawn,
    LedgerFault,
    Leg,
    StoredEntry,
    StoredLot,
    StoredWallet,
    audit_wallet,
)
from wallet.ledger import seal_part

FORMAT: Final = "kilokassa-ledger"
VERSION: Final = 1
LONGEST_LINE: Final = 1_000_000
"""Characters; a longer line is no line of such a file."""
MOST_OF_A_WALLET: Final = 1_000_000
"""Lines; a file that holds more of one wallet is refused before it fills the memory."""


class NotALedger(DomainError):
    """A file that is no export of a ledger, or a broken one."""

    code = "not_a_ledger"
    template = "Line %(line)s: %(problem)s"


class StoredSeal(NamedTuple):
    """A daily seal, and up to which entry it went."""

    day: date
    wallets: int
    entries: int
    digest: str
    recorded_at: datetime
    through_entry: int
    """The id of the last entry it covered; 0 where it covered none."""


class Exported(NamedTuple):
    """All that is stored of one wallet."""

    wallet: StoredWallet
    entries: Sequence[StoredEntry]
    legs: Mapping[int, Sequence[Leg]]
    draws: Mapping[int, Sequence[Drawn]]
    lots: Sequence[StoredLot]


@dataclass(slots=True)
class Counted:
    """What was read of a file, known once all of it was read."""

    wallets: int = 0
    entries: int = 0
    seals: int = 0
    last_seal: str = ""
    """The newest seal, to compare with the copy that was kept elsewhere."""
    totals: dict[str, int] = field(default_factory=dict)
    """The trial balance: what each ledger account comes to, in kopecks; together nothing."""


def lines_of(
    seals: Sequence[StoredSeal], wallets: Iterable[Exported], *, at: datetime
) -> Iterator[str]:
    """Yield the lines of an export, without line ends; the last says how many there were."""
    head = {"format": FORMAT, "version": VERSION, "exported_at": at, "seals": len(seals)}
    yield _json(head)
    for seal in seals:
        yield _json({"seal": _row(seal)})
    lines = 1 + len(seals)
    for one in wallets:
        yield _json({"wallet": _row(one.wallet)})
        for lot in one.lots:
            yield _json({"lot": _row(lot)})
        for entry in one.entries:
            postings, draws = one.legs.get(entry.id, ()), one.draws.get(entry.id, ())
            yield _json({"entry": _row(entry), "postings": postings, "draws": draws})
        lines += 1 + len(one.lots) + len(one.entries)
    yield _json({"end": lines})


def audit_lines(lines: Iterable[str], counted: Counted | None = None) -> Iterator[LedgerFault]:
    """Yield what is wrong with an exported ledger; raise `NotALedger` where it cannot be read.

    `counted` is filled with what was read.
    """
    counted = Counted() if counted is None else counted
    reader = _Reader(lines)
    seals = [reader.seal() for _ in range(reader.head())]
    sealing = [_Sealing(seal) for seal in seals]
    counted.seals = len(seals)
    counted.last_seal = max(seals, key=lambda seal: seal.day).digest if seals else ""
    last_wallet = 0
    for one in reader.wallets():
        if one.wallet.id <= last_wallet:
            raise reader.broken(mark("wallets are not in their order"))
        last_wallet = one.wallet.id
        counted.wallets += 1
        counted.entries += len(one.entries)
        for entry in one.entries:
            for debit, credit, amount_minor in one.legs.get(entry.id, ()):
                counted.totals[debit] = counted.totals.get(debit, 0) + amount_minor
                counted.totals[credit] = counted.totals.get(credit, 0) - amount_minor
        yield from audit_wallet(one.wallet, one.entries, one.legs, one.draws, one.lots)
        for seal in sealing:
            seal.cover(one)
    for seal in sealing:
        yield from seal.faults()


class _Sealing:
    """One seal, while the wallets pass by in the order in which it covered them."""

    def __init__(self, seal: StoredSeal) -> None:
        self.seal = seal
        self.wallets = 0
        self.entries = 0
        self.running = hashlib.sha256()

    def cover(self, one: Exported) -> None:
        """Take in the head that the wallet had when the seal was made."""
        if self.wallets >= self.seal.wallets:
            return
        self.wallets += 1
        covered = [entry for entry in one.entries if entry.id <= self.seal.through_entry]
        self.entries += len(covered)
        part = seal_part(one.wallet.account_id, covered[-1].digest if covered else "")
        self.running.update(len(part).to_bytes(8, "big"))
        self.running.update(part)

    def faults(self) -> Iterator[LedgerFault]:
        digest = self.running.hexdigest()
        if (digest, self.entries) != (self.seal.digest, self.seal.entries):
            problem = mark("The seal of a day is not that of its heads.")
            yield LedgerFault(None, problem, digest, self.seal.digest)


class _Reader:
    """The lines of a file, each checked before anything is made of it."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = iter(lines)
        self.number = 0

    def broken(self, problem: str) -> NotALedger:
        return NotALedger(line=self.number, problem=problem)

    def head(self) -> int:
        """Read the first line; return how many seals follow."""
        head = self.next()
        if head.get("format") != FORMAT or head.get("version") != VERSION:
            raise self.broken(mark("it does not begin like an export of a ledger"))
        seals = head.get("seals")
        if not isinstance(seals, int) or not 0 <= seals <= MOST_OF_A_WALLET:
            raise self.broken(mark("a number is missing"))
        return seals

    def seal(self) -> StoredSeal:
        return StoredSeal._make(self.values(StoredSeal, self.next().get("seal")))

    def wallets(self) -> Iterator[Exported]:
        """Yield wallet by wallet, each once all its lines were read."""
        one: Exported | None = None
        while True:
            line = self.next()
            if "end" in line:
                if line["end"] != self.number - 1:
                    raise self.broken(mark("lines are missing"))
                break
            if "wallet" in line:
                if one is not None:
                    yield one
                wallet = StoredWallet._make(self.values(StoredWallet, line["wallet"]))
                one = Exported(wallet, [], {}, {}, [])
                continue
            if one is None:
                raise self.broken(mark("it belongs to no wallet"))
            self.add(one, line)
        if one is not None:
            yield one
        if next(self.lines, None) is not None:
            raise self.broken(mark("something follows the end"))

    def add(self, one: Exported, line: dict[str, Any]) -> None:
        entries, lots, legs, draws = one.entries, one.lots, one.legs, one.draws
        assert isinstance(entries, list), entries
        assert isinstance(lots, list), lots
        assert isinstance(legs, dict), legs
        assert isinstance(draws, dict), draws
        if len(entries) + len(lots) >= MOST_OF_A_WALLET:
            raise self.broken(mark("it holds too much of one wallet"))
        if "lot" in line:
            lots.append(StoredLot._make(self.values(StoredLot, line["lot"])))
            return
        entry = StoredEntry._make(self.values(StoredEntry, line.get("entry")))
        if entry.id in legs:
            raise self.broken(mark("an entry comes twice"))
        entries.append(entry)
        legs[entry.id] = self.rows(line.get("postings"), get_args(Leg))
        draws[entry.id] = self.rows(line.get("draws"), get_args(Drawn))

    def next(self) -> dict[str, Any]:
        line = next(self.lines, None)
        self.number += 1
        if line is None:
            raise self.broken(mark("the file ends too early"))
        if len(line) > LONGEST_LINE:
            raise self.broken(mark("the line is too long"))
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            raise self.broken(mark("it is no JSON")) from None
        if not isinstance(found, dict):
            raise self.broken(mark("it is no line of a ledger"))
        return found

    def values(self, kind: type[NamedTuple], found: object) -> list[Any]:
        """Return the values of a row in their order, each of the type that it must have."""
        hints = get_type_hints(kind)
        if not isinstance(found, dict) or found.keys() != hints.keys():
            raise self.broken(mark("it is no line of a ledger"))
        return [self.value(found[name], hint, name) for name, hint in hints.items()]

    def rows(self, found: object, types: tuple[Any, ...]) -> list[Any]:
        if not isinstance(found, list):
            raise self.broken(mark("it is no line of a ledger"))
        rows = []
        for row in found:
            if not isinstance(row, list) or len(row) != len(types):
                raise self.broken(mark("it is no line of a ledger"))
            rows.append(tuple(self.value(v, t, "") for v, t in zip(row, types, strict=True)))
        return rows

    def value(self, found: object, hint: Any, name: str) -> object:  # noqa: ANN401 - a type
        kinds = get_args(hint) or (getattr(hint, "__supertype__", hint),)
        if found is None and type(None) in kinds:
            return None
        if str in kinds and isinstance(found, str):
            return found
        if int in kinds and _is_int(found):
            return found
        try:
            if datetime in kinds and isinstance(found, str):
                instant = datetime.fromisoformat(found)
                if instant.tzinfo is not None:
                    return instant
            elif date in kinds and isinstance(found, str):
                return date.fromisoformat(found)
        except ValueError:
            pass
        raise self.broken(mark("%(name)s is not what it must be") % {"name": name or "?"})


def _is_int(found: object) -> bool:
    # Of any size in JSON: what does not fit the database was never in it.
    return isinstance(found, int) and not isinstance(found, bool) and abs(found) < 2**63


def _row(row: NamedTuple) -> dict[str, Any]:
    return row._asdict()


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_text)


def _text(value: object) -> str:
    assert isinstance(value, date), value
    return value.isoformat()

"""Verifying an installation: every chain, total and digest is computed anew and compared.

Read-only. Chains and lots are the wallet's own check, numbers and digests of documents that of the
invoices; what binds the subjects together, charge lines and what the wallets paid, is checked here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.models import AccountRow, ChargeLineRow
from invoices import service as invoice_service
from kilokassa.app.wiring import Application
from kilokassa.core.calendar import Month
from kilokassa.core.text import mark
from metering.days import day_digest
from metering.models import ChannelRow, IntervalDayRow, MeteringPointRow
from wallet import service as wallet_service
from wallet.export.lines import audit_lines
from wallet.export.service import export_lines
from wallet.ledger import Reason
from wallet.models import JournalEntryRow, WalletRow
from wallet.reserves import service as reserve_service

DAYS_A_FETCH: Final = 5_000
CHARGES: Final = (Reason.CHARGE, Reason.CORRECTION)

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it must be."""

    where: str
    """Account, document or metering point."""
    problem: str
    """A message of the catalogue."""
    expected: str = ""
    found: str = ""


def verify_all(application: Application, *, progress: Progress | None = None) -> tuple[Fault, ...]:
    """Return everything that is wrong; nothing where all is right."""
    with application.database.reading() as session:
        return (
            *_ledger(session, progress),
            *_reserves(session),
            *_totals(session),
            *_documents(session),
            *_days(session),
        )


def verify_export(file: Path) -> tuple[Fault, ...]:
    """Return what is wrong with an export of the ledger; refuse a file that is none by its line."""
    with file.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        return tuple(
            Fault(
                "" if fault.account_id is None else f"#{fault.account_id}",
                fault.problem,
                fault.expected,
                fault.found,
            )
            for fault in audit_lines(lines)
        )


def write_ledger(application: Application, file: Path, progress: Progress | None = None) -> int:
    """Write the whole ledger into a file, which appears once it is whole; return its lines."""
    unfinished = file.with_name(f"{file.name}.part")
    count = 0
    with application.database.reading() as session, unfinished.open("w", encoding="utf-8") as out:
        for line in export_lines(session, application.clock.now(), progress):
            out.write(f"{line}\n")
            count += 1
    unfinished.replace(file)
    return count


def _ledger(session: Session, progress: Progress | None) -> Iterator[Fault]:
    numbers = _numbers(session)
    for fault in wallet_service.verify(session, progress):
        where = "" if fault.account_id is None else numbers[fault.account_id]
        yield Fault(where, fault.problem, fault.expected, fault.found)


def _reserves(session: Session) -> Iterator[Fault]:
    """Compare what reserves hold with the movements, the offers and the ledger."""
    numbers = _numbers(session)
    for fault in reserve_service.verify(session):
        yield Fault(numbers[fault.account_id], fault.problem, fault.expected, fault.found)


def _totals(session: Session) -> Iterator[Fault]:
    """Compare the lines of each closed month with what its wallet paid for it."""
    lines = select(
        ChargeLineRow.account_id,
        ChargeLineRow.charge_month,
        func.sum(ChargeLineRow.amount_minor).label("amount_minor"),
    ).group_by(ChargeLineRow.account_id, ChargeLineRow.charge_month)
    paid = (
        select(
            WalletRow.account_id,
            JournalEntryRow.charge_month,
            -func.sum(JournalEntryRow.amount_minor).label("amount_minor"),
        )
        .join(WalletRow, WalletRow.id == JournalEntryRow.wallet_id)
        .where(
            JournalEntryRow.reason.in_(CHARGES),
            JournalEntryRow.charge_month <= WalletRow.closed_through_month,
        )
        .group_by(WalletRow.account_id, JournalEntryRow.charge_month)
    )
    charged = {(row[0], row[1]): int(row[2]) for row in session.execute(lines)}
    taken = {(row[0], row[1] or 0): int(row[2]) for row in session.execute(paid)}
    differing = [
        key for key in charged.keys() | taken.keys() if charged.get(key, 0) != taken.get(key, 0)
    ]
    if not differing:
        return
    numbers = _numbers(session)
    for account_id, month in sorted(differing):
        yield Fault(
            f"{numbers[account_id]} {Month.from_ordinal(month)}",
            mark("The charge lines of the month do not come to what the wallet paid."),
            str(charged.get((account_id, month), 0)),
            str(taken.get((account_id, month), 0)),
        )


def _numbers(session: Session) -> dict[int, str]:
    rows = session.execute(select(AccountRow.id, AccountRow.number))
    return {row.id: row.number for row in rows}


def _documents(session: Session) -> Iterator[Fault]:
    for fault in invoice_service.verify(session):
        yield Fault(fault.number, fault.problem)


def _days(session: Session) -> Iterator[Fault]:
    """Compute the digest of every stored day anew."""
    query = (
        select(
            MeteringPointRow.code,
            IntervalDayRow.day,
            IntervalDayRow.energy_wh,
            IntervalDayRow.quality,
            IntervalDayRow.fraction_uwh,
            IntervalDayRow.digest,
        )
        .join(ChannelRow, ChannelRow.id == IntervalDayRow.channel_id)
        .join(MeteringPointRow, MeteringPointRow.id == ChannelRow.point_id)
        .execution_options(yield_per=DAYS_A_FETCH)
    )
    for code, day, energy_wh, quality, fraction_uwh, digest in session.execute(query):
        computed = day_digest(energy_wh, quality, fraction_uwh)
        if computed != bytes(digest):
            yield Fault(
                f"{code} {day}",
                mark("The digest of a day is not that of its values."),
                computed.hex(),
                bytes(digest).hex(),
            )

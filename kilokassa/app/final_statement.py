"""The final statement of an account that ended: gathered from wallet, charges and documents."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing import store as billing_store
from billing.models import AccountRow, ChargeLineRow
from billing.moves.moves import Move
from invoices.documents import Draft, IssuedDocument
from invoices.final_statement import FinalStatement
from invoices.models import DocumentRow
from invoices.numbering import DocumentKind
from invoices.payment_document import Payer, PaymentDocument
from invoices.service import IssueOrder, issue_documents
from invoices.statement import CHARGING, Balance, Movement, Statement
from invoices.store import document_by_number
from kilokassa.app.closing import MOVEMENTS
from kilokassa.app.month_documents import (
    Issuer,
    document_line,
    premises_address,
    requisites_of,
)
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.clock import Clock
from kilokassa.core.digest import digest_text
from kilokassa.core.ids import AccountId
from kilokassa.core.scope import Scope, system_scope
from kilokassa.core.text import Language
from metering.models import BuildingRow, PremisesRow
from wallet.ledger import Reason
from wallet.models import JournalEntryRow, WalletRow
from wallet.payments.payment import RefundState
from wallet.payments.refunds.store import refunds

KEY: Final = "final:%s"
"""Of the account: it has one final statement."""


@dataclass(frozen=True, slots=True)
class _Inputs:
    """What a statement is computed from: all rows up to the last ones it knows."""

    entries: Sequence[JournalEntryRow]
    lines: Sequence[ChargeLineRow]

    @property
    def digest(self) -> str:
        """The digest of the chained entries and of the lines' own inputs."""
        parts = [entry.digest for entry in self.entries]
        parts += [f"{line.line_key}={line.amount_minor}:{line.input_digest}" for line in self.lines]
        return digest_text("|".join(parts))


def final_statement_of(session: Session, account_id: AccountId) -> str | None:
    """Return the number of an account's final statement, if it has one."""
    query = select(DocumentRow.number).where(DocumentRow.key == KEY % account_id)
    return session.scalars(query).one_or_none()


def final_statements(session: Session, account_ids: Sequence[AccountId]) -> dict[AccountId, str]:
    """Return the numbers of final statements by account; of accounts that the caller may see."""
    query = select(DocumentRow.account_id, DocumentRow.number).where(
        DocumentRow.kind == DocumentKind.FINAL_STATEMENT,
        DocumentRow.account_id.in_(list(account_ids)),
    )
    return {AccountId(account_id): number for account_id, number in session.execute(query)}


def issue_final_statement(
    session: Session, moved: Move, first: Month, clock: Clock
) -> IssuedDocument:
    """Issue the final statement of the account that a move ended, once."""
    assert moved.account_id is not None, moved
    account = session.get_one(AccountRow, moved.account_id)
    document, inputs = _gathered(session, moved, account, first, clock)
    draft = Draft(
        kind=DocumentKind.FINAL_STATEMENT,
        account_id=moved.account_id,
        snapshot=document.to_snapshot(),
        key=KEY % moved.account_id,
        language=Language(account.language),
        input_digest=inputs.digest,
    )
    (issued,) = issue_documents(session, IssueOrder((draft,), document.issued_on), clock)
    return issued


def replays(session: Session, scope: Scope, number: str) -> bool:
    """Say whether a final statement still follows from the rows that it was computed from."""
    document = document_by_number(session, scope, number)
    shown = FinalStatement.from_snapshot(document.snapshot)
    inputs = _inputs(session, document.account_id, shown.first, shown.last_entry, shown.last_line)
    came_minor = sum(entry.amount_minor for entry in inputs.entries)
    return (
        document.is_intact
        and inputs.digest == document.input_digest
        and came_minor == shown.statement.moved_minor
    )


def _inputs(
    session: Session,
    account_id: AccountId,
    first: Month,
    last_entry: int | None = None,
    last_line: int | None = None,
) -> _Inputs:
    entries = (
        select(JournalEntryRow)
        .join(WalletRow, WalletRow.id == JournalEntryRow.wallet_id)
        .where(WalletRow.account_id == account_id, JournalEntryRow.book_month >= first.ordinal)
        .order_by(JournalEntryRow.sequence)
    )
    lines = (
        select(ChargeLineRow)
        .where(
            ChargeLineRow.account_id == account_id, ChargeLineRow.document_month >= first.ordinal
        )
        .order_by(ChargeLineRow.id)
    )
    if last_entry is not None:
        entries = entries.where(JournalEntryRow.sequence <= last_entry)
    if last_line is not None:
        lines = lines.where(ChargeLineRow.id <= last_line)
    return _Inputs(session.scalars(entries).all(), session.scalars(lines).all())


def _gathered(
    session: Session, moved: Move, account: AccountRow, first: Month, clock: Clock
) -> tuple[FinalStatement, _Inputs]:
    account_id = AccountId(account.id)
    retailer = billing_store.retailer(session)
    zone = ZoneInfo(retailer.zone)
    inputs = _inputs(session, account_id, first)
    last = Month.of(moved.on - timedelta(days=1))
    issued_on = local_date(clock.now(), zone)
    issuer = Issuer.of(retailer, last, issued_on)
    first_entry = inputs.entries[0] if inputs.entries else None
    opening_minor = first_entry.balance_before if first_entry else _posted(session, account_id)
    moved_minor = sum(entry.amount_minor for entry in inputs.entries)
    documents = _documents(session, account_id, first)
    held = [
        one
        for one in refunds(session, system_scope("job:final"), account_id=account_id, limit=None)
        if one.state is RefundState.ASKED
    ]
    gone = [entry for entry in inputs.entries if entry.reason is Reason.TRANSFER_OUT]
    premises = session.get_one(PremisesRow, account.premises_id)
    building = session.get_one(BuildingRow, premises.building_id)
    warnings = dict.fromkeys(warning for document in documents for warning in document.warnings)
    statement = FinalStatement(
        retailer=requisites_of(retailer),
        payer=Payer(
            account.payer_name, premises_address(building.address, premises.number), account.number
        ),
        opened_on=account.opened_on,
        ended_on=moved.on,
        issued_on=issued_on,
        first=first,
        statement=Statement(
            opening=Balance.of(opening_minor),
            movements=_movements(inputs.entries, zone),
            closing=Balance.of(opening_minor + moved_minor),
        ),
        lines=tuple(
            (
                Month.from_ordinal(row.charge_month),
                document_line(
                    issuer, Month.from_ordinal(row.charge_month), billing_store.line_of(row)
                ),
            )
            for row in inputs.lines
        ),
        meters=tuple(meter for document in documents for meter in document.meters),
        refund_minor=sum(one.amount_minor for one in held),
        refund_to=", ".join(dict.fromkeys(one.to_whom for one in held)),
        transferred_minor=-sum(entry.amount_minor for entry in gone),
        transferred_to=", ".join(dict.fromkeys(json.loads(entry.detail)["to"] for entry in gone)),
        documents=tuple(document.number for document in documents),
        last_entry=inputs.entries[-1].sequence if inputs.entries else 0,
        last_line=inputs.lines[-1].id if inputs.lines else 0,
        warnings=tuple(warnings),
        demo=retailer.demo,
    )
    return statement, inputs


def _movements(entries: Sequence[JournalEntryRow], zone: ZoneInfo) -> tuple[Movement, ...]:
    """Return what is charged as one sum a kind, and all else by its day."""
    dated = [
        Movement(MOVEMENTS[one.reason], one.amount_minor, local_date(one.valid_at, zone))
        for one in entries
    ]
    others = tuple(one for one in dated if one.kind not in CHARGING)
    sums = (
        Movement(kind, sum(one.amount_minor for one in dated if one.kind is kind))
        for kind in sorted(CHARGING)
    )
    return (*others, *(one for one in sums if one.amount_minor))


def _documents(session: Session, account_id: AccountId, first: Month) -> list[PaymentDocument]:
    """Return the payment documents of the months shown that stand."""
    cancelled = select(DocumentRow.cancels_id).where(DocumentRow.cancels_id.is_not(None))
    query = (
        select(DocumentRow.snapshot, DocumentRow.number)
        .where(
            DocumentRow.account_id == account_id,
            DocumentRow.kind == DocumentKind.PAYMENT_DOCUMENT,
            DocumentRow.month >= first.ordinal,
            DocumentRow.id.not_in(cancelled),
        )
        .order_by(DocumentRow.id)
    )
    return [
        PaymentDocument.from_snapshot(json.loads(text), number)
        for text, number in session.execute(query)
    ]


def _posted(session: Session, account_id: AccountId) -> int:
    wallet = session.scalars(select(WalletRow).where(WalletRow.account_id == account_id)).one()
    return wallet.lots_minor - wallet.uncovered_minor

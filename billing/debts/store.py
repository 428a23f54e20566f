"""Queries of what debts are made of: charged sums, the ledger, norms, notices; in bulk."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from billing.debts.bills import AccountDebts, ChargedSum, DueOn, Movement, Running, account_debts
from billing.models import AccountRow, ChargeLineRow, RunningChargeRow
from kilokassa.core.calendar import Month, local_date
from kilokassa.core.ids import AccountId
from kilokassa.db.slices import in_slices
from metering.models import BuildingRow, PremisesRow
from notices.models import NoticeDeliveryRow, NoticeDeliveryWithdrawalRow, NoticeRow
from notices.notice import NoticeKind, Way
from wallet.debts.service_state import DeliveredNotice
from wallet.ledger import Reason
from wallet.models import JournalEntryRow, WalletRow
from wallet.store import reversed_sequence

LIMITATION_KEY = "limitation"


def debts_of(
    session: Session,
    account_ids: Sequence[AccountId],
    due_on: DueOn,
    *,
    paying_ahead: frozenset[AccountId] = frozenset(),
) -> dict[AccountId, AccountDebts]:
    """Return the debts of accounts: a handful of queries, however many there are.

    Those in `paying_ahead` owe each month from its end on, and what they used of one not closed.
    """
    zones = zones_of(session, account_ids)
    charged = _charged_sums(session, account_ids)
    movements = _movements(session, account_ids, zones)
    running = _running(session, sorted(paying_ahead), zones)
    return {
        account_id: account_debts(
            charged.get(account_id, ()),
            movements.get(account_id, ()),
            _month_end if account_id in paying_ahead else due_on,
            running.get(account_id, ()),
        )
        for account_id in zones
    }


def _month_end(month: Month) -> date:
    return month.days[-1]


def zones_of(session: Session, account_ids: Sequence[AccountId]) -> dict[AccountId, ZoneInfo]:
    """Return the zone each account lives in; accounts that do not exist are left out."""
    found: dict[AccountId, ZoneInfo] = {}
    for ids in in_slices(account_ids):
        query = (
            select(AccountRow.id, BuildingRow.zone)
            .join(PremisesRow, PremisesRow.id == AccountRow.premises_id)
            .join(BuildingRow, BuildingRow.id == PremisesRow.building_id)
            .where(AccountRow.id.in_(ids))
        )
        found.update({AccountId(row.id): ZoneInfo(row.zone) for row in session.execute(query)})
    return found


def _charged_sums(
    session: Session, account_ids: Sequence[AccountId]
) -> dict[AccountId, list[ChargedSum]]:
    found: dict[AccountId, list[ChargedSum]] = {}
    line = ChargeLineRow
    for ids in in_slices(account_ids):
        query = (
            select(
                line.account_id,
                line.charge_month,
                line.document_month,
                line.service,
                func.sum(line.amount_minor),
            )
            .where(line.account_id.in_(ids))
            .group_by(line.account_id, line.charge_month, line.document_month, line.service)
        )
        for account_id, charge_month, document_month, service, amount in session.execute(query):
            found.setdefault(AccountId(account_id), []).append(
                ChargedSum(charge_month, document_month, str(service), int(amount))
            )
    return found


def _movements(
    session: Session, account_ids: Sequence[AccountId], zones: Mapping[AccountId, ZoneInfo]
) -> dict[AccountId, list[Movement]]:
    """Return the entries that are no charges, in order."""
    found: dict[AccountId, list[Movement]] = {}
    entry = JournalEntryRow
    for ids in in_slices(account_ids):
        query = (
            select(
                WalletRow.account_id,
                entry.sequence,
                entry.reason,
                entry.amount_minor,
                entry.valid_at,
                entry.recorded_at,
                entry.detail,
            )
            .join(WalletRow, WalletRow.id == entry.wallet_id)
            .where(
                WalletRow.account_id.in_(ids),
                entry.reason.not_in([Reason.CHARGE, Reason.CORRECTION]),
            )
            .order_by(entry.wallet_id, entry.sequence)
        )
        for row in session.execute(query):
            account_id = AccountId(row.account_id)
            undone = row.reason is Reason.REVERSAL
            found.setdefault(account_id, []).append(
                Movement(
                    row.sequence,
                    row.reason,
                    row.amount_minor,
                    local_date(row.valid_at, zones[account_id]),
                    row.recorded_at,
                    reversed_sequence(row.detail) if undone else None,
                )
            )
    return found


def _running(
    session: Session, account_ids: Sequence[AccountId], zones: Mapping[AccountId, ZoneInfo]
) -> dict[AccountId, list[Running]]:
    found: dict[AccountId, list[Running]] = {}
    row_of = RunningChargeRow
    for ids in in_slices(account_ids):
        query = (
            select(
                row_of.account_id,
                row_of.charge_month,
                row_of.service,
                row_of.posted_minor,
                row_of.known_until,
            )
            .join(WalletRow, WalletRow.account_id == row_of.account_id)
            .where(
                row_of.account_id.in_(ids),
                (WalletRow.closed_through_month.is_(None))
                | (row_of.charge_month > WalletRow.closed_through_month),
            )
        )
        for row in session.execute(query):
            account_id = AccountId(row.account_id)
            last = local_date(row.known_until - timedelta(microseconds=1), zones[account_id])
            found.setdefault(account_id, []).append(
                Running(row.charge_month, str(row.service), row.posted_minor, last)
            )
    return found


def delivered_notices(
    session: Session, account_ids: Sequence[AccountId]
) -> dict[tuple[AccountId, str], DeliveredNotice]:
    """Return the latest notice of a limitation that was delivered with proof, by account, service.

    Of a notice that went by several ways, the first delivery counts. One that was withdrawn counts
    no more; one without proof never did, nor did the answer of another system to an event.
    """
    found: dict[tuple[AccountId, str], DeliveredNotice] = {}
    counted: set[str] = set()
    withdrawn = select(NoticeDeliveryWithdrawalRow.delivery_id)
    for ids in in_slices(account_ids):
        query = (
            select(
                NoticeRow.account_id,
                NoticeRow.dedupe_key,
                NoticeDeliveryRow.delivered_at,
                NoticeDeliveryRow.proof,
            )
            .join(NoticeRow, NoticeRow.id == NoticeDeliveryRow.notice_id)
            .where(
                NoticeRow.account_id.in_(ids),
                NoticeRow.kind == NoticeKind.LIMITATION,
                NoticeRow.way != Way.WEBHOOK,
                NoticeDeliveryRow.proof != "",
                NoticeDeliveryRow.id.not_in(withdrawn),
            )
            .order_by(NoticeDeliveryRow.delivered_at, NoticeDeliveryRow.id)
        )
        rows = session.execute(query).all()
        keys = _first_keys(session, [row.dedupe_key for row in rows])
        for row in rows:
            first = keys.get(row.dedupe_key, row.dedupe_key)
            service = service_of_key(first)
            episode = ":".join(first.split(":")[:4])
            if service is not None and episode not in counted:
                counted.add(episode)
                key = AccountId(row.account_id), service
                found[key] = DeliveredNotice(row.delivered_at, row.proof)
    return found


def limitation_key(account_id: AccountId, service: str, episode: str) -> str:
    """Return what names the notice of a limitation: one for each time that a debt rose too high.

    >>> limitation_key(AccountId(7), "electricity", "2026-11-16")
    'limitation:7:electricity:2026-11-16'
    """
    return f"{LIMITATION_KEY}:{account_id}:{service}:{episode}"


def service_of_key(key: str) -> str | None:
    """Return the service that the notice of a limitation names in its key."""
    parts = key.split(":")
    return parts[2] if len(parts) >= 4 and parts[0] == LIMITATION_KEY else None


def _first_keys(session: Session, keys: Sequence[str]) -> dict[str, str]:
    """Return, of notices that were sent again, the key of the one they are copies of."""
    copies = {key: int(key.split(":")[1]) for key in keys if key.startswith("again:")}
    if not copies:
        return {}
    query = select(NoticeRow.id, NoticeRow.dedupe_key).where(
        NoticeRow.id.in_(sorted(set(copies.values())))
    )
    first = {row.id: row.dedupe_key for row in session.execute(query)}
    return {key: first[row_id] for key, row_id in copies.items() if row_id in first}


def premises_in_building(
    session: Session, account_ids: Sequence[AccountId]
) -> dict[AccountId, int]:
    """Return how many premises the building of each account has."""
    found: dict[AccountId, int] = {}
    counted = (
        select(PremisesRow.building_id, func.count().label("total"))
        .group_by(PremisesRow.building_id)
        .subquery()
    )
    for ids in in_slices(account_ids):
        query = (
            select(AccountRow.id, counted.c.total)
            .join(PremisesRow, PremisesRow.id == AccountRow.premises_id)
            .join(counted, counted.c.building_id == PremisesRow.building_id)
            .where(AccountRow.id.in_(ids))
        )
        found.update({AccountId(row.id): int(row.total) for row in session.execute(query)})
    return found


def sharing_premises(
    session: Session, account_ids: Sequence[AccountId], on: date
) -> frozenset[AccountId]:
    """Return those of the accounts at whose premises another is open on a day."""
    found: set[AccountId] = set()
    other = aliased(AccountRow)
    for ids in in_slices(account_ids):
        query = (
            select(AccountRow.id)
            .join(other, other.premises_id == AccountRow.premises_id)
            .where(
                AccountRow.id.in_(ids),
                other.id != AccountRow.id,
                other.opened_on <= on,
                other.closed_on.is_(None) | (other.closed_on > on),
            )
        )
        found.update(AccountId(account_id) for account_id in session.scalars(query))
    return frozenset(found)


def candidates(
    session: Session, account_ids: Sequence[AccountId] | None, *, low_below_minor: int
) -> list[AccountId]:
    """Return those of the accounts whose services may stand otherwise than normal by their wallet.

    That is who owes something, or pays ahead and has less than `low_below_minor`; all accounts
    where none are named.
    """
    pays_ahead = select(RunningChargeRow.account_id).where(
        RunningChargeRow.account_id == WalletRow.account_id
    )
    query = select(WalletRow.account_id).where(
        (WalletRow.uncovered_minor > 0)
        | ((WalletRow.lots_minor < low_below_minor) & pays_ahead.exists())
    )
    if account_ids is None:
        return [AccountId(a) for a in session.scalars(query.order_by(WalletRow.account_id))]
    found: list[AccountId] = []
    for ids in in_slices(account_ids):
        found += [AccountId(a) for a in session.scalars(query.where(WalletRow.account_id.in_(ids)))]
    return sorted(found)


def charged_in(
    session: Session, account_ids: Sequence[AccountId], document_month: int
) -> dict[AccountId, int]:
    """Return what the document of a month charges each account, corrections included."""
    found: dict[AccountId, int] = {}
    for ids in in_slices(account_ids):
        query = (
            select(ChargeLineRow.account_id, func.sum(ChargeLineRow.amount_minor))
            .where(
                ChargeLineRow.account_id.in_(ids), ChargeLineRow.document_month == document_month
            )
            .group_by(ChargeLineRow.account_id)
        )
        found.update({AccountId(a): int(total) for a, total in session.execute(query)})
    return found

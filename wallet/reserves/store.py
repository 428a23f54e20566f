"""Queries of reserves: offers as published, what was signed, what moved, what credit costs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Table, case, func, select
from sqlalchemy.orm import Session

from kilokassa.core.errors import NotFound
from kilokassa.core.ids import AccountId, JournalEntryId
from kilokassa.core.scope import Scope
from kilokassa.core.text import mark
from kilokassa.db.rights import account_in_scope
from kilokassa.db.slices import in_slices
from wallet.ledger import RESERVES, Reason
from wallet.models import (
    DrawRow,
    JournalEntryRow,
    LedgerAccountRow,
    LotRow,
    PostingRow,
    WalletRow,
)
from wallet.reserves.documents import read_offer
from wallet.reserves.models import CreditRateRow, ReserveMovementRow, ReserveOfferRow, ReserveRow
from wallet.reserves.reserve import Movement, Rate, Rates, Reserve, StepKind
from wallet.reserves.signed import KEPT, Posted, PublishedOffer, SignedReserve

ID_MAX: Final = 2**63 - 1

_OFFER: Table = ReserveOfferRow.__table__  # type: ignore[assignment]
_RESERVE: Table = ReserveRow.__table__  # type: ignore[assignment]
_MOVEMENT: Table = ReserveMovementRow.__table__  # type: ignore[assignment]
_ENTRY: Table = JournalEntryRow.__table__  # type: ignore[assignment]
_POSTING: Table = PostingRow.__table__  # type: ignore[assignment]
_LEDGER: Table = LedgerAccountRow.__table__  # type: ignore[assignment]
_WALLET: Table = WalletRow.__table__  # type: ignore[assignment]
_LOT: Table = LotRow.__table__  # type: ignore[assignment]
_DRAW: Table = DrawRow.__table__  # type: ignore[assignment]

REASONS: Final = (
    Reason.SET_ASIDE,
    Reason.RESERVE_RETURN,
    Reason.RESERVE_BONUS,
    Reason.CLAW_BACK,
)
"""Why money moves by reserves, and by nothing else."""


@dataclass(frozen=True, slots=True)
class StatedRate:
    """What the retailer's bank asks for credit from a day on."""

    rate: Rate
    source: str
    actor: str
    recorded_at: datetime


def offers(session: Session, code: str | None = None) -> tuple[PublishedOffer, ...]:
    """Return every version of every offer, or of one; the newest version first."""
    query = select(_OFFER).order_by(_OFFER.c.code, _OFFER.c.version.desc())
    if code is not None:
        query = query.where(_OFFER.c.code == code)
    return tuple(_published(row) for row in session.execute(query))


def offers_on(session: Session, on: date) -> tuple[PublishedOffer, ...]:
    """Return the offers that can be signed on a day: of each, the version that holds then."""
    latest: dict[str, PublishedOffer] = {}
    for one in offers(session):
        if one.offer.offered_from <= on:
            latest.setdefault(one.code, one)
    return tuple(
        one
        for one in latest.values()
        if one.offer.offered_until is None or on < one.offer.offered_until
    )


def offer_on(session: Session, code: str, on: date) -> PublishedOffer:
    """Return the version of an offer that holds on a day, whether it is still signed or not."""
    versions = offers(session, code)
    for one in versions:
        if one.offer.offered_from <= on:
            return one
    if versions:
        return versions[-1]
    raise NotFound(what=mark("reserve offer"), name=code)


def reserves_of(session: Session, scope: Scope, account_id: AccountId) -> tuple[SignedReserve, ...]:
    """Return the reserves of an account in reach, the newest first."""
    query = (
        select(_RESERVE.c.id)
        .where(_RESERVE.c.account_id == account_id, account_in_scope(_RESERVE.c.account_id, scope))
        .order_by(_RESERVE.c.id.desc())
    )
    return load(session, list(session.scalars(query)))


def reserve_of(
    session: Session, scope: Scope, account_id: AccountId, reserve_id: int
) -> SignedReserve:
    """Return one reserve of an account in reach."""
    query = select(_RESERVE.c.id).where(
        _RESERVE.c.id == reserve_id,
        _RESERVE.c.account_id == account_id,
        account_in_scope(_RESERVE.c.account_id, scope),
    )
    if not 0 < reserve_id <= ID_MAX or session.scalars(query).one_or_none() is None:
        raise NotFound(what=mark("reserve"), name=str(reserve_id)[:20])
    return load(session, [reserve_id])[0]


def reserves_between(
    session: Session, scope: Scope, start: date, end: date
) -> tuple[SignedReserve, ...]:
    """Return the reserves in reach whose term touches the days from `start` up to `end`."""
    query = select(_RESERVE.c.id).where(
        _RESERVE.c.signed_on < end,
        _RESERVE.c.ends_on > start,
        account_in_scope(_RESERVE.c.account_id, scope),
    )
    return load(session, list(session.scalars(query.order_by(_RESERVE.c.id))))


def all_reserves(
    session: Session, scope: Scope, *, offset: int = 0, limit: int | None = None
) -> tuple[SignedReserve, ...]:
    """Return the reserves in reach, the newest first."""
    query = (
        select(_RESERVE.c.id)
        .where(account_in_scope(_RESERVE.c.account_id, scope))
        .order_by(_RESERVE.c.id.desc())
        .offset(offset)
    )
    if limit is not None:
        query = query.limit(limit)
    return load(session, list(session.scalars(query)))


def count(session: Session, scope: Scope) -> int:
    """Return how many reserves are in reach."""
    query = select(func.count()).where(account_in_scope(_RESERVE.c.account_id, scope))
    return session.scalars(query.select_from(_RESERVE)).one()


def kept_minor(session: Session, account_ids: Sequence[AccountId]) -> dict[AccountId, int]:
    """Return what accounts have set aside, all reserves together; who has nothing is left out."""
    found: dict[AccountId, int] = {}
    for part in in_slices(account_ids):
        query = (
            select(_RESERVE.c.account_id, func.sum(_MOVEMENT.c.amount_minor))
            .join(_MOVEMENT, _MOVEMENT.c.reserve_id == _RESERVE.c.id)
            .where(_RESERVE.c.account_id.in_(part), _MOVEMENT.c.kind.in_(sorted(KEPT)))
            .group_by(_RESERVE.c.account_id)
        )
        found |= {AccountId(a): int(minor) for a, minor in session.execute(query) if minor}
    return found


def due_ids(
    session: Session, through: date, *, after_id: int, limit: int
) -> list[tuple[int, AccountId]]:
    """Return reserves by id, with their accounts, of which a day of payment may be due."""
    of_reserve = (
        select(
            _MOVEMENT.c.reserve_id,
            func.max(_MOVEMENT.c.on).label("last_on"),
            func.sum(
                case((_MOVEMENT.c.kind.in_(sorted(KEPT)), _MOVEMENT.c.amount_minor), else_=0)
            ).label("kept_minor"),
        )
        .where(_MOVEMENT.c.reserve_id > after_id)
        .group_by(_MOVEMENT.c.reserve_id)
        .subquery()
    )
    query = (
        select(_RESERVE.c.id, _RESERVE.c.account_id)
        .join(of_reserve, of_reserve.c.reserve_id == _RESERVE.c.id)
        .where(
            _RESERVE.c.id > after_id,
            of_reserve.c.kept_minor > 0,
            (of_reserve.c.last_on < through.replace(day=1)) | (_RESERVE.c.ends_on <= through),
        )
        .order_by(_RESERVE.c.id)
        .limit(limit)
    )
    return [(row.id, AccountId(row.account_id)) for row in session.execute(query)]


def load(session: Session, reserve_ids: Sequence[int]) -> tuple[SignedReserve, ...]:
    """Return reserves with their offers and all that was posted, in the order asked for."""
    moved: dict[int, list[Posted]] = {}
    rows: dict[int, Any] = {}
    for part in in_slices(reserve_ids):
        query = select(_MOVEMENT).where(_MOVEMENT.c.reserve_id.in_(part))
        for row in session.execute(query.order_by(_MOVEMENT.c.reserve_id, _MOVEMENT.c.number)):
            moved.setdefault(row.reserve_id, []).append(_posted(row))
        rows |= {r.id: r for r in session.execute(select(_RESERVE).where(_RESERVE.c.id.in_(part)))}
    published = _offers_by_id(session, {row.offer_id for row in rows.values()})
    found = []
    for reserve_id in reserve_ids:
        row, posted = rows[reserve_id], tuple(moved[reserve_id])
        by_people = tuple(
            Movement(one.on, one.amount_minor, one.actor)
            for one in posted
            if one.kind in (StepKind.ADDED, StepKind.TAKEN_OUT)
        )
        offer = published[row.offer_id]
        reserve = Reserve(offer.offer, row.signed_on, by_people)
        found.append(SignedReserve(row.id, AccountId(row.account_id), offer, reserve, posted))
    return tuple(found)


def by_entry(session: Session, entry_id: JournalEntryId) -> int | None:
    """Return which reserve an entry moved, if it did."""
    query = select(_MOVEMENT.c.reserve_id).where(_MOVEMENT.c.entry_id == entry_id).limit(1)
    return session.scalars(query).one_or_none()


def expired_minor(session: Session, account_id: AccountId, rule: str) -> int:
    """Return what of the lots that a rule granted has expired by itself."""
    query = (
        select(func.coalesce(func.sum(_DRAW.c.amount_minor), 0))
        .join(_LOT, _LOT.c.id == _DRAW.c.lot_id)
        .join(_WALLET, _WALLET.c.id == _LOT.c.wallet_id)
        .join(_ENTRY, _ENTRY.c.id == _DRAW.c.entry_id)
        .where(
            _WALLET.c.account_id == account_id,
            _LOT.c.rule == rule,
            _ENTRY.c.reason == Reason.EXPIRY,
        )
    )
    return int(session.scalars(query).one())


def stated_rates(session: Session) -> tuple[StatedRate, ...]:
    """Return the rates of credit that stand, the oldest first."""
    query = (
        select(CreditRateRow)
        .where(CreditRateRow.superseded_at.is_(None))
        .order_by(CreditRateRow.valid_from)
    )
    return tuple(
        StatedRate(Rate(row.valid_from, row.rate_ppm), row.source, row.actor, row.recorded_at)
        for row in session.scalars(query)
    )


def credit_rates(session: Session) -> Rates | None:
    """Return what credit costs, dated; None where nobody has stated it."""
    rates = tuple(one.rate for one in stated_rates(session))
    return Rates(rates) if rates else None


def ids_in_order(session: Session, after_id: int, limit: int) -> list[int]:
    """Return reserves by id, those after one."""
    query = select(_RESERVE.c.id).where(_RESERVE.c.id > after_id)
    return list(session.scalars(query.order_by(_RESERVE.c.id).limit(limit)))


def entry_amounts(session: Session, entry_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Return by entry what it moved in its wallet, and what it left in the reserves' account."""
    found: dict[int, tuple[int, int]] = {}
    reserves = select(_LEDGER.c.id).where(_LEDGER.c.code == RESERVES).scalar_subquery()
    into = case(
        (_POSTING.c.credit_id == reserves, _POSTING.c.amount_minor),
        (_POSTING.c.debit_id == reserves, -_POSTING.c.amount_minor),
        else_=0,
    )
    for part in in_slices(entry_ids):
        query = (
            select(_ENTRY.c.id, _ENTRY.c.amount_minor, func.sum(into))
            .join(_POSTING, _POSTING.c.entry_id == _ENTRY.c.id)
            .where(_ENTRY.c.id.in_(part))
            .group_by(_ENTRY.c.id, _ENTRY.c.amount_minor)
        )
        found |= {row[0]: (row[1], int(row[2])) for row in session.execute(query)}
    return found


def strays(session: Session) -> list[tuple[AccountId, int, int]]:
    """Return account, number and amount of entries by reserves that no reserve knows of."""
    reserves = select(_LEDGER.c.id).where(_LEDGER.c.code == RESERVES).scalar_subquery()
    touching = select(_POSTING.c.entry_id).where(
        (_POSTING.c.debit_id == reserves) | (_POSTING.c.credit_id == reserves)
    )
    known = select(_MOVEMENT.c.id).where(_MOVEMENT.c.entry_id == _ENTRY.c.id).exists()
    query = (
        select(_WALLET.c.account_id, _ENTRY.c.sequence, _ENTRY.c.amount_minor)
        .join(_WALLET, _WALLET.c.id == _ENTRY.c.wallet_id)
        .where((_ENTRY.c.reason.in_(REASONS)) | (_ENTRY.c.id.in_(touching)), ~known)
        .order_by(_ENTRY.c.id)
    )
    return [(AccountId(a), number, minor) for a, number, minor in session.execute(query)]


def _offers_by_id(session: Session, ids: Iterable[int]) -> dict[int, PublishedOffer]:
    found: dict[int, PublishedOffer] = {}
    for part in in_slices(sorted(ids)):
        for row in session.execute(select(_OFFER).where(_OFFER.c.id.in_(part))):
            found[row.id] = _published(row)
    return found


def _published(row: Any) -> PublishedOffer:  # noqa: ANN401 - a row of the offer table
    document = read_offer(row.document, f"{row.code} {row.version}")
    return PublishedOffer(
        id=row.id,
        code=row.code,
        name=row.name,
        name_en=row.name_en,
        offer=document.as_offer(row.version),
        document=row.document,
        digest=row.digest,
        published_by=row.published_by,
        recorded_at=row.recorded_at,
    )


def _posted(row: Any) -> Posted:  # noqa: ANN401 - a row of the movement table
    return Posted(
        number=row.number,
        kind=row.kind,
        on=row.on,
        amount_minor=row.amount_minor,
        entry_id=None if row.entry_id is None else JournalEntryId(row.entry_id),
        actor=row.actor,
        detail=row.detail,
        recorded_at=row.recorded_at,
    )

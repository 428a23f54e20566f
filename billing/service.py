"""Use cases of billing: open accounts, write charges down."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.orm import Session

from billing.accounts import AccountOrder
from billing.charges import AccountCharge, NewLine
from billing.facts.service import keep_persons_told
from billing.models import (
    AccountRow,
    AccountTermRow,
    ChargeLineRow,
    PriceSplit,
    RetailerRow,
    RunningChargeRow,
    Service,
)
from billing.store import accounts_by_numbers
from kilokassa.core.calendar import Month
from kilokassa.core.clock import Clock
from kilokassa.core.errors import Invalid, RequestConflict
from kilokassa.core.ids import AccountId, TariffPlanId
from kilokassa.core.text import mark
from kilokassa.db.slices import in_slices
from tariffs.models import TariffPlanRow


@dataclass(frozen=True, slots=True)
class RetailerOrder:
    """The retailer of a new installation, with the requisites that documents print."""

    name: str
    inn: str
    bank_name: str
    bic: str
    bank_account: str
    correspondent_account: str
    zone: str
    languages: tuple[str, ...]
    kpp: str = ""
    address: str = ""
    phone: str = ""
    email: str = ""
    page_url: str = ""
    demo: bool = False
    price_split: PriceSplit = PriceSplit.READING


@dataclass(frozen=True, slots=True)
class OpenedAccounts:
    """What opening a batch of accounts did, each account in one of the three."""

    ids: dict[str, AccountId]
    new: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]


def establish_retailer(session: Session, order: RetailerOrder, clock: Clock) -> RetailerRow:
    """Write down the one retailer; refuse where another is established already."""
    if session.get(RetailerRow, 1) is not None:
        raise RequestConflict(key="retailer")
    fields = asdict(order) | {"languages": ",".join(order.languages)}
    row = RetailerRow(id=1, created_at=clock.now(), **fields)
    session.add(row)
    session.flush()
    return row


ACCOUNTS_FILE: Final = "accounts file"
"""Who states persons that came with a file of accounts."""

_ACCOUNT_FIELDS = ("payer_name", "email", "phone", "premises_id", "persons", "language", "note")


def open_accounts(session: Session, orders: Sequence[AccountOrder], clock: Clock) -> OpenedAccounts:
    """Open the accounts that do not exist, change what differs in those that do.

    Terms of an existing account are left alone: they change by `billing.facts`. Persons that differ
    are registered from the month that is running; what held before stays as it was.
    """
    numbers = [order.number for order in orders]
    if len(set(numbers)) != len(numbers):
        twice = Counter(numbers).most_common(1)[0][0]
        raise Invalid(where=mark("account number"), problem="%(number)s comes twice", number=twice)
    plans = _plans(session, orders)
    known = accounts_by_numbers(session, numbers)
    existing = _existing(session, list(known.values()))
    fresh = [order for order in orders if order.number not in known]
    changed: list[AccountOrder] = []
    for order in orders:
        if order.number in known:
            row = existing[known[order.number]]
            if any(getattr(order, name) != row[name] for name in _ACCOUNT_FIELDS):
                changed.append(order)
    if fresh:
        session.execute(insert(AccountRow), [_account_values(order) for order in fresh])
        ids = accounts_by_numbers(session, [order.number for order in fresh])
        now = clock.now()
        session.execute(
            insert(AccountTermRow),
            [
                {
                    "account_id": ids[order.number],
                    "valid_from": order.opened_on,
                    "plan_id": plans[order.plan_code],
                    "settlement": order.settlement,
                    "measurement": order.measurement,
                    "recorded_at": now,
                }
                for order in fresh
            ],
        )
        known |= ids
    if changed:
        told = {
            known[order.number]: order.persons
            for order in changed
            if order.persons != existing[known[order.number]]["persons"]
        }
        keep_persons_told(session, told, ACCOUNTS_FILE, clock)
        table = AccountRow.__table__
        statement = (
            update(AccountRow)
            .where(table.c.number == bindparam("key_number"))
            .values({name: bindparam(f"new_{name}") for name in _ACCOUNT_FIELDS})
            .execution_options(synchronize_session=None)
        )
        session.connection().execute(
            statement,
            [
                {"key_number": order.number}
                | {f"new_{name}": getattr(order, name) for name in _ACCOUNT_FIELDS}
                for order in changed
            ],
        )
    touched = {order.number for order in changed}
    new = {order.number for order in fresh}
    return OpenedAccounts(
        ids=known,
        new=tuple(sorted(new)),
        changed=tuple(sorted(touched)),
        unchanged=tuple(sorted(set(numbers) - touched - new)),
    )


@dataclass(frozen=True, slots=True)
class LinesOrder:
    """Charge lines to write down, with the journal entry that carried their amounts."""

    charge: AccountCharge
    charge_month: Month
    document_month: Month
    entry_id: int | None
    run_id: int | None
    known_at: datetime | None
    """What was recorded up to then is what the lines were computed from."""


def record_lines(session: Session, orders: Sequence[LinesOrder], clock: Clock) -> int:
    """Write down charge lines in one statement a batch; return how many there were."""
    now = clock.now()
    rows = [
        _line_values(line, position, order, now)
        for order in orders
        for position, line in enumerate(order.charge.lines, start=1)
    ]
    if rows:
        session.connection().execute(insert(ChargeLineRow.__table__), rows)  # type: ignore[arg-type]
    return len(rows)


def _line_values(line: NewLine, position: int, order: LinesOrder, now: datetime) -> dict[str, Any]:
    return {
        "account_id": order.charge.account_id,
        "charge_month": order.charge_month.ordinal,
        "document_month": order.document_month.ordinal,
        "service": line.service,
        "kind": line.kind,
        "position": position,
        "line_key": line.key,
        "quantity": line.quantity,
        "rate_scaled": line.rate_scaled,
        "amount_minor": line.amount_minor,
        "charge": line.charge,
        "code": line.code,
        "unit": line.unit,
        "factor": line.factor,
        "divisor": line.divisor,
        "reason": line.reason,
        "estimated": line.estimated,
        "period_start": line.period_start,
        "period_end": line.period_end,
        "tariff_version_id": line.tariff_version_id,
        "input_digest": line.input_digest,
        "detail": line.detail,
        "entry_id": order.entry_id,
        "run_id": order.run_id,
        "recorded_at": now,
        "known_at": order.known_at,
    }


def _plans(session: Session, orders: Sequence[AccountOrder]) -> dict[str, TariffPlanId]:
    codes = sorted({order.plan_code for order in orders})
    query = select(TariffPlanRow.code, TariffPlanRow.id).where(TariffPlanRow.code.in_(codes))
    plans = {code: TariffPlanId(plan_id) for code, plan_id in session.execute(query)}
    for order in orders:
        if order.plan_code not in plans:
            raise Invalid(
                where=mark("account %(account)s") % {"account": order.number},
                problem="there is no tariff plan %(plan)s",
                plan=order.plan_code,
            )
    return plans


def _existing(session: Session, ids: Sequence[AccountId]) -> dict[AccountId, dict[str, Any]]:
    columns = [getattr(AccountRow, name) for name in _ACCOUNT_FIELDS]
    found: dict[AccountId, dict[str, Any]] = {}
    for part in in_slices(ids):
        for row in session.execute(select(AccountRow.id, *columns).where(AccountRow.id.in_(part))):
            found[AccountId(row.id)] = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    return found


def _account_values(order: AccountOrder) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(order, name) for name in _ACCOUNT_FIELDS}
    return values | {"number": order.number, "opened_on": order.opened_on}


@dataclass(frozen=True, slots=True)
class RunningOrder:
    """What of a running month is now taken from a wallet."""

    account_id: AccountId
    month: Month
    service: Service
    known_until: datetime
    posted_minor: int
    input_digest: str


def record_running(session: Session, orders: Sequence[RunningOrder], now: datetime) -> None:
    """Write down what is posted of the running month, in the transaction that posted it."""
    if not orders:
        return
    table = RunningChargeRow.__table__
    keys = {(order.account_id, order.month.ordinal, str(order.service)) for order in orders}
    for part in in_slices([order.account_id for order in orders]):
        session.execute(
            delete(RunningChargeRow).where(
                table.c.account_id.in_(part),
                table.c.charge_month.in_({month for _, month, _ in keys}),
                table.c.service.in_({service for _, _, service in keys}),
            )
        )
    session.connection().execute(
        insert(RunningChargeRow),
        [
            {
                "account_id": order.account_id,
                "charge_month": order.month.ordinal,
                "service": order.service,
                "known_until": order.known_until,
                "posted_minor": order.posted_minor,
                "input_digest": order.input_digest,
                "recorded_at": now,
            }
            for order in orders
        ],
    )

"""Queries of explanations: a line that an actor may see, its neighbours, the days under it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from billing.explanation.explanation import UsedVersion
from billing.models import AccountRow, ChargeLineRow, LineKind
from kilokassa.core.errors import NotFound
from kilokassa.core.ids import TariffVersionId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.text import mark
from kilokassa.db.rights import account_in_scope
from kilokassa.db.slices import in_slices
from metering.models import IntervalDayRevisionRow, IntervalDayRow
from tariffs.models import TariffPlanRow, TariffVersionRow

_lines = cast(Table, ChargeLineRow.__table__)
_days = cast(Table, IntervalDayRow.__table__)
_day_revisions = cast(Table, IntervalDayRevisionRow.__table__)

_ID_MAX: Final = 2**63 - 1


def line_in_reach(
    session: Session, scope: Scope, line_id: int, *, account_number: str | None = None
) -> tuple[ChargeLineRow, AccountRow]:
    """Return a charge line and its account, if `scope` reaches it; else it is not found."""
    scope.demand(Right.VIEW)
    query = (
        select(ChargeLineRow, AccountRow)
        .join(AccountRow, AccountRow.id == ChargeLineRow.account_id)
        .where(ChargeLineRow.id == line_id, account_in_scope(_lines.c.account_id, scope))
    )
    if account_number is not None:
        query = query.where(AccountRow.number == account_number)
    found = session.execute(query).one_or_none() if 0 < line_id <= _ID_MAX else None
    if found is None:
        raise NotFound(what=mark("charge line"), name=str(line_id))
    return found[0], found[1]


def lines_of_key(session: Session, line: ChargeLineRow) -> tuple[ChargeLineRow, ...]:
    """Return the lines of one account, month, service and key, in the order they were written."""
    query = (
        select(ChargeLineRow)
        .where(
            ChargeLineRow.account_id == line.account_id,
            ChargeLineRow.charge_month == line.charge_month,
            ChargeLineRow.service == line.service,
            ChargeLineRow.line_key == line.line_key,
        )
        .order_by(ChargeLineRow.id)
    )
    return tuple(session.scalars(query))


def neighbours(
    line: ChargeLineRow, of_key: Sequence[ChargeLineRow]
) -> tuple[ChargeLineRow | None, ChargeLineRow | None]:
    """Return the line that `line` takes back or stands in place of, and the one that takes it back.

    Lines of one key come one after another: a line, its reversal, the right line, and so on.
    """
    place = next(number for number, one in enumerate(of_key) if one.id == line.id)
    earlier = [one for one in of_key[:place] if one.kind is not LineKind.REVERSAL]
    before = earlier[-1] if earlier and line.kind is not LineKind.ORIGINAL else None
    later = of_key[place + 1 :]
    reversed_by = later[0] if later and later[0].kind is LineKind.REVERSAL else None
    return before, None if line.kind is LineKind.REVERSAL else reversed_by


def used_version(session: Session, version_id: TariffVersionId | None) -> UsedVersion | None:
    """Return the tariff version that priced a line, None where none did."""
    if version_id is None:
        return None
    query = (
        select(TariffPlanRow.code, TariffVersionRow)
        .join(TariffVersionRow, TariffVersionRow.plan_id == TariffPlanRow.id)
        .where(TariffVersionRow.id == version_id)
    )
    found = session.execute(query).one_or_none()
    if found is None:
        return None
    code, row = found
    return UsedVersion(code, row.valid_from, row.revision, row.digest, row.published_at)


@dataclass(frozen=True, slots=True)
class DayState:
    """Which state of a channel's day was known: its revision, digest, source and when it came."""

    day: date
    revision: int
    digest: bytes
    source: str
    recorded_at: datetime


def day_states(
    session: Session,
    channel_ids: Iterable[int],
    first: date,
    last: date,
    known_at: datetime | None,
) -> dict[int, dict[date, DayState]]:
    """Return, by channel, the state of each day from `first` to `last` as it was known."""
    found: dict[int, dict[date, DayState]] = {}
    for part in in_slices(sorted(set(channel_ids))):
        for table in (_days, _day_revisions):
            names = ("channel_id", "day", "revision", "digest", "source", "recorded_at")
            query = select(*(table.c[name] for name in names)).where(
                table.c.channel_id.in_(part), table.c.day.between(first, last)
            )
            if known_at is not None:
                query = query.where(table.c.recorded_at <= known_at)
            if table is _day_revisions:
                if known_at is None:
                    continue
                query = query.where(table.c.superseded_at > known_at)
            rows: Sequence[Any] = session.execute(query).all()
            for channel_id, *state in rows:
                one = DayState(*state)
                found.setdefault(channel_id, {})[one.day] = one
    return found

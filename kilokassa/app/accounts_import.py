"""Loading an accounts file: validated wholly, then loaded in chunks that may be repeated.

The file's own faults are found by `accounts_file`; what only the database can tell (an unknown
plan, an opening that was posted otherwise) is found here, still before anything is written.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import AccountOrder
from billing.models import AccountRow, AccountTermRow, Measurement, Settlement
from billing.service import open_accounts
from billing.store import retailer
from heating.models import HeatPriceRow
from heating.service import HeatedHouseOrder, set_heated_house
from kilokassa.app.accounts_file import (
    AccountLine,
    AccountsFile,
    ControlTotals,
    PlaceLine,
    parse_accounts,
)
from kilokassa.app.clerk_files import RefusedLine
from kilokassa.core.calendar import local_midnight
from kilokassa.core.clock import Clock
from kilokassa.core.errors import NotFound
from kilokassa.core.ids import AccountId, PremisesId
from kilokassa.core.scope import Right, Scope
from kilokassa.core.series import Quality
from kilokassa.core.text import mark
from kilokassa.db.session import Database
from metering.models import (
    BuildingRow,
    ChannelRow,
    CompanyRow,
    MeteringPointRow,
    MeterRow,
    PremisesRow,
)
from metering.registers import RegisterReading
from metering.registry.places import (
    ACTIVE_TAKEN,
    Building,
    Channel,
    Commodity,
    Company,
    Meter,
    MeteringPoint,
    PlacesOrder,
    Premises,
    RegisteredPlaces,
)
from metering.service import register_places
from metering.store import write_registers
from tariffs.models import TariffPlanRow
from wallet.ledger import Reason
from wallet.models import JournalEntryRow, WalletRow
from wallet.service import OpeningOrder, open_wallets, post_opening

CHUNK: Final = 5_000
"""Lines of one transaction; a load that was stopped is finished by repeating it."""

SOURCE: Final = "accounts file"

Progress = Callable[[int, int], None]
"""Told how many lines are done, of how many."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class AccountsReport:
    """What an import did, or would do; each account is in one of new, changed, unchanged."""

    loaded: bool
    """False after a dry run, and where a line was refused: then nothing was written."""
    dry_run: bool
    new: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    terms_kept: tuple[str, ...]
    """Accounts whose plan, settlement or measurement in the file differs: they keep theirs."""
    refused: tuple[RefusedLine, ...]
    readings_new: int
    openings_posted: int
    totals: ControlTotals
    totals_stated: bool


@dataclass(frozen=True, slots=True)
class _Loaded:
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    readings_new: int = 0
    openings_posted: int = 0

    def __add__(self, other: "_Loaded") -> "_Loaded":
        return _Loaded(
            self.new + other.new,
            self.changed + other.changed,
            self.unchanged + other.unchanged,
            self.readings_new + other.readings_new,
            self.openings_posted + other.openings_posted,
        )


@dataclass(frozen=True, slots=True)
class _KnownAccount:
    """An account as it stands, as far as a file may differ from it."""

    area_dm2: int
    address: str
    plan_code: str
    settlement: Settlement
    measurement: Measurement


def import_accounts(
    database: Database,
    path: Path,
    *,
    dry_run: bool,
    scope: Scope,
    clock: Clock,
    progress: Progress | None = None,
) -> AccountsReport:
    """Load the accounts file at `path`; repeat it without harm; on a dry run write nothing."""
    scope.demand(Right.MANAGE_ACCOUNTS)
    try:
        data = path.read_bytes()
    except OSError:
        raise NotFound(what=mark("readable file"), name=str(path)) from None
    return import_accounts_data(
        database, data, dry_run=dry_run, scope=scope, clock=clock, progress=progress
    )


def import_accounts_data(
    database: Database,
    data: bytes,
    *,
    dry_run: bool,
    scope: Scope,
    clock: Clock,
    progress: Progress | None = None,
) -> AccountsReport:
    """Load an accounts file that is at hand as bytes."""
    scope.demand(Right.MANAGE_ACCOUNTS)
    with database.reading() as session:
        house = retailer(session)
        file = parse_accounts(
            data, default_zone=house.zone, default_language=house.languages.split(",")[0]
        )
        refused = file.refused or _contradictions(session, file)
        known = _known_accounts(session, file)
        zone = ZoneInfo(house.zone)
    loaded = _Loaded()
    if not refused:
        loaded = _load(database, file, known, zone, dry_run, scope, clock, progress)
    return AccountsReport(
        loaded=not refused and not dry_run,
        dry_run=dry_run,
        new=loaded.new,
        changed=loaded.changed,
        unchanged=loaded.unchanged,
        terms_kept=tuple(
            account.number
            for account in file.accounts
            if account.number in known and _terms_differ(account, known[account.number])
        ),
        refused=tuple(refused),
        readings_new=loaded.readings_new,
        openings_posted=loaded.openings_posted,
        totals=file.totals,
        totals_stated=file.totals_stated,
    )


class _RolledBack(Exception):
    """Ends the transaction of a dry run."""


def _load(
    database: Database,
    file: AccountsFile,
    known: Mapping[str, _KnownAccount],
    zone: ZoneInfo,
    dry_run: bool,
    scope: Scope,
    clock: Clock,
    progress: Progress | None,
) -> _Loaded:
    loaded = _Loaded()
    done, whole = 0, len(file.places)
    chunks: Iterable[tuple[Sequence[AccountLine], Sequence[PlaceLine]]] = [
        *((part, ()) for part in _parts(file.accounts)),
        *(((), part) for part in _parts(file.house_meters)),
    ]
    for accounts, house_meters in chunks:
        with suppress(_RolledBack), database.writing() as session:
            loaded += _load_chunk(session, accounts, house_meters, known, zone, scope, clock)
            if dry_run:
                raise _RolledBack
        done += len(accounts) + len(house_meters)
        if progress is not None:
            progress(done, whole)
    return loaded


def _load_chunk(
    session: Session,
    accounts: Sequence[AccountLine],
    house_meters: Sequence[PlaceLine],
    known: Mapping[str, _KnownAccount],
    zone: ZoneInfo,
    scope: Scope,
    clock: Clock,
) -> _Loaded:
    places = [*(account.place for account in accounts), *house_meters]
    removed = _removed_meters(session, places)
    named = _company_names(session, places)
    registered = register_places(session, _places_order(places, removed, named), clock)
    readings = write_registers(session, _readings(places, registered), clock, source=SOURCE)
    for place in house_meters:
        if place.heat_plan:
            set_heated_house(
                session,
                HeatedHouseOrder(
                    building_id=registered.building_ids[place.building_code],
                    valid_from=place.opened_on,
                    plan_code=place.heat_plan,
                    common_area_dm2=place.area_dm2,
                ),
                clock,
            )
    opened = open_accounts(session, [_account_order(a, registered) for a in accounts], clock)
    posted = _post_openings(session, accounts, opened.ids, zone, scope, clock)
    moved = {a.number for a in accounts if a.number in known and _place_differs(a, known[a.number])}
    return _Loaded(
        new=opened.new,
        changed=tuple(sorted({*opened.changed, *moved})),
        unchanged=tuple(number for number in opened.unchanged if number not in moved),
        readings_new=readings.new,
        openings_posted=posted,
    )


def _company_names(session: Session, places: Sequence[PlaceLine]) -> dict[str, str]:
    """Return the names to register: of a new company without one its code, of a known one none."""
    named = {p.company_code: p.company_name for p in places if p.company_code}
    nameless = [code for code, name in named.items() if not name]
    known = set(session.scalars(select(CompanyRow.code).where(CompanyRow.code.in_(nameless))))
    return {code: name or code for code, name in named.items() if name or code not in known}


def _places_order(
    places: Sequence[PlaceLine],
    removed: frozenset[tuple[str, str]],
    companies: Mapping[str, str],
) -> PlacesOrder:
    buildings = {p.building_code: p for p in places}
    premises = {(p.building_code, p.premises_number): p for p in places if p.premises_number}
    return PlacesOrder(
        companies=tuple(Company(code, name) for code, name in companies.items()),
        buildings=tuple(
            Building(code, p.address, p.zone, p.company_code or None)
            for code, p in buildings.items()
        ),
        premises=tuple(
            Premises(building, number, p.area_dm2) for (building, number), p in premises.items()
        ),
        points=tuple(
            MeteringPoint(p.point_code, p.building_code, p.premises_number or None, p.commodity)
            for p in places
        ),
        meters=tuple(
            Meter(
                p.point_code,
                p.meter_serial,
                p.installed_on,
                p.meter_model or None,
                p.digits,
                verified_until=p.verified_until,
            )
            for p in places
            if (p.point_code, p.meter_serial) not in removed
        ),
        channels=tuple(
            Channel(p.point_code, p.interval_min) for p in places if p.interval_min is not None
        ),
    )


def _readings(places: Sequence[PlaceLine], registered: RegisteredPlaces) -> list[RegisterReading]:
    return [
        RegisterReading(meter_id, zone, place.readings.taken_at, value, Quality.ACTUAL)
        for place in places
        if place.readings is not None
        for meter_id in [registered.meter_ids.get((place.point_code, place.meter_serial))]
        if meter_id is not None
        for zone, value in place.readings.values
    ]


def _account_order(account: AccountLine, registered: RegisteredPlaces) -> AccountOrder:
    place = account.place
    premises_id = registered.premises_ids[place.building_code, place.premises_number]
    return AccountOrder(
        number=account.number,
        payer_name=account.payer_name,
        premises_id=PremisesId(premises_id),
        persons=account.persons,
        opened_on=account.opened_on,
        plan_code=account.plan_code,
        settlement=account.settlement,
        measurement=account.measurement,
        email=account.email,
        phone=account.phone,
        language=account.language,
    )


def _post_openings(
    session: Session,
    accounts: Sequence[AccountLine],
    ids: Mapping[str, AccountId],
    zone: ZoneInfo,
    scope: Scope,
    clock: Clock,
) -> int:
    """Open the wallets and post what the accounts bring along, each once for ever."""
    open_wallets(session, [ids[account.number] for account in accounts], clock)
    posted = _known_openings(session, accounts)
    orders = [
        OpeningOrder(
            account_id=ids[account.number],
            debt_minor=account.opening_debt_minor,
            advance_minor=account.opening_advance_minor,
            valid_at=local_midnight(account.opened_on, zone),
            zone=zone,
            actor=scope.actor,
        )
        for account in accounts
        if (account.opening_debt_minor or account.opening_advance_minor)
        and account.number not in posted
    ]
    return post_opening(session, orders, clock) if orders else 0


def _contradictions(session: Session, file: AccountsFile) -> list[RefusedLine]:
    """Return what the database says against lines that are right in themselves."""
    refused = [*_unknown_plans(session, file), *_fixed_places(session, file)]
    refused += _other_openings(session, file)
    return sorted(refused, key=lambda line: int(line.values["line"]))


def _unknown_plans(session: Session, file: AccountsFile) -> Iterator[RefusedLine]:
    plans = set(session.scalars(select(TariffPlanRow.code)))
    for account in file.accounts:
        if account.plan_code not in plans:
            yield RefusedLine(
                line=account.line,
                field="plan",
                problem=mark("there is no tariff plan %(text)s"),
                text=account.plan_code,
            )
    heat_plans = set(session.scalars(select(HeatPriceRow.plan_code)))
    for place in file.house_meters:
        if place.heat_plan and place.heat_plan not in heat_plans:
            yield RefusedLine(
                line=place.line,
                field="plan",
                problem=mark("there is no price of heat %(text)s"),
                text=place.heat_plan,
            )


def _fixed_places(session: Session, file: AccountsFile) -> Iterator[RefusedLine]:
    """Yield lines that would change what readings are stored by."""
    zones = dict(session.execute(select(BuildingRow.code, BuildingRow.zone)).all())
    for part in _parts(file.places):
        points = _known_points(session, [place.point_code for place in part])
        digits = _known_digits(session, [place.point_code for place in part])
        for place in part:
            building, commodity, interval_min = points.get(
                place.point_code, (place.building_code, place.commodity, None)
            )
            stands = {
                "zone": (zones.get(place.building_code, place.zone), place.zone),
                "building": (building, place.building_code),
                "commodity": (commodity, place.commodity),
                "interval": (
                    interval_min or place.interval_min,
                    place.interval_min or interval_min,
                ),
                "digits": (
                    digits.get((place.point_code, place.meter_serial), place.digits),
                    place.digits,
                ),
            }
            for field, (held, given) in stands.items():
                if held != given:
                    yield RefusedLine(
                        line=place.line,
                        field=field,
                        problem=mark("it is %(held)s already and cannot become %(given)s"),
                        held=str(held),
                        given=str(given),
                    )


def _other_openings(session: Session, file: AccountsFile) -> Iterator[RefusedLine]:
    """Yield lines whose opening was posted already, with another amount."""
    for part in _parts(file.accounts):
        posted = _known_openings(session, part)
        for account in part:
            given_minor = account.opening_advance_minor - account.opening_debt_minor
            if given_minor and posted.get(account.number, given_minor) != given_minor:
                yield RefusedLine(
                    line=account.line,
                    field="opening_advance" if given_minor > 0 else "opening_debt",
                    problem=mark("an opening balance of %(held)s was posted already"),
                    held=str(Decimal(posted[account.number]).scaleb(-2)),
                )


def _known_openings(session: Session, accounts: Sequence[AccountLine]) -> dict[str, int]:
    """Return the opening balances that were posted, by account number; negative is a debt.

    Whoever posted them: an idempotency key is one actor's, an opening is the account's.
    """
    query = (
        select(AccountRow.number, JournalEntryRow.amount_minor)
        .join(WalletRow, WalletRow.account_id == AccountRow.id)
        .join(JournalEntryRow, JournalEntryRow.wallet_id == WalletRow.id)
        .where(
            AccountRow.number.in_([account.number for account in accounts]),
            JournalEntryRow.reason.in_([Reason.OPENING_DEBT, Reason.OPENING_ADVANCE]),
        )
    )
    return dict(session.execute(query).all())


def _known_points(
    session: Session, codes: Sequence[str]
) -> dict[str, tuple[str, Commodity, int | None]]:
    query = (
        select(
            MeteringPointRow.code,
            BuildingRow.code,
            MeteringPointRow.commodity,
            ChannelRow.interval_min,
        )
        .join(BuildingRow, BuildingRow.id == MeteringPointRow.building_id)
        .outerjoin(
            ChannelRow,
            (ChannelRow.point_id == MeteringPointRow.id) & (ChannelRow.code == ACTIVE_TAKEN),
        )
        .where(MeteringPointRow.code.in_(codes))
    )
    return {
        code: (building, commodity, m) for code, building, commodity, m in session.execute(query)
    }


def _known_digits(session: Session, codes: Sequence[str]) -> dict[tuple[str, str], int]:
    query = (
        select(MeteringPointRow.code, MeterRow.serial, MeterRow.digits)
        .join(MeterRow, MeterRow.point_id == MeteringPointRow.id)
        .where(MeteringPointRow.code.in_(codes))
    )
    return {(code, serial): digits for code, serial, digits in session.execute(query)}


def _removed_meters(session: Session, places: Sequence[PlaceLine]) -> frozenset[tuple[str, str]]:
    """Return the meters that were replaced meanwhile: an old file must not put them back."""
    query = (
        select(MeteringPointRow.code, MeterRow.serial)
        .join(MeterRow, MeterRow.point_id == MeteringPointRow.id)
        .where(
            MeteringPointRow.code.in_([place.point_code for place in places]),
            MeterRow.removed_on.is_not(None),
        )
    )
    return frozenset((code, serial) for code, serial in session.execute(query))


def _known_accounts(session: Session, file: AccountsFile) -> dict[str, _KnownAccount]:
    """Return the accounts of the file that exist, with their latest terms."""
    latest = (
        select(AccountTermRow.account_id, func.max(AccountTermRow.valid_from).label("valid_from"))
        .where(AccountTermRow.superseded_at.is_(None))
        .group_by(AccountTermRow.account_id)
        .subquery()
    )
    query = (
        select(
            AccountRow.number,
            PremisesRow.area_dm2,
            BuildingRow.address,
            TariffPlanRow.code,
            AccountTermRow.settlement,
            AccountTermRow.measurement,
        )
        .join(PremisesRow, PremisesRow.id == AccountRow.premises_id)
        .join(BuildingRow, BuildingRow.id == PremisesRow.building_id)
        .join(latest, latest.c.account_id == AccountRow.id)
        .join(
            AccountTermRow,
            (AccountTermRow.account_id == AccountRow.id)
            & (AccountTermRow.valid_from == latest.c.valid_from)
            & AccountTermRow.superseded_at.is_(None),
        )
        .join(TariffPlanRow, TariffPlanRow.id == AccountTermRow.plan_id)
    )
    found: dict[str, _KnownAccount] = {}
    for part in _parts(file.accounts):
        numbers = [account.number for account in part]
        for row in session.execute(query.where(AccountRow.number.in_(numbers))):
            found[row[0]] = _KnownAccount(*row[1:])
    return found


def _place_differs(account: AccountLine, known: _KnownAccount) -> bool:
    return (account.place.area_dm2, account.place.address) != (known.area_dm2, known.address)


def _terms_differ(account: AccountLine, known: _KnownAccount) -> bool:
    return (account.plan_code, account.settlement, account.measurement) != (
        known.plan_code,
        known.settlement,
        known.measurement,
    )


def _parts(items: Iterable[Item]) -> Iterator[tuple[Item, ...]]:
    running = iter(items)
    while part := tuple(islice(running, CHUNK)):
        yield part

"""What the unmetered remainder of houses is worth: metering knows the energy, billing the price."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Table, case, func, select
from sqlalchemy.orm import Session

from billing.models import AccountRow, ChargeLineRow, Service
from billing.store import counts_energy
from kilokassa.core.calendar import Month
from kilokassa.db.slices import in_slices
from metering.models import PremisesRow

_lines = cast(Table, ChargeLineRow.__table__)
_accounts = cast(Table, AccountRow.__table__)
_premises = cast(Table, PremisesRow.__table__)


@dataclass(frozen=True, slots=True)
class ChargedEnergy:
    """What the flats of a house were charged for electricity in a month."""

    energy_wh: int
    amount_minor: int

    def worth_minor(self, energy_wh: int) -> int | None:
        """Return what energy would cost at the flats' average price, towards zero.

        None where nothing was charged yet.

        >>> ChargedEnergy(10_000, 55_00).worth_minor(2_500)
        1375
        """
        if self.energy_wh <= 0:
            return None
        size = abs(energy_wh) * self.amount_minor // self.energy_wh
        return size if energy_wh >= 0 else -size


def charged_energy(
    session: Session, building_ids: Collection[int], month: Month
) -> dict[int, ChargedEnergy]:
    """Return what the flats of buildings were charged for electricity used in `month`.

    The buildings are those that a query in somebody's scope has found.
    """
    found: dict[int, ChargedEnergy] = {}
    for part in in_slices(sorted(set(building_ids))):
        query = (
            select(
                _premises.c.building_id,
                func.sum(case((counts_energy(_lines.c), _lines.c.quantity), else_=0)),
                func.sum(_lines.c.amount_minor),
            )
            .join(_accounts, _accounts.c.id == _lines.c.account_id)
            .join(_premises, _premises.c.id == _accounts.c.premises_id)
            .where(
                _premises.c.building_id.in_(part),
                _lines.c.service == Service.ELECTRICITY,
                _lines.c.charge_month == month.ordinal,
            )
            .group_by(_premises.c.building_id)
        )
        for building_id, energy_wh, amount_minor in session.execute(query):
            found[building_id] = ChargedEnergy(int(energy_wh), int(amount_minor))
    return found

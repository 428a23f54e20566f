"""Reserves at work: what the days have brought is paid, a block of reserves in a transaction."""

from datetime import date

from billing.store import retailer_zone
from kilokassa.app.wiring import Application
from wallet.reserves import service
from wallet.reserves.service import Paid


def pay_reserve_bonuses(application: Application, day: date) -> Paid:
    """Pay the bonuses and return the reserves that are due up to a local day, each step once.

    Days that were missed are caught up in order; run again, it changes nothing. A process that ends
    in between has paid whole blocks.
    """
    with application.database.reading() as session:
        zone = retailer_zone(session)
    whole = Paid(0)
    while whole.last_id is not None:
        with application.database.writing() as session:
            block = service.pay_due(session, day, zone, application.clock, whole.last_id)
        whole = whole.plus(block)
    return whole

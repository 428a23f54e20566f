"""A norm of water that is told after a month was closed."""

from datetime import date

from billing import store as billing_store
from billing.explanation.explanation import Verdict
from billing.explanation.service import explain_charge_line
from billing.models import Service
from kilokassa.app.recalculating import Wish, recalculate
from metering.estimation.methods import Norm
from metering.estimation.store import write_norms
from metering.registry.places import Commodity
from tests.scenarios.by_hand_town import SCOPE
from tests.scenarios.test_house_services import COLD, JANUARY, House
from tests.scenarios.test_recalculation import at


def tells(house, valid_from, litres, when, code="water"):
    norm = Norm(code, valid_from, 0, 0, litres, "a test")
    with house.database.writing() as session:
        write_norms(session, Commodity.COLD_WATER, [norm], when)


def closed(house):
    house.month(JANUARY, house=25)
    house.town.close(2026, 1)


def put_right(house, when):
    return recalculate(house.town.application(when), Wish(), scope=SCOPE)


def charged(house):
    with house.database.reading() as session:
        account = house.town.accounts["P2"]
        lines = billing_store.standing_lines(session, [account], JANUARY)[account]
    return sum(line.quantity for line in lines if line.service is Service.COLD_WATER)


def test_a_norm_that_is_told_late_is_charged_by(database, tmp_path):
    house = House(database, tmp_path, COLD.replace("norm: water", "norm: other"))
    closed(house)
    assert charged(house) == 0
    tells(house, date(2026, 1, 1), 4_000, at(2, 10), code="other")

    put_right(house, at(2, 12))
    again = put_right(house, at(2, 13))

    assert (charged(house), again.corrected) == (8_000, 0)


def test_what_was_charged_by_the_norm_of_then_is_explained_by_it(database, tmp_path):
    house = House(database, tmp_path, COLD)
    closed(house)
    tells(house, date(2026, 1, 1), 4_000, at(2, 10))
    put_right(house, at(2, 12))

    with database.reading() as session:
        lines = billing_store.charge_lines_of(session, SCOPE, house.town.accounts["P2"])
        verdicts = {
            (line.quantity, explain_charge_line(session, SCOPE, line.id).replay.verdict)
            for line in lines
            if line.service is Service.COLD_WATER
        }

    assert verdicts == {
        (9_490, Verdict.SAME),
        (-9_490, Verdict.SAME),
        (8_000, Verdict.SAME),
    }

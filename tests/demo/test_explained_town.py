"""Every kind of charge line that the demo town has explains itself, and comes about again."""

from collections import Counter
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from billing.explanation.explanation import Verdict
from billing.explanation.service import explain_charge_line
from billing.models import ChargeLineRow
from kilokassa.app.settings import Settings
from kilokassa.app.wiring import Application
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import system_scope
from kilokassa.demo.town import ensure_demo

SCOPE = system_scope("test")
OF_A_KIND = 3


@pytest.mark.slow
def test_lines_of_every_kind_and_all_of_the_last_month_come_about_again(sqlite_database, tmp_path):
    clock = FixedClock(datetime(2026, 11, 24, 9, tzinfo=UTC))
    settings = Settings.from_env({"KILOKASSA_VAR": str(tmp_path)})
    ensure_demo(Application(settings, sqlite_database, clock))

    with sqlite_database.reading() as session:
        last = session.scalar(select(func.max(ChargeLineRow.document_month)))
        taken: Counter[tuple[object, ...]] = Counter()
        wrong = []
        for row in session.scalars(select(ChargeLineRow).order_by(ChargeLineRow.id)).all():
            estimated = row.estimated != 0
            kind = (row.service, row.charge, row.code, row.kind, row.unit, row.reason, estimated)
            taken[kind] += 1
            if taken[kind] > OF_A_KIND and row.document_month != last:
                continue
            one = explain_charge_line(session, SCOPE, row.id)
            told = one.replay.verdict is Verdict.SAME and one.sum.holds and bool(one.steps)
            if not told or one.line.amount_minor != row.amount_minor:
                wrong.append((row.id, *kind, one.replay.verdict))

    assert wrong == []
    assert len(taken) >= 5

"""The ledger as a file: audited without the database, and nothing in it can be changed unseen."""

import json
from datetime import date, timedelta

import pytest

from kilokassa.core.clock import FixedClock
from tests.wallet.builders import accounts_with_wallets, charge, close, order
from wallet.export.lines import Counted, NotALedger, audit_lines
from wallet.export.service import export_lines, trial_balance
from wallet.service import charge_batch, seal, top_up
from wallet.topups import BonusRule

RULE = BonusRule("five for a thousand", 1_000_00, 500, date(2026, 1, 1))


@pytest.fixture
def exported(database, clock):
    accounts_with_wallets(database, clock)
    with database.writing() as session:
        top_up(session, order(bonus_rules=(RULE,)), clock)
        seal(session, date(2026, 11, 23), clock)
    clock = FixedClock(clock.now() + timedelta(days=1))
    with database.writing() as session:
        charge_batch(session, close(charge(1, 300_00), charge(2, 20_00)), clock)
        seal(session, date(2026, 11, 24), clock)
        top_up(session, order(2, key="k2"), clock)
    with database.reading() as session:
        return list(export_lines(session, clock.now()))


def test_an_export_is_right_by_itself(exported):
    counted = Counted()

    assert list(audit_lines(exported, counted)) == []
    assert (counted.wallets, counted.seals) == (3, 2)
    assert counted.entries == 5
    assert sum(counted.totals.values()) == 0


def test_whatever_number_is_changed_is_found(exported):
    missed = []
    for place, line in enumerate(exported):
        found = json.loads(line)
        for kind in ("entry", "lot", "wallet", "seal"):
            for name, value in found.get(kind, {}).items():
                # What the digest is made of; ids of the database are not.
                if isinstance(value, int) and name.endswith(("_minor", "sequence", "number")):
                    changed = {**found, kind: {**found[kind], name: value + 1}}
                    lines = [*exported[:place], json.dumps(changed), *exported[place + 1 :]]
                    if not list(audit_lines(lines)):
                        missed.append((kind, name))

    assert missed == []


def test_an_entry_that_is_left_out_is_found(exported):
    entries = [n for n, line in enumerate(exported) if line.startswith('{"entry"')]
    for place in entries:
        end = json.loads(exported[-1])["end"]
        lines = [*exported[:place], *exported[place + 1 : -1], json.dumps({"end": end - 1})]
        assert list(audit_lines(lines)) != []


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ([], "line 1"),
        (["{}"], "line 1"),
        (['{"format":"kilokassa-ledger","version":1,"seals":-1}'], "line 1"),
        (['{"format":"kilokassa-ledger","version":1,"seals":1}', "[" * 100_000], "line 2"),
        (['{"format":"kilokassa-ledger","version":1,"seals":0}', '{"lot":{}}'], "line 2"),
        (['{"format":"kilokassa-ledger","version":1,"seals":0}'], "line 2"),
    ],
)
def test_what_is_no_export_is_refused_by_its_line(lines, problem):
    with pytest.raises(NotALedger) as refused:
        list(audit_lines(lines))

    assert f"line {refused.value.values['line']}" == problem


def test_debits_and_credits_of_the_trial_balance_are_one_sum(database, exported):
    with database.reading() as session:
        rows = trial_balance(session)

    assert [code for code, _, _ in rows] == [
        "bonus_expense",
        "cash:card",
        "revenue:electricity",
        "wallets",
    ]
    assert sum(debit for _, debit, _ in rows) == sum(credit for _, _, credit in rows) == 2_370_00
    assert rows[-1] == ("wallets", 320_00, 2_050_00)

from pathlib import Path

from kilokassa.core.calendar import Month
from kilokassa.core.scope import Role, Scope, system_scope
from kilokassa.db.session import Database
from kilokassa.web import queries
from kilokassa.web.queries import AccountFilter, Owing
from tests.web.seed import BY_HAND, DEBTOR, NOW, POSTPAID, PREPAID, account_ids, build

TODAY = NOW.date()
STAFF = system_scope("test")


def test_look_ups_answer_alike_on_both_databases(database: Database, tmp_path: Path):
    application = build(tmp_path, database=database)
    ids = account_ids(application)
    resident = Scope(Role.RESIDENT, "user:1", account_ids=frozenset({ids[PREPAID]}))

    with database.reading() as session:
        by_debt, total = queries.list_accounts(
            session, STAFF, AccountFilter(), on=TODAY, sort="debt", descending=True, limit=3
        )
        debtors, debtor_count = queries.list_accounts(
            session, STAFF, AccountFilter(owing=Owing.DEBT), on=TODAY, limit=None
        )
        found, _ = queries.list_accounts(
            session, STAFF, AccountFilter(search="бородина кв"), on=TODAY
        )
        by_name, _ = queries.list_accounts(
            session, STAFF, AccountFilter(search="бородина"), on=TODAY
        )
        own, own_total = queries.list_accounts(session, resident, AccountFilter(), on=TODAY)
        foreign = queries.listed_account(session, resident, ids[POSTPAID], on=TODAY)
        figures = queries.overview(session, STAFF, TODAY)
        energy = queries.energy_by_month(session, STAFF, Month(2022, 11), Month(2022, 12))
        documents, _ = queries.list_documents(session, STAFF, account_id=ids[BY_HAND])
        foreign_documents, count = queries.list_documents(
            session, resident, account_id=ids[POSTPAID]
        )
        months = queries.document_months(session, STAFF)
        meters = queries.meters_of_account(session, STAFF, ids[BY_HAND])
        terms = queries.terms_of(session, STAFF, ids[PREPAID])
        watched = queries.watched(session)

    assert total == 12
    assert [one.debt_minor for one in by_debt] == sorted(
        (one.debt_minor for one in debtors), reverse=True
    )[:3]
    assert debtor_count == len(debtors) == figures.debtors
    assert figures.debt_minor == sum(one.debt_minor for one in debtors) == watched.debt_minor
    assert (figures.accounts, figures.prepaid, watched.accounts) == (12, 4, 12)
    assert [one.number for one in by_name] == [DEBTOR]
    assert found == ()
    assert ([one.number for one in own], own_total, foreign) == ([PREPAID], 1, None)
    assert set(energy) == {Month(2022, 11), Month(2022, 12)}
    assert set(energy[Month(2022, 12)]) == {"all", "day", "night", "peak", "semi_peak"}
    assert [one.month for one in documents] == [Month(2022, 12), Month(2022, 11)]
    assert (foreign_documents, count) == ((), 0)
    assert months == (Month(2022, 12), Month(2022, 11))
    assert len(meters) == len(terms) == 1
    assert terms[0].plan_name_en != terms[0].plan_name

import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from io import BytesIO

import pytest
from pypdf import PdfReader
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import IntegrityError

from billing.models import AccountRow
from invoices import service, store
from invoices.documents import (
    AlreadyCancelled,
    DocumentExists,
    Draft,
    NotCancellable,
    document_digest,
)
from invoices.models import DocumentRow
from invoices.numbering import DocumentKind
from invoices.payment_document import PaymentDocument
from invoices.service import CancelOrder, IssueOrder
from kilokassa.app import documents as jobs
from kilokassa.core.calendar import Month
from kilokassa.core.clock import FixedClock
from kilokassa.core.errors import NotFound, RequestConflict
from kilokassa.core.ids import AccountId, BuildingId, CompanyId
from kilokassa.core.scope import Role, Scope, system_scope
from kilokassa.core.text import Language
from metering.models import BuildingRow, CompanyRow, PremisesRow
from tests.invoices import samples
from tests.unguarded import lift_guards

NOVEMBER_3 = date(2026, 11, 3)
SYSTEM = system_scope("test")


@pytest.fixture
def town(database):
    """Two companies with a building each, two accounts in each building: ids 1, 2 and 3, 4."""
    with database.writing() as session:
        for number in (1, 2):
            session.execute(
                insert(CompanyRow), [{"id": number, "code": f"C{number}", "name": "УК"}]
            )
            session.execute(
                insert(BuildingRow),
                [
                    {
                        "id": number,
                        "code": f"B{number}",
                        "address": "ул. Первая, 1",
                        "company_id": number,
                        "zone": "Asia/Vladivostok",
                    }
                ],
            )
        for number in (1, 2, 3, 4):
            building = (number + 1) // 2
            session.execute(
                insert(PremisesRow),
                [{"id": number, "building_id": building, "number": str(number), "area_dm2": 5000}],
            )
            session.execute(
                insert(AccountRow),
                [
                    {
                        "id": number,
                        "number": f"А/{number:03d}",
                        "payer_name": "Петров",
                        "premises_id": number,
                        "opened_on": date(2026, 1, 1),
                    }
                ],
            )
    return database


def bill(account_id, month=samples.OCTOBER, key=None, document=None):
    return Draft(
        kind=DocumentKind.PAYMENT_DOCUMENT,
        account_id=AccountId(account_id),
        month=month,
        snapshot=(document or samples.debtor()).to_snapshot(),
        key=key or f"bill:{month}:{account_id}",
    )


def receipt(account_id, entry):
    return Draft(
        kind=DocumentKind.RECEIPT,
        account_id=AccountId(account_id),
        snapshot=samples.receipt().to_snapshot(),
        key=f"receipt:{entry}",
    )


def issue(database, clock, *drafts, on=NOVEMBER_3):
    with database.writing() as session:
        return service.issue_documents(session, IssueOrder(drafts, on), clock)


def cancel(database, clock, number, key="cancel:1", scope=SYSTEM):
    order = CancelOrder(scope, number, NOVEMBER_3, "Wrong readings", key)
    with database.writing() as session:
        return service.cancel_document(session, order, clock)


def faults(database):
    with database.reading() as session:
        return [(fault.number, fault.problem) for fault in service.verify(session)]


def test_documents_are_numbered_in_their_order_and_by_kind(town, clock):
    first = issue(town, clock, bill(2), receipt(1, 7), bill(1))
    second = issue(town, clock, bill(3))

    numbers = [document.number for document in (*first, *second)]
    assert numbers == ["2026-000001", "R-2026-000001", "2026-000002", "2026-000003"]
    assert all(document.new for document in first)
    assert faults(town) == []


def test_a_new_year_starts_from_one(town, clock):
    issue(town, clock, bill(1))

    (document,) = issue(town, clock, bill(1, Month(2026, 12)), on=date(2027, 1, 9))

    assert document.number == "2027-000001"
    assert faults(town) == []


def test_a_repeated_issue_changes_nothing_and_takes_no_number(town, clock):
    first = issue(town, clock, bill(1), bill(2))

    later = FixedClock(datetime(2026, 12, 24, tzinfo=UTC))
    again = issue(town, later, bill(1), bill(2), bill(3))

    assert [replace(document, new=True) for document in again[:2]] == list(first)
    assert [document.new for document in again] == [False, False, True]
    assert again[2].number == "2026-000003"
    assert faults(town) == []


def test_a_key_that_served_another_account_is_refused(town, clock):
    issue(town, clock, bill(1, key="k"))

    with pytest.raises(RequestConflict):
        issue(town, clock, bill(2, key="k"))
    with pytest.raises(RequestConflict):
        issue(town, clock, bill(2, key="x"), bill(3, key="x"))

    assert faults(town) == []


def test_an_account_and_month_have_one_live_payment_document(town, clock):
    issue(town, clock, bill(1))

    with pytest.raises(DocumentExists):
        issue(town, clock, bill(2), bill(1, key="another"))

    with town.reading() as session:
        assert store.count_of_month(session, samples.OCTOBER) == 1
    assert faults(town) == []


def test_the_database_itself_refuses_a_second_live_document(town, clock):
    issue(town, clock, bill(1))
    with town.reading() as session:
        columns = [c for c in DocumentRow.__table__.c if c.name != "id"]
        row = dict(session.execute(select(*columns)).one()._mapping)

    with pytest.raises(IntegrityError), town.writing() as session:
        session.execute(insert(DocumentRow), [row | {"sequence": 2, "number": "x", "key": "y"}])


def test_a_cancelled_document_makes_room_for_a_right_one(town, clock):
    issue(town, clock, bill(1))

    cancellation = cancel(town, clock, "2026-000001")
    (right,) = issue(town, clock, bill(1, key="bill again", document=samples.prepaid()))

    assert (cancellation.number, right.number) == ("C-2026-000001", "2026-000002")
    with town.reading() as session:
        old = store.document_by_number(session, SYSTEM, "2026-000001")
        assert old.cancelled_by == "C-2026-000001"
        assert [d.number for d in store.iterate_documents(session, samples.OCTOBER)] == [
            "2026-000002"
        ]
        assert store.live_document_ids(session, samples.OCTOBER) == [right.id]
    assert faults(town) == []


def test_a_cancellation_is_repeated_by_its_key_and_made_once(town, clock):
    issue(town, clock, bill(1), receipt(1, 5))
    first = cancel(town, clock, "R-2026-000001")

    again = cancel(town, clock, "R-2026-000001")

    assert again == replace(first, new=False)
    with pytest.raises(AlreadyCancelled):
        cancel(town, clock, "R-2026-000001", key="cancel:2")
    with pytest.raises(NotCancellable):
        cancel(town, clock, first.number, key="cancel:3")
    assert faults(town) == []


def test_what_is_stored_is_what_was_shown(town, clock):
    (issued,) = issue(town, clock, bill(1))

    with town.reading() as session:
        document = store.document_by_number(session, SYSTEM, issued.number)

    assert document.is_intact
    assert document.account_number == "А/001"
    assert document.issued_at == clock.now()
    assert PaymentDocument.from_snapshot(document.snapshot) == samples.debtor().numbered(
        issued.number
    )


@pytest.mark.parametrize(
    "change",
    [
        {"snapshot": "{}"},
        {"issued_at": datetime(2026, 1, 1, tzinfo=UTC)},
        {"language": "en"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_document_changed_behind_our_back_is_found(town, clock, change):
    issue(town, clock, bill(1), bill(2))

    with town.writing() as session:
        lift_guards(session, ("document",))
        session.execute(
            update(DocumentRow).where(DocumentRow.number == "2026-000002").values(change)
        )

    assert [number for number, _ in faults(town)] == ["2026-000002"]


def test_a_document_that_vanished_is_found(town, clock):
    issue(town, clock, bill(1), bill(2), bill(3))

    with town.writing() as session:
        lift_guards(session, ("document",))
        session.execute(text("DELETE FROM document WHERE number = '2026-000002'"))

    assert faults(town) == [("2026-000003", "The numbers of this kind and year have a gap.")]


def test_a_transaction_that_fails_leaves_no_gap(town, clock):
    def issue_and_fail():
        with town.writing() as session:
            service.issue_documents(session, IssueOrder((bill(1),), NOVEMBER_3), clock)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        issue_and_fail()

    (document,) = issue(town, clock, bill(2))

    assert document.number == "2026-000001"
    assert faults(town) == []


def test_two_writers_at_once_leave_neither_gap_nor_double(town, clock):
    start = threading.Barrier(2)

    def write(account_ids):
        start.wait()
        for account_id in account_ids:
            issue(town, clock, bill(account_id), receipt(account_id, account_id))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, [(1, 2, 3), (3, 4, 1)]))

    with town.reading() as session:
        numbers = [d.number for d in store.iterate_documents(session, samples.OCTOBER)]
    assert sorted(numbers) == [f"2026-{n:06d}" for n in range(1, 5)]
    assert faults(town) == []


def company(number):
    return Scope(Role.COMPANY, "user:9", company_ids=frozenset({CompanyId(number)}))


SCOPES = {
    "the retailer": (SYSTEM, {1, 2, 3, 4}),
    "a company": (company(2), {3, 4}),
    "a building": (
        Scope(Role.COMPANY, "user:8", building_ids=frozenset({BuildingId(1)})),
        {1, 2},
    ),
    "a resident": (Scope(Role.RESIDENT, "user:7", account_ids=frozenset({AccountId(3)})), {3}),
    "nobody": (Scope(Role.RESIDENT, "user:6"), set()),
}


@pytest.mark.parametrize(("scope", "reached"), SCOPES.values(), ids=SCOPES)
def test_a_scope_reaches_the_documents_of_its_own_accounts_alone(town, clock, scope, reached):
    issued = issue(town, clock, *[bill(account_id) for account_id in (1, 2, 3, 4)])

    for document in issued:
        with town.reading() as session:
            listed = store.documents_of(session, scope, document.account_id)
            assert bool(listed) == (document.account_id in reached)
            if document.account_id in reached:
                found = store.document_by_number(session, scope, document.number)
                assert found.id == document.id
            else:
                with pytest.raises(NotFound):
                    store.document_by_number(session, scope, document.number)
                with pytest.raises(NotFound):
                    jobs.document_pdf(town, scope, document.number)


def test_a_company_cannot_cancel_what_it_cannot_see(town, clock):
    issue(town, clock, bill(1))

    with pytest.raises(NotFound):
        cancel(town, clock, "2026-000001", scope=company(2))


def test_the_documents_of_an_account_come_latest_first(town, clock):
    issue(town, clock, bill(1, Month(2026, 9)), receipt(1, 1), bill(2))
    issue(town, clock, bill(1))

    with town.reading() as session:
        all_kinds = store.documents_of(session, SYSTEM, AccountId(1))
        bills = store.documents_of(
            session, SYSTEM, AccountId(1), kind=DocumentKind.PAYMENT_DOCUMENT
        )

    assert [d.number for d in all_kinds] == ["2026-000003", "R-2026-000001", "2026-000001"]
    assert [d.month for d in bills] == [Month(2026, 10), Month(2026, 9)]


def test_the_digest_depends_on_everything_that_is_shown():
    parts = (DocumentKind.RECEIPT, "R-1", datetime(2026, 1, 1, tzinfo=UTC), "ru", "{}")
    others = (DocumentKind.CANCELLATION, "R-2", datetime(2026, 1, 2, tzinfo=UTC), "en", "{ }")

    digests = {document_digest(*parts)} | {
        document_digest(*parts[:place], other, *parts[place + 1 :])
        for place, other in enumerate(others)
    }

    assert len(digests) == 6


class Inline(Executor):
    """Runs a task where it is submitted and remembers how many were."""

    def __init__(self):
        self.submitted = 0

    def submit(self, fn, /, *args, **kwargs):
        self.submitted += 1
        future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - what an executor does
            future.set_exception(error)
        return future


def test_a_month_is_written_one_file_a_live_document(town, clock, tmp_path):
    issue(town, clock, *[bill(account_id) for account_id in (1, 2, 3)], receipt(1, 1))
    cancel(town, clock, "2026-000002")
    seen = []

    count = jobs.write_pdfs(
        town,
        Inline(),
        month=samples.OCTOBER,
        folder=tmp_path / "documents",
        progress=lambda done, total: seen.append((done, total)),
    )

    assert count == 2
    assert seen[-1] == (2, 2)
    files = sorted(file.name for file in (tmp_path / "documents").iterdir())
    assert files == ["2026-000001_А_001.pdf", "2026-000003_А_003.pdf"]
    with town.reading() as session:
        document = store.document_by_number(session, SYSTEM, "2026-000001")
    assert (tmp_path / "documents" / files[0]).read_bytes() == jobs.document_pdf(
        town, SYSTEM, document.number
    )


def test_a_repeated_job_makes_only_what_is_missing_or_broken(town, clock, tmp_path):
    issue(town, clock, *[bill(account_id) for account_id in (1, 2, 3)])
    order = {"month": samples.OCTOBER, "folder": tmp_path / "pdf"}
    jobs.write_pdfs(town, Inline(), **order)
    kept, broken, missing = sorted((tmp_path / "pdf").iterdir())
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    missing.unlink()
    made_at = kept.stat().st_mtime_ns

    count = jobs.write_pdfs(town, Inline(), **order)

    assert count == 3
    assert kept.stat().st_mtime_ns == made_at
    assert broken.read_bytes() == whole
    assert missing.exists()
    assert len(list((tmp_path / "pdf").iterdir())) == 3


def test_a_job_for_some_accounts_writes_theirs(town, clock, tmp_path):
    issue(town, clock, *[bill(account_id) for account_id in (1, 2, 3)])

    count = jobs.write_pdfs(
        town, Inline(), month=samples.OCTOBER, folder=tmp_path / "pdf", accounts=[AccountId(2)]
    )

    assert count == 1
    assert [file.name for file in (tmp_path / "pdf").iterdir()] == ["2026-000002_А_002.pdf"]


def test_a_cancellation_and_a_receipt_have_their_pages(town, clock):
    issue(town, clock, bill(1), receipt(1, 1))
    cancel(town, clock, "2026-000001")

    for number, word in (("C-2026-000001", "2026-000001"), ("R-2026-000001", "Это не кассовый")):
        pdf = jobs.document_pdf(town, SYSTEM, number, language=Language.RUSSIAN)
        assert word in PdfReader(BytesIO(pdf)).pages[0].extract_text()

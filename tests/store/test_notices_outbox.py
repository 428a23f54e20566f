"""The outbox on both databases: idempotent writing, leases, retries, alarms, and a real server."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from email.policy import SMTP
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, insert

from billing.models import AccountRow
from kilokassa.app.outbox import open_channel, outbox_folder, send_due
from kilokassa.app.settings import Settings
from kilokassa.core.clock import FixedClock
from kilokassa.core.scope import Role, Scope, system_scope
from kilokassa.core.text import Language
from metering.models import BuildingRow, CompanyRow, PremisesRow
from notices.channels.email import Security, SmtpChannel, SmtpServer
from notices.channels.files import FolderChannel
from notices.notice import (
    Delivery,
    Message,
    NoticeKind,
    NoticeOrder,
    NoticeState,
    Outcome,
)
from notices.rules import MAX_ATTEMPTS, Standing, Thresholds, alarm_key
from notices.service import (
    LEASE,
    AlarmOrder,
    claim_due,
    enqueue,
    enqueue_all,
    raise_alarms,
    record_failed,
    record_sent,
    release,
)
from notices.store import notices_of, outbox_counts
from tests.notices.mail_server import mail_server

KHABAROVSK = ZoneInfo("Asia/Vladivostok")
STAFF = system_scope("test")
NO = Delivery(Outcome.DEFERRED, "451 later")
YES = Delivery(Outcome.ACCEPTED, "250 ok")


@pytest.fixture
def database(database):
    add_accounts(database)
    return database


def add_accounts(database):
    """Write two accounts in two buildings of two companies."""
    with database.writing() as session:
        for n in (1, 2):
            code = f"A{n}"
            values = {
                CompanyRow: {"code": code, "name": "c"},
                BuildingRow: {
                    "code": code,
                    "address": "x",
                    "company_id": n,
                    "zone": "Asia/Vladivostok",
                },
                PremisesRow: {"building_id": n, "number": "1", "area_dm2": 5000},
                AccountRow: {
                    "number": code,
                    "payer_name": "x",
                    "premises_id": n,
                    "opened_on": date(2026, 1, 1),
                },
            }
            for table, row in values.items():
                session.execute(insert(table), {"id": n, **row})


def order(key="top-up:1", **changes):
    values = {
        "kind": NoticeKind.TOP_UP_RECEIVED,
        "account_id": 1,
        "language": Language.RUSSIAN,
        "recipient": "anna@example.org",
        "message": Message("Получено 5,00 ₽", "Текст", "<p>Текст</p>"),
        "dedupe_key": key,
        "zone": KHABAROVSK,
    }
    return NoticeOrder(**(values | changes))


def later(clock, **delta):
    return FixedClock(clock.now() + timedelta(**delta))


def put(database, clock, *orders):
    with database.writing() as session:
        return enqueue_all(session, orders, clock)


def claim(database, clock, limit=10):
    with database.writing() as session:
        return claim_due(session, limit, clock)


def summary(database, account_id=1):
    with database.reading() as session:
        return notices_of(session, STAFF, account_id)[0]


@contextmanager
def failing(database):
    """Open a writing session whose effect fails in the end."""
    with suppress(ZeroDivisionError), database.writing() as session:
        yield session
        raise ZeroDivisionError


def channel_to(inbox):
    server = SmtpServer(
        "127.0.0.1", inbox.port, "kassa@example.org", security=Security.NONE, timeout_s=5
    )
    return SmtpChannel(server)


# --- writing ---


def test_a_fact_is_written_once_in_the_words_of_the_first(database, clock):
    with database.writing() as session:
        first = enqueue(session, order(), clock)
        again = enqueue(session, order(message=Message("other", "", "")), clock)

    assert (first, again) == (True, False)
    assert summary(database).subject == "Получено 5,00 ₽"


def test_many_are_written_at_once_and_counted(database, clock):
    known = put(database, clock, *(order(f"k{n}") for n in range(3)))

    again = put(database, clock, *(order(f"k{n}") for n in range(5000)), order("k4999"))

    assert (known, again) == (3, 4997)


def test_a_notice_stands_or_falls_with_its_effect(database, clock):
    with failing(database) as session:
        enqueue(session, order(), clock)

    assert claim(database, clock) == ()


def test_two_writers_of_one_fact_write_it_once(database, clock):
    with ThreadPoolExecutor(4) as pool:
        written = list(pool.map(lambda _: put(database, clock, order()), range(8)))

    assert sorted(written) == [0] * 7 + [1]


# --- quiet hours ---


def at_local(hour, minute=0):
    return FixedClock(datetime(2026, 11, 24, hour, minute, tzinfo=KHABAROVSK).astimezone(UTC))


def test_what_is_written_at_night_waits_for_the_morning_and_a_top_up_does_not(database):
    night = at_local(22, 30)
    put(database, night, order("low", kind=NoticeKind.MONEY_LOW), order("top-up"))

    at_night = claim(database, night)
    in_the_morning = claim(database, later(night, hours=9, minutes=30))

    assert [notice.kind for notice in at_night] == [NoticeKind.TOP_UP_RECEIVED]
    assert NoticeKind.MONEY_LOW in [notice.kind for notice in in_the_morning]


def test_what_was_not_sent_before_the_night_waits_too(database):
    put(database, at_local(21), order(kind=NoticeKind.DAYS_LEFT))

    assert claim(database, at_local(22)) == ()
    assert summary(database).due_at == at_local(8).at + timedelta(days=1)
    assert len(claim(database, FixedClock(at_local(8).at + timedelta(days=1)))) == 1


# --- handing out ---


def test_a_notice_is_handed_out_once_and_again_when_its_lease_runs_out(database, clock):
    put(database, clock, order())

    first = claim(database, clock)
    meanwhile = claim(database, later(clock, minutes=14))
    again = claim(database, FixedClock(clock.now() + LEASE))

    assert [notice.attempt for notice in first] == [1]
    assert meanwhile == ()
    assert [notice.attempt for notice in again] == [2]
    assert again[0].message_id == first[0].message_id


def test_takers_at_the_same_time_share_what_is_due(database, clock):
    put(database, clock, *(order(f"k{n}") for n in range(40)))

    with ThreadPoolExecutor(4) as pool:
        claimed = list(pool.map(lambda _: claim(database, clock, 10), range(4)))

    taken = [notice.id for batch in claimed for notice in batch]
    assert len(taken) == len(set(taken))
    while batch := claim(database, clock, 10):  # a taker may have passed by rows held by another
        taken += [notice.id for notice in batch]
    assert len(taken) == len(set(taken)) == 40


def test_an_open_taker_does_not_hold_up_another_on_postgresql(postgresql_database, clock):
    add_accounts(postgresql_database)
    put(postgresql_database, clock, *(order(f"k{n}") for n in range(4)))

    with postgresql_database.writing() as one:
        first = claim_due(one, 2, clock)
        with postgresql_database.writing() as two:
            second = claim_due(two, 10, clock)

    assert len(first) == len(second) == 2
    assert not {n.id for n in first} & {n.id for n in second}


def test_what_was_taken_and_not_tried_counts_as_never_taken(database, clock):
    put(database, clock, order())
    taken = claim(database, clock)

    with database.writing() as session:
        release(session, taken, clock.now() + timedelta(minutes=1))

    assert summary(database).state is NoticeState.PENDING
    assert summary(database).attempts == 0
    assert claim(database, clock) == ()
    assert len(claim(database, later(clock, minutes=1))) == 1


# --- recording ---


def test_a_sent_notice_keeps_its_proof_and_is_never_due_again(database, clock):
    put(database, clock, order())
    (notice,) = claim(database, clock)

    with database.writing() as session:
        record_sent(session, notice, YES, later(clock, seconds=2))

    found = summary(database)
    assert (found.state, found.proof) == (NoticeState.SENT, "250 ok")
    assert found.sent_at == clock.now() + timedelta(seconds=2)
    assert found.due_at is None
    assert claim(database, later(clock, days=30)) == ()


def test_a_failure_is_tried_again_after_a_growing_pause_and_given_up_in_the_end(database, clock):
    put(database, clock, order())
    pauses = []
    now = clock

    for _ in range(MAX_ATTEMPTS):
        (notice,) = claim(database, now)
        with database.writing() as session:
            state = record_failed(session, notice, NO, now, jitter=0)
        pauses.append(summary(database).due_at)
        if state is NoticeState.FAILED:
            assert claim(database, now) == ()
            now = FixedClock(pauses[-1])

    found = summary(database)
    assert found.state is NoticeState.GIVEN_UP
    assert found.attempts == MAX_ATTEMPTS
    assert found.last_error == "451 later"
    assert pauses[:2] == [
        clock.now() + timedelta(seconds=30),
        clock.now() + timedelta(seconds=90),
    ]
    assert claim(database, later(clock, days=30)) == ()


def test_a_final_refusal_is_not_tried_again(database, clock):
    put(database, clock, order())
    (notice,) = claim(database, clock)

    with database.writing() as session:
        refused = Delivery(Outcome.REFUSED, "550 no such user")
        assert record_failed(session, notice, refused, clock, jitter=0) is NoticeState.GIVEN_UP

    assert claim(database, later(clock, days=30)) == ()


def test_a_taker_that_comes_late_cannot_fail_what_another_took(database, clock):
    put(database, clock, order())
    (slow,) = claim(database, clock)
    now = FixedClock(clock.now() + LEASE)
    (other,) = claim(database, now)

    with database.writing() as session:
        assert record_failed(session, slow, NO, now, jitter=0) is None
        release(session, [slow], now.now())
        assert record_sent(session, slow, YES, now)  # it did go out, and that is the truth
        assert not record_sent(session, other, replace(YES, answer="250 twice"), now)

    assert summary(database).proof == "250 ok"


def test_what_is_taken_again_and_again_without_an_answer_is_given_up(database, clock):
    put(database, clock, order())
    now = clock

    for _ in range(MAX_ATTEMPTS):
        assert len(claim(database, now)) == 1
        now = FixedClock(now.now() + LEASE)

    assert claim(database, now) == ()
    assert summary(database).state is NoticeState.GIVEN_UP


# --- alarms ---


def alarms(database, clock, *standings):
    with database.writing() as session:
        return raise_alarms(session, AlarmOrder(standings, Thresholds()), clock)


def test_an_alarm_is_raised_once_an_episode_and_remembered(database, clock):
    told = [
        [(a.account_id, a.kind, a.episode) for a in alarms(database, clock, *standings)]
        for standings in (
            (Standing(1, 299_99, 40), Standing(2, 5000_00, 5)),
            (Standing(1, 100_00, 40), Standing(2, 4000_00, 3)),
            (Standing(1, 5000_00, 40), Standing(2, 5000_00, 40)),
            (Standing(1, 1_00, 40), Standing(2, 5000_00, 40)),
        )
    ]

    assert told == [
        [(1, NoticeKind.MONEY_LOW, 1), (2, NoticeKind.DAYS_LEFT, 1)],
        [],
        [],
        [(1, NoticeKind.MONEY_LOW, 2)],
    ]


def test_an_alarm_and_its_notice_fall_together(database, clock):
    with failing(database) as session:
        raise_alarms(session, AlarmOrder((Standing(1, 0, None),)), clock)

    (alarm,) = alarms(database, clock, Standing(1, 0, None))
    assert alarm_key(alarm.kind, alarm.account_id, alarm.episode) == "money_low:1:1"


def test_alarms_of_thousands_are_judged_in_few_statements(database, clock):
    standings = [Standing(1 + n, 0 if n < 2 else 5000_00, 40) for n in range(10_000)]
    statements = []
    event.listen(database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    raised = alarms(database, clock, *standings)

    assert len(raised) == 2
    assert len(statements) < 10


def test_an_account_that_stands_twice_in_one_order_is_judged_in_turn(database, clock):
    raised = alarms(database, clock, Standing(1, 0, None), Standing(1, 0, None))

    assert len(raised) == 1


# --- looking ---


def test_notices_are_seen_through_the_scope(database, clock):
    put(database, clock, order("a"), order("b", account_id=2))
    resident = Scope(role=Role.RESIDENT, actor="user:1", account_ids=frozenset({1}))
    company = Scope(role=Role.COMPANY, actor="user:2", company_ids=frozenset({2}))
    nobody = Scope(role=Role.RESIDENT, actor="user:3")

    with database.reading() as session:
        seen = {
            name: [len(notices_of(session, scope, account)) for account in (1, 2)]
            for name, scope in {
                "staff": STAFF,
                "resident": resident,
                "company": company,
                "nobody": nobody,
            }.items()
        }
        counts = outbox_counts(session, company)

    assert seen == {"staff": [1, 1], "resident": [1, 0], "company": [0, 1], "nobody": [0, 0]}
    assert counts.by_state == {NoticeState.PENDING: 1}
    assert counts.oldest_due_at == clock.now()


def test_the_latest_notices_come_first_and_no_more_than_asked_for(database, clock):
    for n in range(5):
        put(database, clock, order(f"k{n}", message=Message(str(n), "", "")))

    with database.reading() as session:
        found = notices_of(session, STAFF, 1, limit=2)

    assert [notice.subject for notice in found] == ["4", "3"]


# --- sending ---


def test_a_real_server_takes_what_is_due_and_nothing_twice(database, clock):
    put(database, clock, order("a"), order("b", recipient="boris@example.org"))

    with mail_server() as inbox:
        first = send_due(database, channel_to(inbox), clock)
        again = send_due(database, channel_to(inbox), clock)

    assert (first.sent, again.tried) == (2, 0)
    assert sorted(inbox.recipients) == ["anna@example.org", "boris@example.org"]
    assert len(inbox.connections) == 1
    assert summary(database).proof == "250 queued as 4711"


def test_a_server_that_refuses_and_then_accepts_gets_it_in_the_end(database, clock):
    put(database, clock, order())

    with mail_server() as inbox:
        inbox.data_answers.append("451 greylisted")
        refused = send_due(database, channel_to(inbox), clock, jitter=lambda: 0)
        too_early = send_due(database, channel_to(inbox), later(clock, seconds=29))
        taken = send_due(database, channel_to(inbox), later(clock, seconds=30))

    assert (refused.failed, too_early.tried, taken.sent) == (1, 0, 1)
    assert len(inbox.mails) == 1
    assert summary(database).attempts == 2


def test_a_dead_server_costs_one_attempt_and_the_others_wait(database, clock):
    put(database, clock, *(order(f"k{n}") for n in range(3)))
    with mail_server() as inbox:
        pass

    result = send_due(database, channel_to(inbox), clock, jitter=lambda: 0)

    assert (result.sent, result.failed) == (0, 1)
    assert "ConnectionRefusedError" in result.unreachable
    with database.reading() as session:
        attempts = sorted(notice.attempts for notice in notices_of(session, STAFF, 1))
    assert attempts == [0, 0, 1]
    assert claim(database, clock) == ()
    assert len(claim(database, later(clock, minutes=1))) == 3


def test_one_bad_address_does_not_hold_up_the_others(database, clock):
    put(database, clock, order("a", recipient="x@y\r\nBcc: all@example.org"), order("b"))

    with mail_server() as inbox:
        result = send_due(database, channel_to(inbox), clock)

    assert (result.sent, result.given_up) == (1, 1)
    assert inbox.recipients == ["anna@example.org"]


def test_no_more_are_sent_than_asked_for(database, clock, tmp_path):
    put(database, clock, *(order(f"k{n}") for n in range(50)))
    channel = FolderChannel(tmp_path / "outbox", sender="outbox@localhost")

    first = send_due(database, channel, clock, limit=30)
    rest = send_due(database, channel, clock)

    assert (first.sent, rest.sent) == (30, 20)
    assert len(list((tmp_path / "outbox").iterdir())) == 50


def test_a_document_goes_along_as_a_pdf_made_outside_of_any_transaction(database, clock, tmp_path):
    put(database, clock, order(document_number="R-2026-000012"))

    def pdf(notice):
        with database.writing():  # would wait for ever if the outbox held a transaction open
            return b"%PDF " + notice.document_number.encode()

    channel = FolderChannel(tmp_path / "outbox", sender="outbox@localhost")
    send_due(database, channel, clock, attachment_for=pdf)

    (file,) = (tmp_path / "outbox").iterdir()
    (attached,) = message_from_bytes(file.read_bytes(), policy=SMTP).iter_attachments()
    assert attached.get_filename() == "R-2026-000012.pdf"
    assert attached.get_content() == b"%PDF R-2026-000012"


def test_a_letter_that_promises_a_document_does_not_go_without_it(database, clock, tmp_path):
    put(database, clock, order("a", document_number="1"), order("b"))

    def broken(notice):
        raise RuntimeError("Pango is missing")

    channel = FolderChannel(tmp_path / "outbox", sender="outbox@localhost")
    result = send_due(database, channel, clock, attachment_for=broken)

    assert (result.sent, result.failed) == (1, 1)
    with database.reading() as session:
        errors = [notice.last_error for notice in notices_of(session, STAFF, 1)]
    assert "RuntimeError: Pango is missing" in errors


def test_without_a_mail_server_notices_become_files(database, clock, tmp_path):
    settings = Settings.from_env({"KILOKASSA_VAR": str(tmp_path)})
    put(database, clock, order())

    send_due(database, open_channel(settings, sender_name="Энергосбыт"), clock)

    (file,) = outbox_folder(settings).iterdir()
    assert file.suffix == ".eml"
    assert summary(database).proof == file.name


def test_the_settings_name_the_mail_server(database, clock, tmp_path):
    with mail_server() as inbox:
        settings = Settings.from_env(
            {
                "KILOKASSA_VAR": str(tmp_path),
                "KILOKASSA_SMTP_HOST": "127.0.0.1",
                "KILOKASSA_SMTP_PORT": str(inbox.port),
                "KILOKASSA_SMTP_SECURITY": "none",
                "KILOKASSA_SMTP_SENDER": "kassa@example.org",
            }
        )
        put(database, clock, order())

        result = send_due(database, open_channel(settings, sender_name="Энергосбыт"), clock)

    assert result.sent == 1
    assert inbox.mails[0]["From"].addresses[0].display_name == "Энергосбыт"


KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from kilokassa.app.outbox import send_due
from kilokassa.core.clock import FixedClock
from kilokassa.db.session import Database
from notices.channels.files import FolderChannel

class Dying(FolderChannel):
    def deliver(self, notice, attachment=None):
        super().deliver(notice, attachment)
        os.kill(os.getpid(), signal.SIGKILL)

url, folder, at = sys.argv[1:]
channel = Dying(Path(folder), sender="outbox@localhost")
send_due(Database(url), channel, FixedClock(datetime.fromisoformat(at)))
"""


def test_a_process_killed_after_delivery_sends_again_under_the_same_message_id(
    database, clock, tmp_path
):
    """At least once: it is sent twice, never lost, and both mails bear one Message-ID."""
    put(database, clock, order())
    url = database.url.render_as_string(hide_password=False)
    first, second = tmp_path / "first", tmp_path / "second"

    died = subprocess.run(
        [sys.executable, "-c", KILLED, url, str(first), clock.now().isoformat()],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    channel = FolderChannel(second, sender="outbox@localhost")
    at_once = send_due(database, channel, clock)
    after_the_lease = send_due(database, channel, FixedClock(clock.now() + LEASE))

    assert died.returncode == -9
    assert (at_once.tried, after_the_lease.sent) == (0, 1)
    mails = [
        message_from_bytes(file.read_bytes(), policy=SMTP)
        for folder in (first, second)
        for file in folder.iterdir()
    ]
    assert len(mails) == 2
    assert mails[0]["Message-ID"] == mails[1]["Message-ID"]
    assert summary(database).state is NoticeState.SENT

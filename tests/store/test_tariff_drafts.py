"""A draft is written by one person and published by another; every step stays."""

from dataclasses import replace

import pytest

from kilokassa.core.errors import Forbidden, Invalid, NotFound
from kilokassa.core.scope import Role, Scope
from tariffs.drafts.draft import DraftState
from tariffs.drafts.service import (
    DraftChanged,
    DraftNotOpen,
    DraftStepOrder,
    DraftText,
    SecondPersonNeeded,
    publish_draft,
    return_draft,
    save_draft,
    submit_draft,
    withdraw_draft,
)
from tariffs.drafts.store import draft_by_id, drafts, drafts_of_versions
from tariffs.service import PublishOrder, VersionExists, publish_version
from tariffs.store import plan_by_code, plans, published_versions
from tariffs.yaml_fields import BadDocument
from tests.store.test_tariffs import STAFF, document

WRITER = Scope(Role.ANALYST, "user:1", whole_retailer=True)
READER = Scope(Role.ADMINISTRATOR, "user:2", whole_retailer=True)
OTHER = Scope(Role.ANALYST, "user:3", whole_retailer=True)


def begun(database, clock, text=None, scope=WRITER):
    with database.writing() as session:
        return save_draft(session, DraftText(scope, text or document()), clock)


def saved(database, clock, draft, text, scope=WRITER):
    with database.writing() as session:
        order = DraftText(scope, text, "", draft.id, draft.revision)
        return save_draft(session, order, clock)


def taken(step, database, clock, draft, scope=WRITER, note="", *, replaces=False):
    order = DraftStepOrder(scope, draft.id, draft.revision, note, replaces)
    with database.writing() as session:
        return step(session, order, clock)


def submitted(database, clock, **options):
    return taken(submit_draft, database, clock, begun(database, clock, **options))


def test_a_second_person_publishes_what_the_first_wrote(database, clock):
    draft = submitted(database, clock)

    done = taken(publish_draft, database, clock, draft, READER)

    assert done.new
    with database.reading() as session:
        found = drafts_of_versions(session, READER, [done.version_id])[done.version_id]
        (version,) = published_versions(session, plan_by_code(session, "single").id)
        assert drafts(session, READER) == ()
        assert len(drafts(session, READER, all_states=True)) == 1
    assert found.state is DraftState.PUBLISHED
    assert found.authors == ("user:1",)
    assert [step.kind for step in found.steps] == ["created", "submitted", "published"]
    assert version.published_by == "user:2"
    assert version.document == document()


@pytest.mark.parametrize("role", [Role.ANALYST, Role.ADMINISTRATOR])
def test_who_wrote_a_text_does_not_publish_it_whatever_the_role(database, clock, role):
    scope = replace(WRITER, role=role)
    draft = submitted(database, clock, scope=scope)

    with pytest.raises(SecondPersonNeeded):
        taken(publish_draft, database, clock, draft, scope)

    with database.reading() as session:
        assert plans(session) == ()
        assert draft_by_id(session, scope, draft.id).state is DraftState.SUBMITTED


def test_who_once_wrote_a_part_stays_an_author(database, clock):
    draft = begun(database, clock)
    draft = saved(database, clock, draft, document(rate="6.00"), READER)
    draft = saved(database, clock, draft, document(rate="7.00"), OTHER)
    draft = taken(submit_draft, database, clock, draft, OTHER)

    for author in (WRITER, READER, OTHER):
        with pytest.raises(SecondPersonNeeded):
            taken(publish_draft, database, clock, draft, author)


def test_two_who_save_at_once_overwrite_nothing(database, clock):
    draft = begun(database, clock)
    saved(database, clock, draft, document(rate="6.00"), OTHER)

    with pytest.raises(DraftChanged) as told:
        saved(database, clock, draft, document(rate="7.00"))

    assert told.value.values["actor"] == "user:3"
    with database.reading() as session:
        assert draft_by_id(session, WRITER, draft.id).document == document(rate="6.00")


def test_a_text_that_was_changed_after_it_was_read_is_not_published(database, clock):
    read = submitted(database, clock)
    changed = saved(database, clock, read, document(rate="0.01"))
    again = taken(submit_draft, database, clock, changed)

    with pytest.raises(DraftChanged):
        taken(publish_draft, database, clock, read, READER)

    assert again.revision > read.revision


def test_saving_the_same_text_changes_nothing_and_keeps_it_waiting(database, clock):
    draft = submitted(database, clock)

    again = saved(database, clock, draft, document().replace("\n", "\r\n"), OTHER)

    assert again == draft


def test_a_returned_draft_is_written_again_with_the_reason_beside_it(database, clock):
    draft = submitted(database, clock)
    with pytest.raises(Invalid):
        taken(return_draft, database, clock, draft, READER, "  ")

    back = taken(return_draft, database, clock, draft, READER, "источник?")

    assert back.state is DraftState.WRITING
    assert back.steps[-1].note == "источник?"
    with pytest.raises(DraftNotOpen):
        taken(publish_draft, database, clock, back, READER)


def test_a_text_with_faults_is_kept_but_not_submitted(database, clock):
    draft = begun(database, clock, document(rate="-5"))

    with pytest.raises(BadDocument, match="line 8"):
        taken(submit_draft, database, clock, draft)

    with database.reading() as session:
        assert draft_by_id(session, WRITER, draft.id).document == document(rate="-5")


def test_a_version_of_the_same_date_is_replaced_only_where_both_say_so(database, clock):
    with database.writing() as session:
        publish_version(session, PublishOrder(STAFF, document()), clock)
    draft = begun(database, clock, document(rate="6.00"))
    with pytest.raises(VersionExists):
        taken(submit_draft, database, clock, draft)
    draft = taken(submit_draft, database, clock, draft, replaces=True)
    with pytest.raises(VersionExists):
        taken(publish_draft, database, clock, draft, READER)

    taken(publish_draft, database, clock, draft, READER, replaces=True)

    with database.reading() as session:
        found = published_versions(session, plan_by_code(session, "single").id)
    assert [one.revision for one in found] == [2, 1]


def test_a_withdrawn_draft_stays_readable_and_still(database, clock):
    draft = taken(withdraw_draft, database, clock, begun(database, clock))

    with pytest.raises(DraftNotOpen):
        saved(database, clock, draft, document(rate="6.00"))
    with pytest.raises(DraftNotOpen):
        taken(submit_draft, database, clock, draft)
    with database.reading() as session:
        assert draft_by_id(session, READER, draft.id).steps[-1].document == document()


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR])
def test_other_staff_looks_and_does_not_write(database, clock, role):
    draft = submitted(database, clock)
    staff = Scope(role, "user:9", whole_retailer=True)

    with pytest.raises(Forbidden):
        begun(database, clock, scope=staff)
    with pytest.raises(Forbidden):
        taken(publish_draft, database, clock, draft, staff)

    with database.reading() as session:
        assert draft_by_id(session, staff, draft.id).id == draft.id


@pytest.mark.parametrize("role", [Role.COMPANY, Role.RESIDENT])
def test_others_do_not_know_of_drafts(database, clock, role):
    draft = submitted(database, clock)
    outsider = Scope(role, "user:9")

    with database.reading() as session, pytest.raises((Forbidden, NotFound)):
        draft_by_id(session, outsider, draft.id)
    with database.reading() as session, pytest.raises((Forbidden, NotFound)):
        drafts(session, outsider)


@pytest.mark.parametrize("text", ["x" * (256 * 1024 + 1), "a\x00b"])
def test_what_is_no_text_of_a_tariff_is_not_even_a_draft(database, clock, text):
    with pytest.raises(Invalid):
        begun(database, clock, text)

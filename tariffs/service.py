"""Use cases of tariffs: publish a version."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from kilokassa.core.clock import Clock
from kilokassa.core.errors import DomainError
from kilokassa.core.ids import TariffPlanId, TariffVersionId
from kilokassa.core.scope import Right, Scope
from kilokassa.db.locks import wait_for
from tariffs.documents import parse_tariff
from tariffs.models import TariffPlanRow, TariffVersionRow
from tariffs.plans import TariffVersion


class VersionExists(DomainError):
    """Another version of the plan was published for the same date."""

    code = "version_exists"
    template = "The plan %(plan)s has another version from %(day)s; say that this one replaces it."


@dataclass(frozen=True, slots=True)
class PublishOrder:
    """A tariff document to publish; `replaces` allows a second one for the same date."""

    scope: Scope
    document: str
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Publication:
    """What publishing did."""

    plan_id: TariffPlanId
    version_id: TariffVersionId
    version: TariffVersion
    new: bool


def publish_version(session: Session, order: PublishOrder, clock: Clock) -> Publication:
    """Publish a version for ever; the same document again changes nothing."""
    order.scope.demand(Right.PUBLISH_TARIFFS)
    version = parse_tariff(order.document)
    # Two who publish for one plan come one after the other, so revisions count without a gap.
    wait_for(session, f"tariff plan {version.plan_code}")
    plan = session.scalars(
        select(TariffPlanRow).where(TariffPlanRow.code == version.plan_code)
    ).one_or_none()
    if plan is None:
        plan = TariffPlanRow(
            code=version.plan_code,
            name=version.name,
            name_en=version.name_en,
            created_at=clock.now(),
        )
        session.add(plan)
        session.flush()
    latest = clashing_version(session, version)
    if latest is not None and latest.digest == version.digest:
        return Publication(TariffPlanId(plan.id), TariffVersionId(latest.id), version, new=False)
    if latest is not None and not order.replaces:
        raise VersionExists(plan=version.plan_code, day=str(version.valid_from))
    row = TariffVersionRow(
        plan_id=plan.id,
        valid_from=version.valid_from,
        revision=1 if latest is None else latest.revision + 1,
        document=order.document,
        digest=version.digest,
        published_at=clock.now(),
        published_by=order.scope.actor,
    )
    session.add(row)
    session.flush()
    return Publication(TariffPlanId(plan.id), TariffVersionId(row.id), version, new=True)


def clashing_version(session: Session, version: TariffVersion) -> TariffVersionRow | None:
    """Return what was published last for the same plan and date."""
    return session.scalars(
        select(TariffVersionRow)
        .join(TariffPlanRow, TariffPlanRow.id == TariffVersionRow.plan_id)
        .where(
            TariffPlanRow.code == version.plan_code,
            TariffVersionRow.valid_from == version.valid_from,
        )
        .order_by(TariffVersionRow.revision.desc())
    ).first()

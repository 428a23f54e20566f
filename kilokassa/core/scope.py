"""Whose things an actor may see and touch: a value every personal look-up takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kilokassa.core.errors import Forbidden
from kilokassa.core.ids import AccountId, BuildingId, CompanyId
from kilokassa.core.text import mark


class Role(StrEnum):
    """What a user is for; a user has exactly one."""

    ADMINISTRATOR = "administrator"
    OPERATOR = "operator"
    ANALYST = "analyst"
    AUDITOR = "auditor"
    COMPANY = "company"
    RESIDENT = "resident"


class Right(StrEnum):
    """One kind of deed; a page, route or command names the one it needs."""

    VIEW = "view"
    VIEW_STAFF = "view_staff"
    IMPORT_READINGS = "import_readings"
    SUBMIT_READINGS = "submit_readings"
    CHOOSE_PLAN = "choose_plan"
    MANAGE_METERS = "manage_meters"
    WORK_FINDINGS = "work_findings"
    RECORD_QUALITY = "record_quality"
    MANAGE_ACCOUNTS = "manage_accounts"
    MANAGE_WALLETS = "manage_wallets"
    PUBLISH_TARIFFS = "publish_tariffs"
    RUN_BILLING = "run_billing"
    MANAGE_USERS = "manage_users"
    AUDIT = "audit"


DEEDS: Final[Mapping[Right, str]] = {
    Right.VIEW: mark("look at accounts"),
    Right.VIEW_STAFF: mark("open the console"),
    Right.IMPORT_READINGS: mark("take readings in"),
    Right.SUBMIT_READINGS: mark("submit readings"),
    Right.CHOOSE_PLAN: mark("choose the plan of an account"),
    Right.MANAGE_METERS: mark("manage meters"),
    Right.WORK_FINDINGS: mark("close findings"),
    Right.RECORD_QUALITY: mark("record the quality of a service"),
    Right.MANAGE_ACCOUNTS: mark("manage accounts"),
    Right.MANAGE_WALLETS: mark("manage wallets"),
    Right.PUBLISH_TARIFFS: mark("publish tariffs"),
    Right.RUN_BILLING: mark("run the billing"),
    Right.MANAGE_USERS: mark("manage users"),
    Right.AUDIT: mark("audit"),
}
"""What each right is for, as a refusal names it."""

RIGHTS: dict[Role, frozenset[Right]] = {
    Role.ADMINISTRATOR: frozenset(Right),
    Role.OPERATOR: frozenset(
        {
            Right.VIEW,
            Right.VIEW_STAFF,
            Right.IMPORT_READINGS,
            Right.SUBMIT_READINGS,
            Right.CHOOSE_PLAN,
            Right.MANAGE_METERS,
            Right.WORK_FINDINGS,
            Right.RECORD_QUALITY,
            Right.MANAGE_ACCOUNTS,
            Right.MANAGE_WALLETS,
            Right.RUN_BILLING,
        }
    ),
    Role.ANALYST: frozenset({Right.VIEW, Right.VIEW_STAFF, Right.PUBLISH_TARIFFS}),
    Role.AUDITOR: frozenset({Right.VIEW, Right.VIEW_STAFF, Right.AUDIT}),
    Role.COMPANY: frozenset(
        {
            Right.VIEW,
            Right.VIEW_STAFF,
            Right.IMPORT_READINGS,
            Right.WORK_FINDINGS,
            Right.RECORD_QUALITY,
        }
    ),
    Role.RESIDENT: frozenset({Right.VIEW, Right.SUBMIT_READINGS, Right.CHOOSE_PLAN}),
}


@dataclass(frozen=True, slots=True)
class Scope:
    """What an actor may reach: all of the retailer, or some companies, buildings or accounts.

    Where `whole_retailer` is false, an account is in scope when it is named itself, or when its
    building, or its building's management company, is. An empty scope reaches nothing.
    """

    role: Role
    actor: str
    whole_retailer: bool = False
    company_ids: frozenset[CompanyId] = frozenset()
    building_ids: frozenset[BuildingId] = frozenset()
    account_ids: frozenset[AccountId] = frozenset()

    def may(self, right: Right) -> bool:
        """Say whether the role carries `right` at all; the object is judged by the query."""
        return right in RIGHTS[self.role]

    def demand(self, right: Right) -> None:
        """Refuse where the role lacks `right`."""
        if not self.may(right):
            raise Forbidden(action=DEEDS[right])


def system_scope(actor: str) -> Scope:
    """Return the scope of the installation itself: jobs, the command line, the demo."""
    return Scope(role=Role.ADMINISTRATOR, actor=actor, whole_retailer=True)

"""The one place where a scope becomes a condition on rows (`design.md`, decision 18)."""

from typing import Any

from sqlalchemy import ColumnElement, column, or_, select, table, true
from sqlalchemy.sql.expression import ColumnClause

from kilokassa.core.scope import Scope

_account = table("account", column("id"), column("premises_id"), column("closed_on"))
_premises = table("premises", column("id"), column("building_id"))
_building = table("building", column("id"), column("company_id"))


def account_in_scope(
    account_id: ColumnElement[int] | ColumnClause[int], scope: Scope
) -> ColumnElement[bool]:
    """Return the condition that the account in `account_id` is one that `scope` reaches."""
    if scope.whole_retailer:
        return true()
    of_buildings = (
        select(_account.c.id)
        .join(_premises, _premises.c.id == _account.c.premises_id)
        .join(_building, _building.c.id == _premises.c.building_id)
        .where(
            or_(
                _building.c.company_id.in_(sorted(scope.company_ids)),
                _building.c.id.in_(sorted(scope.building_ids)),
            )
        )
    )
    return or_(account_id.in_(sorted(scope.account_ids)), account_id.in_(of_buildings))


def building_in_scope(
    building_id: ColumnElement[int] | ColumnClause[int], scope: Scope
) -> ColumnElement[bool]:
    """Return the condition that the building is one that `scope` reaches as a whole.

    A scope of single accounts reaches no building: a resident does not see the house's own data.
    """
    if scope.whole_retailer:
        return true()
    of_companies = select(_building.c.id).where(
        _building.c.company_id.in_(sorted(scope.company_ids))
    )
    return or_(building_id.in_(sorted(scope.building_ids)), building_id.in_(of_companies))


def premises_in_scope(
    premises_id: ColumnElement[Any] | ColumnClause[Any], scope: Scope
) -> ColumnElement[bool]:
    """Return the condition that the premises lie in reach: by their building, or by an account.

    An account that was closed reaches nothing: others live there now.
    """
    if scope.whole_retailer:
        return true()
    of_buildings = select(_premises.c.id).where(building_in_scope(_premises.c.building_id, scope))
    of_accounts = select(_account.c.premises_id).where(
        _account.c.id.in_(sorted(scope.account_ids)), _account.c.closed_on.is_(None)
    )
    return or_(premises_id.in_(of_buildings), premises_id.in_(of_accounts))

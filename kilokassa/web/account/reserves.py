"""A resident sets own money aside for a term, sees what it earns, and takes it out again."""

from flask.typing import ResponseReturnValue

from kilokassa.web import reserves as pages
from kilokassa.web.visit import account_of, visit

SECTION = "account"


def reserves(number: str) -> ResponseReturnValue:
    """Show what is set aside, and the offers."""
    here = visit()
    return pages.reserves_page(here, account_of(here, number)[0], SECTION)


def new_reserve(number: str) -> ResponseReturnValue:
    """Calculate before signing; sign."""
    here = visit()
    return pages.new_reserve_page(here, account_of(here, number)[0], SECTION)


def reserve(number: str, reserve_id: int) -> ResponseReturnValue:
    """Show one reserve."""
    here = visit()
    return pages.reserve_page(here, account_of(here, number)[0], SECTION, reserve_id)


def add_to_reserve(number: str, reserve_id: int) -> ResponseReturnValue:
    """Set more aside."""
    here = visit()
    return pages.add_to_reserve(here, account_of(here, number)[0], SECTION, reserve_id)


def take_out_of_reserve(number: str, reserve_id: int) -> ResponseReturnValue:
    """Show what taking out costs; take out."""
    here = visit()
    return pages.take_out_page(here, account_of(here, number)[0], SECTION, reserve_id)

"""The sections of the console, as its pages lead through them; messages of the catalogue."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kilokassa.core.text import mark


@dataclass(frozen=True, slots=True)
class Place:
    """A page of a section; the first endpoint that an actor may open is where its link leads."""

    endpoints: tuple[str, ...]
    name: str


@dataclass(frozen=True, slots=True)
class Link:
    """A place as one actor sees it."""

    endpoint: str
    name: str
    places: tuple["Link", ...] = ()
    """Of a section: its pages."""

    def holds(self, endpoint: str) -> bool:
        """Say whether `endpoint` is this place, or one of its own."""
        return endpoint == self.endpoint or any(place.holds(endpoint) for place in self.places)


SECTIONS: Final[tuple[tuple[str, tuple[Place, ...]], ...]] = (
    (mark("Overview"), (Place(("console.home",), mark("Overview")),)),
    (
        mark("Accounts"),
        (
            Place(("console.accounts",), mark("Accounts")),
            Place(("console.moves",), mark("Moves")),
        ),
    ),
    (
        mark("Payments"),
        (
            Place(("console.payments",), mark("Payments")),
            Place(("console.payment_files",), mark("Files of banks")),
            Place(("console.till",), mark("Till")),
            Place(("console.payment_orders",), mark("Orders")),
            Place(("console.refunds",), mark("Refunds")),
        ),
    ),
    (
        mark("Reserves and bonuses"),
        (
            Place(("console.all_reserves",), mark("Reserves")),
            Place(("console.reserve_offers",), mark("Offers of reserves")),
            Place(("console.reserve_costs",), mark("What reserves cost")),
            Place(("console.bonuses",), mark("Bonuses")),
        ),
    ),
    (
        mark("Debts"),
        (
            Place(("console.debtors",), mark("Debtors")),
            Place(("console.agreements",), mark("Agreements")),
        ),
    ),
    (
        mark("Notices"),
        (
            Place(("console.notices",), mark("Notices")),
            Place(("console.webhooks",), mark("Webhooks")),
        ),
    ),
    (
        mark("Metering"),
        (
            Place(("console.findings",), mark("Findings")),
            Place(("console.buildings",), mark("Registry")),
            Place(("console.import_readings", "console.export_readings"), mark("Readings")),
            Place(("console.walk_rounds",), mark("Walk-rounds")),
            Place(("console.balances",), mark("Balances")),
            Place(("console.estimates",), mark("Estimates")),
        ),
    ),
    (
        mark("Tariffs"),
        (
            Place(("console.tariffs",), mark("Tariffs")),
            Place(("console.tariff_drafts",), mark("Drafts")),
            Place(("console.price_series",), mark("Market prices")),
            Place(("console.rehearsals",), mark("Rehearsals")),
            Place(("console.services",), mark("Services of houses")),
        ),
    ),
    (
        mark("Billing"),
        (
            Place(("console.runs",), mark("Billing runs")),
            Place(("console.jobs",), mark("Jobs")),
            Place(("console.ledger",), mark("Ledger")),
            Place(("console.recalculations",), mark("Recalculations")),
            Place(("console.documents",), mark("Documents")),
        ),
    ),
)


def sections(may_open: Callable[[str], bool]) -> list[Link]:
    """Return the sections of which an actor may open something; one of a single page is that page.

    >>> [link.name for link in sections(lambda endpoint: endpoint == "console.documents")]
    ['Documents']
    """
    shown = []
    for name, places in SECTIONS:
        open_ones = tuple(
            Link(endpoint, place.name)
            for place in places
            for endpoint in [e for e in place.endpoints if may_open(e)][:1]
        )
        if len(open_ones) > 1:
            shown.append(Link(open_ones[0].endpoint, name, open_ones))
        else:
            shown.extend(open_ones)
    return shown

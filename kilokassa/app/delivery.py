"""The ways of delivery, put together: each notice goes by the channel of its own way.

A way that is not set up defers its notices in words: they wait for whoever sets it up.
"""

from collections.abc import Callable, Mapping
from typing import Final

from kilokassa.app.settings import NoticeGatewaySettings, Settings
from kilokassa.core.clock import Clock
from kilokassa.db.session import Database
from notices.channels.gateway import Gateway, GatewayChannel, StatusRules
from notices.channels.http import HttpRules
from notices.channels.webhook import Endpoint, WebhookChannel
from notices.desk.service import endpoint_to_call
from notices.notice import (
    Attachment,
    Delivery,
    DeliveryChannel,
    Notice,
    Outcome,
    Way,
)


class NoChannel:
    """A way that the installation has not set up."""

    def __init__(self, way: Way) -> None:
        self._way = way

    def deliver(self, notice: Notice, attachment: Attachment | None = None) -> Delivery:
        """Say that nothing goes this way."""
        return Delivery(Outcome.UNREACHABLE, f"no gateway is set up for {self._way}")

    def close(self) -> None:
        """Nothing is open."""


class RoutingChannel:
    """Hands each notice to the channel of its way; `lanes` are what may go side by side."""

    def __init__(self, lanes: Mapping[Way, DeliveryChannel]) -> None:
        self.lanes = dict(lanes)

    def deliver(self, notice: Notice, attachment: Attachment | None = None) -> Delivery:
        """Deliver by the way that the notice was written for."""
        return self.lanes[notice.way].deliver(notice, attachment)

    def close(self) -> None:
        """Close every channel."""
        for channel in self.lanes.values():
            channel.close()


def webhook_rules(settings: Settings) -> HttpRules:
    """Return what webhooks may call: the world by https, this machine only where it is set."""
    return HttpRules(loopback=settings.webhook_loopback)


def routed(
    mail: DeliveryChannel, settings: Settings, database: Database, clock: Clock
) -> RoutingChannel:
    """Return the router over all ways: mail as given, gateways and webhooks as set up."""
    gateways = settings.notice_gateways
    return RoutingChannel(
        {
            Way.EMAIL: mail,
            Way.SMS: _gateway(Way.SMS, gateways, clock),
            Way.MESSENGER: _gateway(Way.MESSENGER, gateways, clock),
            Way.WEBHOOK: WebhookChannel(_endpoints(database), clock, webhook_rules(settings)),
        }
    )


def status_rules(settings: NoticeGatewaySettings) -> StatusRules:
    """Return how a gateway says what became of a text."""
    usual = StatusRules()
    return StatusRules(
        fields={**usual.fields, **settings.status_fields},
        delivered=frozenset(settings.delivered) or usual.delivered,
    )


def _endpoints(database: Database) -> Callable[[str], Endpoint | None]:
    def endpoint_of(code: str) -> Endpoint | None:
        with database.reading() as session:
            return endpoint_to_call(session, code)

    return endpoint_of


def _gateway(
    way: Way, gateways: Mapping[str, NoticeGatewaySettings], clock: Clock
) -> DeliveryChannel:
    settings = gateways.get(str(way))
    if settings is None:
        return NoChannel(way)
    fields = settings.fields or USUAL_FIELDS
    gateway = Gateway(
        url=settings.url,
        key=settings.key,
        fields=fields,
        sender=settings.sender,
        as_form=settings.form,
    )
    # The administrator names it: it may stand in the own network.
    return GatewayChannel(gateway, clock, HttpRules(private=True))


USUAL_FIELDS: Final = {"recipient": "to", "text": "text", "id": "id"}

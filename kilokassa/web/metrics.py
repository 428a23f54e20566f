"""What an operator watches: how many requests, how long they take, how they end."""

from typing import Final

from flask import Flask, Response, g, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from kilokassa.core.errors import Forbidden
from kilokassa.core.scope import Right
from kilokassa.web.visit import visit

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})


class Metrics:
    """The figures of one application; a second one in the same process has its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "kilokassa_http_requests_total",
            "Requests by endpoint, method and status.",
            ("endpoint", "method", "status"),
            registry=self.registry,
        )
        self.seconds = Histogram(
            "kilokassa_http_request_seconds",
            "Time to answer a request, by endpoint.",
            ("endpoint",),
            registry=self.registry,
        )
        self.accounts = Gauge(
            "kilokassa_accounts", "Accounts of the installation.", registry=self.registry
        )
        self.findings = Gauge(
            "kilokassa_open_findings", "Findings that wait for somebody.", registry=self.registry
        )
        self.debt = Gauge(
            "kilokassa_debt_minor", "What accounts owe together, kopecks.", registry=self.registry
        )


def install_metrics(app: Flask) -> Metrics:
    """Measure every request from its start to its answer."""
    metrics = Metrics()

    @app.before_request
    def _start() -> None:
        g.timer = metrics.seconds.labels(request.endpoint or "none").time()
        g.timer.__enter__()

    @app.after_request
    def _count(answer: Response) -> Response:
        endpoint = request.endpoint or "none"
        metrics.requests.labels(endpoint, request.method, answer.status_code).inc()
        return answer

    @app.teardown_request
    def _stop(_error: BaseException | None) -> None:
        timer = g.pop("timer", None)
        if timer is not None:
            timer.__exit__(None, None, None)

    return metrics


def demand_watcher() -> None:
    """Refuse the figures to all but this machine and those who audit."""
    here = visit()
    forwarded = "X-Forwarded-For" in request.headers
    if (request.remote_addr in _LOOPBACK and not forwarded) or here.may(Right.AUDIT):
        return
    raise Forbidden(action="metrics")


def metrics_text(metrics: Metrics) -> Response:
    """Return the figures in the form that Prometheus reads."""
    return Response(generate_latest(metrics.registry), content_type=CONTENT_TYPE_LATEST)

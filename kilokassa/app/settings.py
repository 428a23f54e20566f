"""Settings, read from the environment once, at the edge; nothing else looks there."""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kilokassa.core.errors import DomainError
from kilokassa.core.text import Language, mark

PROCESS_POOL: Final = "process"


class BadSetting(DomainError):
    """A variable of the environment that cannot be used."""

    code = "bad_setting"
    template = "The variable %(name)s is %(value)s; it must be %(expected)s."

    def sentence(self, translate: Callable[[str], str]) -> str:
        """Return the sentence with what is expected, itself a template, in the same language."""
        expected = translate(self.values["expected"]) % self.values
        return translate(self.template) % (self.values | {"expected": expected})


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """The mail server that notices go through."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    security: str
    """`none`, `starttls` or `ssl`."""
    sender: str


@dataclass(frozen=True, slots=True)
class CardGatewaySettings:
    """Where a provider is asked to draw on a bound card, and the secret that both sign with."""

    code: str
    url: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """A payment provider that tells of payments by signed messages."""

    code: str
    secret: str = field(repr=False)
    tender: str = "card"
    page_url: str = ""
    """Where a resident pays; `{order}` and `{amount}` stand for the order. Empty: nowhere."""


@dataclass(frozen=True, slots=True)
class NoticeGatewaySettings:
    """A gateway of SMS or of a messenger: how it is called, and how it says what arrived."""

    url: str
    key: str = field(repr=False)
    fields: Mapping[str, str] = field(default_factory=dict)
    """Our nouns (recipient, text, id, sender, key) to its names; empty: to, text, id."""
    sender: str = ""
    form: bool = False
    status_key: str = field(default="", repr=False)
    """What it proves itself by when it says what arrived; empty: nobody may say so."""
    status_fields: Mapping[str, str] = field(default_factory=dict)
    delivered: tuple[str, ...] = ()
    """Its words for delivered; empty: delivered, read."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that an installation may set, frozen."""

    database_url: str = field(repr=False)
    var: Path
    """Where the embedded database, documents and the outbox folder live."""
    secret_key: str | None = field(repr=False)
    port: int
    workers: int
    executor: str
    """`process`, or the address of a Dask scheduler."""
    language: Language
    smtp: SmtpSettings | None
    secure_cookies: bool
    estimation_rules: Path | None = None
    """The installation's own rules of estimation, over those that come with the product."""
    late_fee_rules: Path | None = None
    """The installation's own rules of late fees, in the place of those of the product."""
    guard_sets: Path | None = None
    """The installation's own guard sets, beside or over those of the product."""
    charge_late_fees: bool = False
    """Whether late fees are charged; they are computed and shown all the same."""
    card_gateways: tuple[CardGatewaySettings, ...] = ()
    """Providers of auto top-ups."""
    bonus_ends_with_account: bool = True
    """Whether what is left of bonuses ends when the account does, or lives to its own end."""
    providers: tuple[ProviderSettings, ...] = ()
    """Those whose messages of payments are taken."""
    notice_gateways: Mapping[str, NoticeGatewaySettings] = field(default_factory=dict)
    """By `sms` and `messenger`."""
    webhook_loopback: bool = False
    """Whether webhooks may lead to this machine, without encryption: for trials alone."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read `KILOKASSA_…`; refuse a malformed one with a sentence that names the variable."""
        var = Path(environ.get("KILOKASSA_VAR") or "var").resolve()
        url = environ.get("KILOKASSA_DATABASE_URL") or f"sqlite:///{var / 'kilokassa.sqlite'}"
        if url.startswith("postgresql://"):
            url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise BadSetting(
                name="KILOKASSA_DATABASE_URL",
                value=repr(url.split("@")[-1]),
                expected=mark("sqlite:///FILE or postgresql://USER@HOST/NAME"),
            )
        secret = environ.get("KILOKASSA_SECRET_KEY") or None
        if secret is not None and len(secret) < 32:
            raise BadSetting(
                name="KILOKASSA_SECRET_KEY",
                value=f"*{len(secret)}*",
                expected=mark("32 characters or more"),
            )
        language = environ.get("KILOKASSA_LANGUAGE") or "ru"
        if language not in list(Language):
            raise BadSetting(
                name="KILOKASSA_LANGUAGE", value=repr(language), expected=mark("ru or en")
            )
        return cls(
            database_url=url,
            var=var,
            secret_key=secret,
            port=_whole(environ, "PORT", 8000, 1, 65535),
            workers=_whole(environ, "KILOKASSA_WORKERS", os.cpu_count() or 1, 1, 1024),
            executor=_executor(environ),
            language=Language(language),
            smtp=_smtp(environ),
            secure_cookies=_yes(environ, "KILOKASSA_SECURE_COOKIES"),
            estimation_rules=_file(environ, "KILOKASSA_ESTIMATION_RULES"),
            late_fee_rules=_file(environ, "KILOKASSA_LATE_FEE_RULES"),
            guard_sets=_file(environ, "KILOKASSA_GUARD_SETS"),
            charge_late_fees=_yes(environ, "KILOKASSA_CHARGE_LATE_FEES"),
            card_gateways=_card_gateways(environ),
            bonus_ends_with_account=_yes(environ, "KILOKASSA_BONUS_ENDS_WITH_ACCOUNT", "1"),
            providers=_providers(environ),
            notice_gateways=_notice_gateways(environ),
            webhook_loopback=_yes(environ, "KILOKASSA_WEBHOOK_LOOPBACK"),
        )


def _executor(environ: Mapping[str, str]) -> str:
    text = environ.get("KILOKASSA_EXECUTOR") or PROCESS_POOL
    if text != PROCESS_POOL and "://" not in text:
        raise BadSetting(
            name="KILOKASSA_EXECUTOR",
            value=repr(text),
            expected=mark("process, or a Dask scheduler's address such as tcp://HOST:8786"),
        )
    return text


def _smtp(environ: Mapping[str, str]) -> SmtpSettings | None:
    host = environ.get("KILOKASSA_SMTP_HOST")
    if not host:
        return None
    security = environ.get("KILOKASSA_SMTP_SECURITY") or "starttls"
    if security not in {"none", "starttls", "ssl"}:
        raise BadSetting(
            name="KILOKASSA_SMTP_SECURITY",
            value=repr(security),
            expected=mark("none, starttls or ssl"),
        )
    sender = environ.get("KILOKASSA_SMTP_SENDER") or ""
    if "@" not in sender:
        raise BadSetting(
            name="KILOKASSA_SMTP_SENDER", value=repr(sender), expected=mark("an e-mail address")
        )
    return SmtpSettings(
        host=host,
        port=_whole(environ, "KILOKASSA_SMTP_PORT", 587, 1, 65535),
        user=environ.get("KILOKASSA_SMTP_USER") or "",
        password=environ.get("KILOKASSA_SMTP_PASSWORD") or "",
        security=security,
        sender=sender,
    )


def _card_gateways(environ: Mapping[str, str]) -> tuple[CardGatewaySettings, ...]:
    text = environ.get("KILOKASSA_CARD_GATEWAYS")
    if not text:
        return ()
    try:
        return tuple(
            CardGatewaySettings(code, _address(one["url"]), _long_enough(one["secret"]))
            for code, one in sorted(json.loads(text).items())
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        # The value holds secrets: it is not repeated.
        raise BadSetting(
            name="KILOKASSA_CARD_GATEWAYS",
            value="***",
            expected=mark('JSON such as {"bank": {"url": "https://...", "secret": "16 or more"}}'),
        ) from None


def _providers(environ: Mapping[str, str]) -> tuple[ProviderSettings, ...]:
    text = environ.get("KILOKASSA_PROVIDERS")
    if not text:
        return ()
    try:
        return tuple(
            ProviderSettings(
                _code(code),
                _secret_of_messages(one["secret"]),
                _tender(one.get("tender", "card")),
                _page(one.get("page", "")),
            )
            for code, one in sorted(json.loads(text).items())
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        # The value holds secrets: it is not repeated.
        raise BadSetting(
            name="KILOKASSA_PROVIDERS",
            value="***",
            expected=mark(
                'JSON such as {"bank": {"secret": "32 or more", "tender": "card, sbp or bank", '
                '"page": "https://.../{order}"}}'
            ),
        ) from None


def _notice_gateways(environ: Mapping[str, str]) -> dict[str, NoticeGatewaySettings]:
    text = environ.get("KILOKASSA_NOTICE_GATEWAYS")
    if not text:
        return {}
    try:
        return {way: _notice_gateway(way, one) for way, one in sorted(json.loads(text).items())}
    except (ValueError, KeyError, TypeError, AttributeError):
        # The value holds keys: it is not repeated.
        raise BadSetting(
            name="KILOKASSA_NOTICE_GATEWAYS",
            value="***",
            expected=mark(
                'JSON such as {"sms": {"url": "https://...", "key": "...", "fields": '
                '{"recipient": "to", "text": "text", "id": "id"}, "status_key": "32 or more"}}'
            ),
        ) from None


def _notice_gateway(way: str, one: Mapping[str, Any]) -> NoticeGatewaySettings:
    if way not in {"sms", "messenger"} or not set(one) <= _GATEWAY_NAMES:
        raise ValueError("no such gateway")
    fields, status_fields = one.get("fields", {}), one.get("status_fields", {})
    names = [*fields.items(), *status_fields.items(), (one.get("sender", ""), "")]
    if not all(isinstance(text, str) for pair in names for text in pair):
        raise ValueError("names are texts")
    if not set(fields) <= {"recipient", "text", "id", "sender", "key"}:
        raise ValueError("no such noun")
    if fields and not {"recipient", "text"} <= set(fields):
        raise ValueError("a text goes to somebody")
    if not set(status_fields) <= {"id", "status", "at"}:
        raise ValueError("no such noun")
    status_key = one.get("status_key", "")
    return NoticeGatewaySettings(
        url=_address(one["url"]),
        key=str(one["key"]),
        fields=fields,
        sender=one.get("sender", ""),
        form=bool(one.get("form", False)),
        status_key=_secret_of_messages(status_key) if status_key else "",
        status_fields=status_fields,
        delivered=tuple(str(word).lower() for word in one.get("delivered", ())),
    )


_GATEWAY_NAMES: Final = frozenset(
    {"url", "key", "fields", "sender", "form", "status_key", "status_fields", "delivered"}
)


def _code(code: str) -> str:
    if re.fullmatch(r"[a-z][a-z0-9_-]{0,29}", code) is None:
        raise ValueError("a code stands in addresses")
    return code


def _secret_of_messages(secret: str) -> str:
    if len(secret) < 32:
        raise ValueError("a secret is not to be guessed")
    return secret


def _tender(tender: str) -> str:
    if tender not in {"card", "sbp", "bank"}:
        raise ValueError("no such way to pay")
    return tender


def _page(url: str) -> str:
    return _address(url) if url else ""


def _address(url: str) -> str:
    if not url.startswith(("https://", "http://localhost:", "http://127.0.0.1:")):
        raise ValueError("money is asked for over TLS")
    return url


def _long_enough(secret: str) -> str:
    if len(secret) < 16:
        raise ValueError("a secret is not to be guessed")
    return secret


def _file(environ: Mapping[str, str], name: str) -> Path | None:
    text = environ.get(name)
    if not text:
        return None
    if not Path(text).is_file():
        raise BadSetting(name=name, value=repr(text), expected=mark("the name of a file"))
    return Path(text)


def _yes(environ: Mapping[str, str], name: str, default: str = "0") -> bool:
    text = environ.get(name) or default
    if text not in {"0", "1"}:
        raise BadSetting(name=name, value=repr(text), expected=mark("0 or 1"))
    return text == "1"


def _whole(environ: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environ.get(name)
    if not text:
        return default
    if not text.isdigit() or not least <= int(text) <= most:
        raise BadSetting(
            name=name,
            value=repr(text),
            expected=mark("a number from %(least)s to %(most)s"),
            least=least,
            most=most,
        )
    return int(text)

"""Which fact deserves a notice, when it may be told, and when to try again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from kilokassa.core.ids import AccountId
from notices.notice import MACHINE_KINDS, QUIET_HOURS, NoticeKind, QuietHours

QUIET_FROM: Final = QUIET_HOURS.begins
QUIET_UNTIL: Final = QUIET_HOURS.ends

WELCOME_AT_NIGHT: Final = frozenset({NoticeKind.TOP_UP_RECEIVED, *MACHINE_KINDS})
"""What whoever just did it waits for: the answer to a payment comes at once."""

ALARM_KINDS: Final = (NoticeKind.MONEY_LOW, NoticeKind.DAYS_LEFT)

FIRST_RETRY: Final = timedelta(minutes=1)
LONGEST_RETRY: Final = timedelta(hours=6)
MAX_ATTEMPTS: Final = 18
"""With doubling pauses about two days: after that a notice about money is no news."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When money counts as low, and how much of it ends the alarm."""

    low_minor: int = 300_00
    """Available money below this is low."""
    days: int = 5
    """Money for this many days or fewer is worth a notice."""
    rearm_percent: int = 120
    """An alarm ends above this share of its threshold: a balance that wavers is told once."""

    def __post_init__(self) -> None:
        if self.low_minor < 0 or self.days < 0 or self.rearm_percent < 100:
            raise ValueError(f"thresholds are not negative, and alarms end above them: {self!r}")


@dataclass(frozen=True, slots=True)
class Standing:
    """What the alarms look at: the available money of an account, and how long it lasts."""

    account_id: AccountId
    available_minor: int
    days_left: int | None
    """None where nothing was used, so that nothing can be foretold."""
    thresholds: Thresholds | None = None
    """The account's own; None takes those of the order."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Whether an alarm stands raised; `episode` counts how often it was, from 1."""

    raised: bool = False
    episode: int = 0


@dataclass(frozen=True, slots=True)
class Judgement:
    """The alarms as they stand now, and the one notice that is due, if any."""

    alarms: Mapping[NoticeKind, Alarm]
    tell: NoticeKind | None


def judge(
    standing: Standing, alarms: Mapping[NoticeKind, Alarm], thresholds: Thresholds
) -> Judgement:
    """Return what the account's standing makes of its alarms.

    A raised alarm is silent until money has come back well above its threshold. When both are
    raised at once one notice is due, that of the money: it says both.
    """
    now = {
        NoticeKind.MONEY_LOW: _money_low(
            standing, _known(alarms, NoticeKind.MONEY_LOW), thresholds
        ),
        NoticeKind.DAYS_LEFT: _days_left(
            standing, _known(alarms, NoticeKind.DAYS_LEFT), thresholds
        ),
    }
    raised = [kind for kind in ALARM_KINDS if now[kind].episode > _known(alarms, kind).episode]
    return Judgement(now, raised[0] if raised else None)


def alarm_key(kind: NoticeKind, account_id: AccountId, episode: int) -> str:
    """Return the key under which one episode of an alarm is told once."""
    return f"{kind}:{account_id}:{episode}"


def allowed_at(
    kind: NoticeKind, at: datetime, zone: ZoneInfo, quiet: QuietHours = QUIET_HOURS
) -> datetime:
    """Return the first instant from `at` on at which a notice may be told in `zone`.

    In the quiet hours it waits for their end, unless it is welcome at night.
    """
    local = at.astimezone(zone)
    if kind in WELCOME_AT_NIGHT or not _is_quiet(local.time(), quiet):
        return at
    # Past midnight the same evening's hours are over on the next day.
    over_midnight = quiet.begins > quiet.ends and local.time() >= quiet.begins
    morning = local.date() + timedelta(days=over_midnight)
    return max(at, datetime.combine(morning, quiet.ends, tzinfo=zone).astimezone(UTC))


def _is_quiet(now: time, quiet: QuietHours) -> bool:
    if quiet.begins <= quiet.ends:
        return quiet.begins <= now < quiet.ends
    return now >= quiet.begins or now < quiet.ends


def retry_after(attempts: int, *, jitter: float) -> timedelta:
    """Return how long to wait after so many attempts: doubling, capped, and spread by `jitter`.

    `jitter` lies from 0 up to 1; half of the pause depends on it, so that what failed together
    does not come back together.

    >>> (
    ...     str(retry_after(1, jitter=0)),
    ...     str(retry_after(4, jitter=0.5)),
    ...     str(retry_after(40, jitter=0)),
    ... )
    ('0:00:30', '0:06:00', '3:00:00')
    """
    if attempts < 1 or not 0 <= jitter < 1:
        raise ValueError(f"attempts count from 1, jitter lies from 0 up to 1: {attempts}, {jitter}")
    doubled = FIRST_RETRY * (1 << min(attempts - 1, 20))
    return min(doubled, LONGEST_RETRY) * (0.5 + jitter / 2)


def _known(alarms: Mapping[NoticeKind, Alarm], kind: NoticeKind) -> Alarm:
    return alarms.get(kind, Alarm())


def _money_low(standing: Standing, alarm: Alarm, thresholds: Thresholds) -> Alarm:
    low = standing.available_minor < thresholds.low_minor
    ended = standing.available_minor * 100 > thresholds.low_minor * thresholds.rearm_percent
    return stepped(alarm, low=low, ended=ended)


def _days_left(standing: Standing, alarm: Alarm, thresholds: Thresholds) -> Alarm:
    if standing.days_left is None:
        return alarm
    few = standing.days_left <= thresholds.days
    ended = standing.days_left * 100 > thresholds.days * thresholds.rearm_percent
    return stepped(alarm, low=few, ended=ended)


def stepped(alarm: Alarm, *, low: bool, ended: bool) -> Alarm:
    """Return the alarm raised where it was not and `low` holds, or ended where `ended` does."""
    if low and not alarm.raised:
        return Alarm(raised=True, episode=alarm.episode + 1)
    if ended and alarm.raised:
        return Alarm(raised=False, episode=alarm.episode)
    return alarm

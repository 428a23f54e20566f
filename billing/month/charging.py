"""What is gathered of a month for each account: lines, what meters say, warnings, alternatives."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np
import numpy.typing as npt

from billing.charges import ENERGY_KINDS, MeterFact, NewLine, UsedEstimate
from billing.explanation.inputs import RatedIntervals
from billing.law import ESTIMATE_UNCERTAIN, VERIFICATION_EXPIRED
from billing.models import Service
from billing.month.alternatives import PlanCost, costs_of
from billing.month.energy.grids import Asked, Energy, PlanEnergy, guessed_in, own_days, summed
from billing.month.facts import digest_with, row_of
from billing.month.lines import LineContext, names_of, new_line, zoneless
from billing.month.pricing import Priced, promised_by
from kilokassa.core.digest import digest_text
from kilokassa.core.ids import AccountId
from kilokassa.core.series import Quality
from kilokassa.core.text import filled, mark
from metering.registry.at_premises import PremisesMeter
from tariffs.guarantee import alternatives_of, with_guarantee
from tariffs.lines import CannotRate, LineColumns
from tariffs.rating import VersionInForce

INTERVALS_MISSING: Final = mark("Some intervals of the month have no value; they were not charged.")
NOT_PRICED: Final = mark(
    "The tariff %(plan)s could not price the electricity, and it was not charged yet: %(problem)s."
)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is known of the month so far, by account."""

    lines: dict[AccountId, list[NewLine]]
    warnings: dict[AccountId, list[str]]
    meters: dict[AccountId, list[MeterFact]]
    alternatives: dict[AccountId, list[tuple[PlanCost, ...]]]
    beside_minor: dict[AccountId, int]
    """What stays came to whose plan is compared with nothing, of accounts with several stays."""
    refused: dict[AccountId, CannotRate]

    @classmethod
    def of(cls, account_ids: Iterable[AccountId]) -> "Gathered":
        """Return nothing known yet, of accounts."""
        ids = tuple(account_ids)
        return cls(
            lines={account_id: [] for account_id in ids},
            warnings={account_id: [] for account_id in ids},
            meters={account_id: [] for account_id in ids},
            alternatives={account_id: [] for account_id in ids},
            beside_minor={},
            refused={},
        )

    def add(self, found: Mapping[AccountId, tuple[Sequence[NewLine], Sequence[str]]]) -> None:
        """Add the lines and warnings of a subject of its own."""
        for account_id, (lines, warnings) in found.items():
            self.lines[account_id].extend(lines)
            self.warnings[account_id].extend(warnings)

    def refuse(self, account_id: AccountId, refusal: CannotRate) -> None:
        """Leave the electricity of an account uncharged, and tell why; the first reason counts."""
        if account_id not in self.refused:
            self.refused[account_id] = refusal
            self.warnings[account_id].append(filled(NOT_PRICED, **refusal.values))

    def leave_out_refused(self) -> None:
        """Take off what other stays of refused accounts came to: half a month is no charge."""
        for account_id in self.refused:
            lines = self.lines[account_id]
            lines[:] = [line for line in lines if line.service is not Service.ELECTRICITY]
            self.alternatives[account_id].clear()


def charge_rows(
    energy: Energy,
    of_plan: PlanEnergy,
    priced: Priced,
    guessed: npt.NDArray[np.bool_],
    used: Mapping[int, tuple[UsedEstimate, ...]],
    aside: Mapping[int, str],
    asked: Asked,
    gathered: Gathered,
) -> None:
    """Add the lines of accounts that have one plan over the same days."""
    columns = priced.own
    if of_plan.offers:
        columns = _with_alternatives(of_plan, priced, gathered)
    estimated = None
    here = summed(guessed, of_plan.rows, of_plan.columns) > 0
    if here.any():
        estimated = of_plan.rated(energy_wh=np.where(here, of_plan.energy_wh, 0)).quantities
    names, by_the_hour = (
        names_of(
            of_plan.versions, {plan_id: offer.versions for plan_id, offer in of_plan.offers.items()}
        ),
        zoneless(of_plan.versions),
    )
    quantities, amounts = columns.quantities.tolist(), columns.amount_minor.tolist()
    for place, (owner, rows) in enumerate(zip(of_plan.owners, of_plan.rows, strict=True)):
        methods = tuple(dict.fromkeys(one for row in rows for one in used.get(row, ())))
        if any(not one.certain for one in methods):
            gathered.warnings[owner.id].append(ESTIMATE_UNCERTAIN)
        digest = _digest_of(energy, of_plan, place, aside)
        if not of_plan.offers and len(owner.stays) > 1:
            before_minor = gathered.beside_minor.get(owner.id, 0)
            gathered.beside_minor[owner.id] = before_minor + sum(amounts[place])
        context = LineContext(
            names=names,
            zoneless=by_the_hour,
            own_day=None if of_plan.stay.first == owner.stays[0].first else of_plan.stay.first,
            input_digest=digest,
            estimates=methods,
        )
        for column, spec in enumerate(columns.specs):
            quantity, amount_minor = quantities[place][column], amounts[place][column]
            if quantity or amount_minor:
                guess = 0
                if estimated is not None and spec.kind in ENERGY_KINDS:
                    guess = int(estimated[place, column])
                gathered.lines[owner.id].append(
                    new_line(context, spec, quantity, amount_minor, guess)
                )
        if asked.inputs is not None:
            asked.inputs.intervals.append(
                RatedIntervals(
                    account_id=owner.id,
                    channels=[energy.channels[row] for row in rows],
                    versions=of_plan.versions,
                    energy_wh=of_plan.energy_wh[place : place + 1],
                    start=of_plan.start,
                    interval_min=of_plan.interval_min,
                    zone=of_plan.zone,
                    readings=digest,
                    facts=None if of_plan.facts is None else row_of(of_plan.facts, place),
                )
            )


def _digest_of(energy: Energy, of_plan: PlanEnergy, place: int, aside: Mapping[int, str]) -> str:
    """Return the digest of what an account's lines were computed from."""
    readings = []
    for row in of_plan.rows[place]:
        digest = energy.matrix.digests[row]
        readings.append(digest_text(f"{digest}|{aside[row]}") if row in aside else digest)
    one = readings[0] if len(readings) == 1 else digest_text("|".join(readings))
    return digest_with(one, None if of_plan.facts is None else row_of(of_plan.facts, place))


def _with_alternatives(of_plan: PlanEnergy, priced: Priced, gathered: Gathered) -> LineColumns:
    """Return the lines with the guarantee's, and note what other plans would have cost."""
    versions = of_plan.versions
    others: dict[str, tuple[LineColumns, Sequence[VersionInForce]]] = {}
    for plan_id, columns in priced.others.items():
        offered = of_plan.offers[plan_id].versions
        others[offered[-1][1].plan_code] = columns, offered
    known = alternatives_of(priced.own, versions, others, 1)
    for place, owner in enumerate(of_plan.owners):
        gathered.alternatives[owner.id].append(
            costs_of(known, place, versions[-1][1], others, promised_by(of_plan))
        )
    return with_guarantee(priced.own, versions, known, (of_plan.period,))


def tell_meters(
    energy: Energy,
    serials: dict[int, PremisesMeter],
    asked: Asked,
    aside: Mapping[int, str],
    gathered: Gathered,
) -> None:
    """Add what each meter measured, and warn of gaps and of a verification that ran out."""
    matrix = energy.matrix
    totals = matrix.energy_wh.sum(axis=1, dtype=np.int64).tolist()
    guessed = guessed_in(matrix)
    estimated = (
        np.where(guessed, matrix.energy_wh, 0).sum(axis=1, dtype=np.int64).tolist()
        if guessed.any()
        else [0] * len(totals)
    )
    missing = (matrix.quality == Quality.MISSING).any(axis=1).tolist()
    for row, (channel, account) in enumerate(zip(energy.channels, energy.owners, strict=True)):
        meter = serials.get(channel.point_id)
        gathered.meters[account.id].append(
            MeterFact(
                serial=meter.serial if meter else "",
                point_code=channel.point_code,
                service=Service.ELECTRICITY,
                measured=totals[row] - estimated[row],
                estimated=estimated[row],
                verified_until=None if meter is None else meter.verified_until,
            )
        )
        if not asked.closing:
            continue
        if missing[row] and (matrix.quality[row, own_days(energy, row)] == Quality.MISSING).any():
            gathered.warnings[account.id].append(INTERVALS_MISSING)
        if row not in aside and _expired(meter, asked.first):
            gathered.warnings[account.id].append(VERIFICATION_EXPIRED)


def _expired(meter: PremisesMeter | None, first: date) -> bool:
    """Say whether a meter's verification had run out before the month began."""
    if meter is None or meter.verified_until is None:
        return False
    return meter.verified_until < first

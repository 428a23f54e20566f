"""Ids of rows that subjects hold of each other, so that one cannot be passed for another."""

from typing import NewType

AccountId = NewType("AccountId", int)
BuildingId = NewType("BuildingId", int)
ChannelId = NewType("ChannelId", int)
CompanyId = NewType("CompanyId", int)
DocumentId = NewType("DocumentId", int)
JournalEntryId = NewType("JournalEntryId", int)
LotId = NewType("LotId", int)
MeterId = NewType("MeterId", int)
MeteringPointId = NewType("MeteringPointId", int)
PremisesId = NewType("PremisesId", int)
TariffPlanId = NewType("TariffPlanId", int)
TariffVersionId = NewType("TariffVersionId", int)
UserId = NewType("UserId", int)
WalletId = NewType("WalletId", int)

"""Every table of the product, gathered so that migrations and tests see all of them."""

import billing.models
import heating.models
import invoices.models
import kilokassa.app.job_runs
import kilokassa.app.users
import metering.models
import notices.models
import tariffs.models
import wallet.bonuses.models
import wallet.debts.models
import wallet.models
import wallet.payments.models
import wallet.reserves.models
from kilokassa.db.base import Base

metadata = Base.metadata

__all__ = [
    "billing",
    "heating",
    "invoices",
    "kilokassa",
    "metadata",
    "metering",
    "notices",
    "tariffs",
    "wallet",
]

"""The composition root: settings, the database and the machine's clock, put together once."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from kilokassa.app.settings import Settings
from kilokassa.core.clock import Clock, SystemClock
from kilokassa.db.session import Database


@dataclass(frozen=True, slots=True)
class Application:
    """What the edges work with."""

    settings: Settings
    database: Database
    clock: Clock

    def __post_init__(self) -> None:
        """Let the database know the installation's own rules of debts, where it has any."""
        settings = self.settings
        if settings.late_fee_rules is not None or settings.guard_sets is not None:
            from billing.debts.service import RULES_OPTION
            from kilokassa.app.debts import own_rules

            rules = own_rules(settings.late_fee_rules, settings.guard_sets)
            self.database.engine.update_execution_options(**{RULES_OPTION: rules})

    @property
    def secret_key(self) -> str:
        """The key that signs sessions: the setting, else one made once and kept in a file.

        The file is readable by its owner alone; whoever runs several machines sets the variable.
        """
        if self.settings.secret_key:
            return self.settings.secret_key
        file = self.settings.var / "secret-key"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            fresh = file.with_suffix(f".{os.getpid()}")
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as handle:
                handle.write(secrets.token_urlsafe(48))
            try:
                os.link(fresh, file)  # whoever links first wins; the others read that key
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        return file.read_text().strip()


def open_application(
    environ: Mapping[str, str] | None = None, clock: Clock | None = None
) -> Application:
    """Return the application as the environment sets it up."""
    settings = Settings.from_env(os.environ if environ is None else environ)
    return Application(settings, Database(settings.database_url), clock or SystemClock())

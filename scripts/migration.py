"""Generate the next migration step from the models: `make migration NAME=add_expiry_to_lots`.

The step is compared against an empty database that has taken all earlier steps. It is then read
and edited by a person.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from alembic import command

from kilokassa.app.schema import config_for, upgrade
from kilokassa.db.session import Database


def main() -> int:
    """Write the next step under `kilokassa/migrations/versions`."""
    name = " ".join(sys.argv[1:]).strip().replace("_", " ")
    if not re.fullmatch(r"[a-z0-9 ]+", name):
        print("say what the step does: make migration NAME=add_expiry_to_lots", file=sys.stderr)
        return 2
    folder = Path(__file__).resolve().parent.parent / "kilokassa" / "migrations"
    number = len(list((folder / "versions").glob("[0-9]*.py"))) + 1
    with tempfile.TemporaryDirectory() as temporary:
        database = Database(f"sqlite:///{temporary}/empty.sqlite")
        if number > 1:
            upgrade(database)
        config = config_for(database, str(folder))
        # Only a change of a table that exists needs to rebuild it on SQLite.
        config.attributes["batch"] = number > 1
        command.revision(
            config,
            message=name[:1].upper() + name[1:],
            autogenerate=True,
            rev_id=f"{number:04d}",
        )
    (written,) = (folder / "versions").glob(f"{number:04d}_*.py")
    lines = written.read_text().splitlines(keepends=True)
    written.write_text("".join(line for line in lines if not line.strip().startswith("# ###")))
    for arguments in (["format", "--quiet"], ["check", "--fix", "--quiet"]):
        subprocess.run([sys.executable, "-m", "ruff", *arguments, str(written)], check=False)
    print(f"{written.relative_to(folder.parent.parent)}: read it, edit it, commit it")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Export: the ledger as a file that can be audited without the database."""

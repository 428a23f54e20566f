"""Where rows rest: SQLite embedded, PostgreSQL when it grows, one URL apart.

Owns the declarative base, the column types, the two kinds of session and the one rule of who may
see an account. Invariants: instants are UTC, money is whole minor units in integer columns, a
writing session holds its lock from the first statement, a reading one refuses to write. Boundary:
knows no subject's tables.
"""

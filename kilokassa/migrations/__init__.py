"""Alembic's side: the environment, the versions and every table in one metadata."""

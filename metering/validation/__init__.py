"""Validation: readings that arrive, judged against the own past of their points."""

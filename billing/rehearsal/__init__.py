"""Rehearsal of tariffs over the stored use of a portfolio; nothing of it is posted."""

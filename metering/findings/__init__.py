"""Findings: what looks wrong in readings, and who closed it."""

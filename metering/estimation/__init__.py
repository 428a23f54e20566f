"""Estimates: what stands in for a value that was not measured, by which method and rule."""

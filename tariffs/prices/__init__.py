"""Hourly prices and named peak hours: files in, series out, every revision kept."""

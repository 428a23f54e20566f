"""Meters: their life, replacement and verification."""

"""Bonuses: rules and campaigns as data, and what they granted."""

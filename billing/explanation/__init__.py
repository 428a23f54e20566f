"""Explanations: from a charge line down to the readings it was computed from, and back again."""

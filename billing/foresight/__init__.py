"""Foresight: what the time ahead will cost an account, and until when its money lasts."""

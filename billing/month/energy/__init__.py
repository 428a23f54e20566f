"""The energy of accounts as they are rated: on one grid of intervals, by plan, with its facts."""

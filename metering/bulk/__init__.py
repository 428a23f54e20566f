"""Energy of many channels over long stretches, read as fast as the database gives it."""

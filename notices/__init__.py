"""What is told to customers: an outbox with the proof of each delivery.

Owns notices and the alarms that keep a low balance from being told twice. Invariants: a notice is
written in the transaction of the effect it tells of, or not at all; the same key is told once; its
text never changes after; a delivery that may have happened is never hidden. Boundary: knows
accounts by id alone and texts as given; the network is touched only in `notices.channels`, outside
of any transaction. Delivery is at least once: see `kilokassa.app.outbox`.
"""

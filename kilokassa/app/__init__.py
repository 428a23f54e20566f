"""The composition root: settings, wiring, the executor, users, and the tasks of long jobs.

Owns the one place where the environment is read and where the clock of the machine is made.
Boundary: pages and commands start the same tasks from here; nothing below imports it.
"""

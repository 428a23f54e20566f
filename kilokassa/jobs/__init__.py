"""What people and machines start: the `kilokassa` command and the scheduler.

Owns the command line (one module a group of commands, gathered by `cli`) and the clock that says
"look" to the jobs. Invariants: a refusal is one sentence on the standard error and the exit code 1,
never a traceback; what a program reads goes to the standard output alone; a job that runs twice
changes nothing the second time. Boundary: nothing imports it; it computes nothing itself.
"""

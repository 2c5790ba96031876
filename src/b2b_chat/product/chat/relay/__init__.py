"""Runs that other processes write: how a reader that landed here follows them, and theirs elsewhere follow ours.

    reader -> `following` (a mirror of the run) <== `bus` (Valkey's pub/sub) ==> `sharing` (the run's own process)

A run stays with the process that began it. Who needs one that is written elsewhere asks all processes at once; the one
that has it answers into the asker's inbox. Nothing is sent of a run that nobody elsewhere reads, nothing is stored in
Valkey, and where nobody answers the database says what is true.
"""

"""Runs that other processes write: how readers here follow them, and readers elsewhere follow ours.

    reader -> `following` (a mirror of the run) <== `bus` (Valkey's pub/sub) ==> `sharing` (the run's own process)

A run stays with the process that began it. A process that needs a run of another one asks all at once; the one that has
it answers into the asker's inbox. A run without readers elsewhere sends nothing, nothing is stored in Valkey, and where
no process answers the database decides.
"""

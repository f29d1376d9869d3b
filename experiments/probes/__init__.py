"""Programs that try to break the commands: kills, many processes at once, command lines that cannot work.

Each prints a table for the ledger.
"""

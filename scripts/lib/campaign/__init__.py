"""The campaign: the reference system on real servers, under load and faults, and what became of it.

Nothing in here imports the framework. It is run and operated from outside, as people would: by its
command line, its HTTP interface, signals, and the servers themselves. So no checker can share a
mistake with what it checks.
"""

"""``sagas web``: sagas seen and operated in a browser. Needs the extra ``web``.

What is shown and asked comes from ``sagas.operating``, as for the command line. No build step, nothing from
other hosts.
"""

__all__: list[str] = []

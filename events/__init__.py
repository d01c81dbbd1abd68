"""What the services of the reference system tell each other: one module per publishing service.

An event says what happened and carries what the next step needs. Amounts are integer cents. Nothing
here knows a service, a database or a broker.
"""

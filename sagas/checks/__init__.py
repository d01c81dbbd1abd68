"""What a choreography must satisfy before it runs, beyond what is refused at import: ``sagas check``.

Pure: declarations in, findings out. Nothing is connected, and no handler is run.
"""

from sagas.checks.finding import Finding, Severity
from sagas.checks.registry import CHECKS, TITLES, check
from sagas.checks.subject import Declared, Deployed, Subject, declared

__all__ = [
    "CHECKS",
    "TITLES",
    "Declared",
    "Deployed",
    "Finding",
    "Severity",
    "Subject",
    "check",
    "declared",
]

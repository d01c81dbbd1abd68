"""``python -m demo``, which ends without a word when it is interrupted before it has begun."""

import signal

signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the event loop has a handler of its own

from demo.main import main  # noqa: E402

main()

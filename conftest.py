"""What holds for every test of the workspace."""

import signal

# A shell that starts pytest in the background makes it deaf to Ctrl-C, and every program that a test starts with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

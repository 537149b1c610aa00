"""Runs the test of a clause: the suite class, the trial, the harness, the clock and the watchdog."""

"""Runs the test of a clause: suite class, trial, harness, clock and watchdog."""

"""Helpers that several tests share. This package has no tests."""

"""The tests that `igniter-conformance run` runs: a real file, for pytest to collect, with the class
that the command line named.
"""

from igniter_store_conformance.cli.harness_lookup import suite_of_environment

TestAdapter = suite_of_environment()

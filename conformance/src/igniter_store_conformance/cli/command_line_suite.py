"""The tests of `igniter-conformance run`, with the class that the command line named.

It is a real file, so that pytest can collect it.
"""

from igniter_store_conformance.cli.harness_lookup import suite_of_environment
from igniter_store_conformance.engine.suite import Suite

TestAdapter: type[Suite] = suite_of_environment()

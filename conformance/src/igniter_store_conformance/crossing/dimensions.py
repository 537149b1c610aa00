"""All dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from igniter_store_conformance.crossing.clients import OtherClient, OtherProcess
from igniter_store_conformance.crossing.counts import Counts, Lists, ManyGroups
from igniter_store_conformance.crossing.edges import Edges
from igniter_store_conformance.crossing.names import LongNames, SimilarNames
from igniter_store_conformance.crossing.payloads import Payloads, SimilarOwners
from igniter_store_conformance.crossing.states import States
from igniter_store_conformance.crossing.times import Idling, Lifetimes

if TYPE_CHECKING:
    from igniter_store_conformance.crossing.dimension import Dimension

DIMENSIONS: Final[tuple[Dimension, ...]] = (
    SimilarNames(),
    LongNames(),
    SimilarOwners(),
    Payloads(),
    Lifetimes(),
    Idling(),
    Lists(),
    Counts(),
    ManyGroups(),
    States(),
    Edges(),
    OtherClient(),
    OtherProcess(),
)

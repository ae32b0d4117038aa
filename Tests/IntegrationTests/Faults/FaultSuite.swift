import Testing

/// One after the other: they share a PostgreSQL of their own, and what a fault does to it is everybody's.
@Suite(.serialized) struct FaultSuite {}

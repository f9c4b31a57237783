"""Tests by kind: unit, conformance (other people's data), property, attacks (bad input), daemon (real brokers), cli."""

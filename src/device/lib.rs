//! What a device is: traits, buses, PCI, lines, clock, guest RAM, saved state, input routing, the test bench.

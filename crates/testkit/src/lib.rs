//! Simulated clock, entropy and faults for tests.

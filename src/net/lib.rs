//! Ethernet frames in and out.

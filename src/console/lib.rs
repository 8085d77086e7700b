//! The engine's UI channel seen from outside.

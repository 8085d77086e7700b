//! Machines and media on this computer; starts an engine and talks to it.

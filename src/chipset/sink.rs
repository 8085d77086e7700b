//! Where the bytes go that a guest writes to a one-byte port: a log, a terminal, a socket.

/// The far end of a byte stream out of a device.
///
/// Called under the device's mutex, one call per byte that the guest writes, as fast as it can write. An implementation must
/// not block, must not call the device, and bounds what it keeps: bytes beyond its bound are dropped.
pub trait ByteSink: Send {
    /// The guest wrote `byte`.
    fn byte(&mut self, byte: u8);

    /// The device has room for input again, after it took less than it was offered. Only devices that also take bytes say
    /// this; the listener offers the rest later, from its own thread.
    fn ready(&mut self) {}
}

impl<F: FnMut(u8) + Send> ByteSink for F {
    fn byte(&mut self, byte: u8) {
        self(byte);
    }
}

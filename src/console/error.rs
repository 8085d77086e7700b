//! Why a console ends.

/// Why a console ends. Each is a sentence for the person.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine closed the connection or is gone.
    #[error("the machine's engine has ended")]
    Closed,
    /// The socket failed.
    #[error("the connection to the machine's engine failed: {0}")]
    Socket(#[from] rustix::io::Errno),
    /// The engine speaks another version of the protocol.
    #[error(
        "the machine's engine speaks version {0} of the console protocol: restart the machine to use this Dormer's engine"
    )]
    Version(u32),
    /// The engine sent what no engine sends.
    #[error("the machine's engine sent a message that makes no sense ({0})")]
    Nonsense(&'static str),
}

//! Listening: a bounded number of clients at a time, each on a thread of its own.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::SocketFlags;

/// How long nobody is accepted after that failed for want of descriptors or memory. The connection that waits would fail again
/// at once, and so on for as long as it waits.
const REST: Duration = Duration::from_millis(100);

/// Who listens to what.
#[derive(Clone, Copy)]
pub(crate) struct Service {
    /// The listening thread's name.
    pub listener: &'static str,
    /// The name of each client's thread, and of a client in the log.
    pub client: &'static str,
    /// Clients at the same time.
    pub most: usize,
}

/// A client's place among all of them, until it is dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn take(taken: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let place = Self(Arc::clone(taken));
        (taken.fetch_add(1, Ordering::AcqRel) < most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Serves clients on `listener` by `serve`, until the process ends. What `serve` returns ends its client.
pub(crate) fn accept(
    listener: OwnedFd,
    service: Service,
    serve: impl Fn(OwnedFd) -> anyhow::Result<()> + Clone + Send + 'static,
) -> io::Result<()> {
    let Service { listener: name, client, most } = service;
    std::thread::Builder::new().name(name.into()).spawn(move || {
        let taken = Arc::new(AtomicUsize::new(0));
        loop {
            let socket = match rustix::net::accept_with(&listener, SocketFlags::CLOEXEC) {
                Ok(socket) => socket,
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(error @ (Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)) => {
                    tracing::debug!("no {client} can come in: {error}");
                    std::thread::sleep(REST);
                    continue;
                }
                Err(error) => {
                    tracing::error!("no {client} will come in any more: {error}");
                    return;
                }
            };
            let Some(place) = Place::take(&taken, most) else {
                tracing::warn!("more than {most} of {client}: one was turned away");
                continue;
            };
            let serve = serve.clone();
            let thread = std::thread::Builder::new().name(client.into()).spawn(move || {
                if let Err(error) = serve(socket) {
                    tracing::debug!("{client}: {error:#}");
                }
                drop(place);
            });
            if let Err(error) = thread {
                tracing::error!("a {client} cannot be served: {error}");
            }
        }
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

    use super::*;

    #[test]
    fn places_are_given_back() {
        let name = format!("dormer-vm-clients-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name).unwrap();
        let listener = UnixListener::bind_addr(&address).unwrap();
        let service = Service { listener: "test", client: "client", most: 2 };
        accept(listener.into(), service, |socket| {
            let mut stream = UnixStream::from(socket);
            rustix::io::write(&stream, b"!")?;
            stream.read_to_end(&mut Vec::new())?;
            Ok(())
        })
        .unwrap();
        // What a client hears first: a byte, or that there is no place.
        let connect = || {
            let mut stream = UnixStream::connect_addr(&address).unwrap();
            let heard = stream.read(&mut [0]).unwrap();
            (stream, heard)
        };
        let (first, second) = (connect(), connect());
        assert_eq!((first.1, second.1, connect().1), (1, 1, 0));
        drop(first);
        while connect().1 == 0 {}
    }
}

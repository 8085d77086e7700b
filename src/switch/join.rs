//! How the ports of a network find each other: sockets with numbers in one folder.
//!
//! A port that joins connects to all that are there, then listens itself, under the folder's lock: so of two ports the later one
//! has connected to the earlier, once. A socket that nobody listens on is what an ended port has left behind, and is removed; the
//! numbers bound what is looked at, whatever else is in the folder.

use std::fs::File;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use anyhow::{Context, bail};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

/// Ports of one network.
pub(crate) const PORTS: usize = 64;

/// A place in a network.
pub(crate) struct Joined {
    /// Its number.
    pub(crate) number: usize,
    /// Where those who join later connect.
    pub(crate) listener: UnixListener,
    /// Those who were there.
    pub(crate) peers: Vec<UnixStream>,
}

/// What is at a number.
enum There {
    Port(UnixStream),
    /// Nothing, or the socket of a port that has ended.
    Nobody,
    /// Something that is not for this port to remove, or a port that does not answer.
    Something(Errno),
}

/// Joins the network in `folder`, which becomes the working folder: names of sockets are short, paths may be long.
pub(crate) fn join(folder: &Path) -> anyhow::Result<Joined> {
    std::env::set_current_dir(folder)?;
    let turn = File::open(".")?;
    turn.lock().context("its folder cannot be locked")?;
    let (mut peers, mut free) = (Vec::new(), None);
    for number in 1..=PORTS {
        match look(&number.to_string())? {
            There::Port(peer) => peers.push(peer),
            There::Nobody => free = free.or(Some(number)),
            There::Something(why) => tracing::warn!("port {number} is left alone: {why}"),
        }
    }
    let Some(number) = free else { bail!("it has {PORTS} ports, and all are taken") };
    let listener = UnixListener::bind(number.to_string())?;
    listener.set_nonblocking(true)?;
    Ok(Joined { number, listener, peers })
}

fn look(name: &str) -> io::Result<There> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    Ok(match connect(&socket, &SocketAddrUnix::new(name)?) {
        Ok(()) => There::Port(socket.into()),
        Err(Errno::NOENT) => There::Nobody,
        Err(Errno::CONNREFUSED) => match rustix::fs::unlink(name) {
            Ok(()) => There::Nobody,
            Err(why) => There::Something(why),
        },
        Err(why) => There::Something(why),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    /// One test, because the working folder is the process's.
    #[test]
    fn ports_meet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let one = join(path).unwrap();
        assert_eq!((one.number, one.peers.len()), (1, 0));
        let mut two = join(path).unwrap();
        assert_eq!((two.number, two.peers.len()), (2, 1));
        let (mut accepted, _) = one.listener.accept().unwrap();
        two.peers[0].write_all(b"hello").unwrap();
        let mut heard = [0; 5];
        accepted.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello");
        assert!(one.listener.accept().is_err(), "once");

        // A port that has ended leaves its number to the next.
        drop(one);
        std::fs::write(path.join("3"), b"no socket").unwrap();
        std::fs::create_dir(path.join("4")).unwrap();
        std::fs::write(path.join("x"), b"what else").unwrap();
        let three = join(path).unwrap();
        assert_eq!((three.number, three.peers.len()), (1, 1));
        assert!(path.join("4").is_dir() && path.join("x").exists() && !path.join("3").exists());
        let four = join(path).unwrap();
        assert_eq!((four.number, four.peers.len()), (3, 2));

        let all: Vec<_> = (0..PORTS - 4).map(|_| join(path).unwrap()).collect();
        let full = join(path).err().unwrap();
        assert!(full.to_string().contains("all are taken"), "{full}");
        drop(all);
        assert!(join(&path.join("nowhere")).is_err());
    }
}

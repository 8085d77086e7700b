//! libslirp, held so that the rest of the process needs no `unsafe`.
//!
//! [`Stack`] is one network. Its owner sleeps on the file descriptors that [`Stack::poll_fds`] names, no longer than it says,
//! then calls [`Stack::answer`]; frames from the guest go in by [`Stack::input`], frames to the guest gather in
//! [`Stack::outbox`], which drops what does not fit (libslirp's TCP sends again). TFTP, SMB and protocol emulations of
//! libslirp are never set up.

use std::cell::{RefCell, RefMut};
use std::ffi::{CString, c_char};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{BorrowedFd, RawFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use libslirp::PollEvents;
use libslirp_sys::{SlirpConfig, slirp_add_hostfwd, slirp_remove_hostfwd};
use net::framing::Outbox;
use rustix::event::{PollFd, PollFlags};

use crate::forward::{Forward, Listen, Protocol};

/// Bytes of frames that wait for the guest: more than the windows of many connections together.
const OUTBOX: usize = 4 << 20;
/// Forwards of one network.
const FORWARDS: usize = 1024;
/// Lines of log that a guest can cause.
const GUEST_ERRORS: u32 = 100;

/// What a network is like.
pub(crate) struct Network {
    pub(crate) address: Ipv4Addr,
    pub(crate) mask: Ipv4Addr,
    /// The host as the guest sees it; also the guest's router.
    pub(crate) host: Ipv4Addr,
    pub(crate) name_server: Ipv4Addr,
    pub(crate) dhcp_start: Ipv4Addr,
    /// The network's /64, when it has IPv6.
    pub(crate) prefix6: Option<Ipv6Addr>,
    pub(crate) hostname: Option<String>,
    pub(crate) dns_search: Vec<String>,
    /// Bytes.
    pub(crate) mtu: usize,
    pub(crate) restrict: bool,
    /// Whether the host's own 127.0.0.1 answers at `host`.
    pub(crate) host_loopback: bool,
}

type Callback = Box<dyn FnMut()>;

/// libslirp's timer: the number of its entry in [`Host::timers`].
struct Timer(u64);

struct Entry {
    id: u64,
    /// When it runs out, in milliseconds of [`Host::now`].
    due: Option<i64>,
    /// Absent while it runs.
    callback: Option<Callback>,
}

/// What libslirp asks of its host.
struct Host {
    started: Instant,
    outbox: Outbox,
    dropped: u64,
    timers: Vec<Entry>,
    next_timer: u64,
    guest_errors: u32,
}

impl Host {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn now_ms(&self) -> i64 {
        self.now().as_millis() as i64
    }
}

impl libslirp::Handler for Host {
    type Timer = Timer;

    fn clock_get_ns(&mut self) -> i64 {
        self.now().as_nanos() as i64
    }

    fn send_packet(&mut self, frame: &[u8]) -> io::Result<usize> {
        if !self.outbox.push(&[frame]) {
            self.dropped += 1;
            if self.dropped.is_power_of_two() {
                tracing::debug!("the guest is slow: {} frames dropped so far", self.dropped);
            }
        }
        Ok(frame.len())
    }

    fn register_poll_fd(&mut self, _: RawFd) {}

    fn unregister_poll_fd(&mut self, _: RawFd) {}

    fn guest_error(&mut self, message: &str) {
        if self.guest_errors < GUEST_ERRORS {
            self.guest_errors += 1;
            tracing::debug!("guest: {message}");
        }
    }

    // Nobody sleeps while libslirp runs: there is one thread.
    fn notify(&mut self) {}

    fn timer_new(&mut self, callback: Callback) -> Box<Timer> {
        let id = self.next_timer;
        self.next_timer += 1;
        self.timers.push(Entry { id, due: None, callback: Some(callback) });
        Box::new(Timer(id))
    }

    fn timer_mod(&mut self, timer: &mut Box<Timer>, due: i64) {
        if let Some(entry) = self.timers.iter_mut().find(|entry| entry.id == timer.0) {
            entry.due = Some(due);
        }
    }

    fn timer_free(&mut self, timer: Box<Timer>) {
        self.timers.retain(|entry| entry.id != timer.0);
    }
}

/// A running network.
pub(crate) struct Stack {
    context: libslirp::Context<Rc<RefCell<Host>>>,
    host: Rc<RefCell<Host>>,
    dhcp_start: Ipv4Addr,
    forwards: Vec<Forward>,
}

impl Stack {
    pub(crate) fn new(network: &Network) -> anyhow::Result<Self> {
        tracing::info!("libslirp {}", libslirp::version());
        let host = Rc::new(RefCell::new(Host {
            started: Instant::now(),
            outbox: Outbox::new(OUTBOX),
            dropped: 0,
            timers: Vec::new(),
            next_timer: 0,
            guest_errors: 0,
        }));
        let hostname = network.hostname.clone().map(CString::new).transpose().context("host name")?;
        let domains: Vec<CString> =
            network.dns_search.iter().map(|d| CString::new(d.as_str())).collect::<Result<_, _>>().context("domain")?;
        let mut domain_list: Vec<*const c_char> = domains.iter().map(|domain| domain.as_ptr()).collect();
        domain_list.push(std::ptr::null());
        let prefix6 = network.prefix6.unwrap_or(Ipv6Addr::UNSPECIFIED);
        let in_prefix6 = |host: u128| Ipv6Addr::from_bits(prefix6.to_bits() | host);
        // Version 3 is the newest whose callbacks and fields the bindings know in full. libslirp copies what it points to.
        let config = SlirpConfig {
            version: 3,
            restricted: network.restrict.into(),
            in_enabled: true,
            vnetwork: network.address.into(),
            vnetmask: network.mask.into(),
            vhost: network.host.into(),
            in6_enabled: network.prefix6.is_some(),
            vprefix_addr6: prefix6.into(),
            vprefix_len: 64,
            vhost6: in_prefix6(2).into(),
            vhostname: hostname.as_ref().map_or(std::ptr::null(), |name| name.as_ptr()),
            tftp_server_name: std::ptr::null(),
            tftp_path: std::ptr::null(),
            bootfile: std::ptr::null(),
            vdhcp_start: network.dhcp_start.into(),
            vnameserver: network.name_server.into(),
            vnameserver6: in_prefix6(3).into(),
            vdnssearch: if domains.is_empty() { std::ptr::null_mut() } else { domain_list.as_mut_ptr() },
            vdomainname: std::ptr::null(),
            if_mtu: network.mtu,
            if_mru: network.mtu,
            disable_host_loopback: !network.host_loopback,
            enable_emu: false,
            outbound_addr: std::ptr::null(),
            outbound_addr6: std::ptr::null(),
            disable_dns: false,
            disable_dhcp: false,
        };
        let context = libslirp::Context::new_with_config(&config, Rc::clone(&host));
        Ok(Self { context, host, dhcp_start: network.dhcp_start, forwards: Vec::new() })
    }

    /// The forwards in force.
    pub(crate) fn forwards(&self) -> &[Forward] {
        &self.forwards
    }

    /// Listens for `forward`.
    pub(crate) fn add_forward(&mut self, mut forward: Forward) -> anyhow::Result<()> {
        let Listen { protocol, host } = forward.listen;
        if self.forwards.iter().any(|other| other.listen == forward.listen) {
            bail!("{} is forwarded already", forward.listen);
        }
        if self.forwards.len() == FORWARDS {
            bail!("there are {FORWARDS} forwards already");
        }
        if forward.guest.ip().is_unspecified() {
            forward.guest.set_ip(self.dhcp_start);
        }
        // SAFETY: the context is alive, all else is plain data.
        #[allow(unsafe_code)]
        let status = unsafe {
            slirp_add_hostfwd(
                self.context.inner.context,
                (protocol == Protocol::Udp).into(),
                (*host.ip()).into(),
                host.port().into(),
                (*forward.guest.ip()).into(),
                forward.guest.port().into(),
            )
        };
        if status != 0 {
            return Err(io::Error::last_os_error()).with_context(|| format!("cannot listen on {}", forward.listen));
        }
        self.forwards.push(forward);
        Ok(())
    }

    /// Stops listening; connections that were made through the forward go on.
    pub(crate) fn remove_forward(&mut self, listen: Listen) -> anyhow::Result<()> {
        let Some(at) = self.forwards.iter().position(|forward| forward.listen == listen) else {
            bail!("{listen} is not forwarded");
        };
        // SAFETY: the context is alive, all else is plain data.
        #[allow(unsafe_code)]
        let status = unsafe {
            slirp_remove_hostfwd(
                self.context.inner.context,
                (listen.protocol == Protocol::Udp).into(),
                (*listen.host.ip()).into(),
                listen.host.port().into(),
            )
        };
        self.forwards.remove(at);
        if status != 0 {
            bail!("libslirp listens on {listen} no more");
        }
        Ok(())
    }

    /// One frame from the guest.
    pub(crate) fn input(&mut self, frame: &[u8]) {
        self.context.input(frame);
    }

    /// Frames for the guest.
    pub(crate) fn outbox(&mut self) -> RefMut<'_, Outbox> {
        RefMut::map(self.host.borrow_mut(), |host| &mut host.outbox)
    }

    /// Appends the sockets to sleep on, and says how long at most.
    pub(crate) fn poll_fds<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) -> Option<Duration> {
        let mut timeout = u32::MAX;
        let mut index = 0;
        self.context.pollfds_fill(&mut timeout, |fd, events| {
            // SAFETY: libslirp closes sockets only in calls that need this stack exclusively, which the borrow rules out.
            #[allow(unsafe_code)]
            let fd = unsafe { BorrowedFd::borrow_raw(fd) };
            fds.push(PollFd::from_borrowed_fd(fd, flags(events)));
            index += 1;
            index - 1
        });
        let host = self.host.borrow();
        let timer = host.timers.iter().filter_map(|timer| timer.due).min();
        let timer = timer.map(|due| Duration::from_millis((due - host.now_ms()).max(0) as u64));
        let sockets = (timeout != u32::MAX).then(|| Duration::from_millis(timeout.into()));
        sockets.into_iter().chain(timer).min()
    }

    /// Moves data, given what the sockets that [`Self::poll_fds`] appended are ready for, in their order; `failed` when the
    /// poll itself failed.
    pub(crate) fn answer(&mut self, failed: bool, ready: &[PollFlags]) {
        self.context.pollfds_poll(failed, |index| {
            events(
                usize::try_from(index).ok().and_then(|index| ready.get(index)).copied().unwrap_or(PollFlags::empty()),
            )
        });
        self.run_timers();
    }

    fn run_timers(&mut self) {
        let due: Vec<u64> = {
            let host = self.host.borrow();
            let now = host.now_ms();
            host.timers.iter().filter(|timer| timer.due.is_some_and(|due| due <= now)).map(|timer| timer.id).collect()
        };
        for id in due {
            // The callback comes back into the host, so it is called with the host not borrowed.
            let entry = |host: &mut Host, callback: Option<Callback>| {
                let entry = host.timers.iter_mut().find(|entry| entry.id == id)?;
                if callback.is_none() {
                    entry.due = None;
                }
                std::mem::replace(&mut entry.callback, callback)
            };
            let callback = entry(&mut self.host.borrow_mut(), None);
            if let Some(mut callback) = callback {
                callback();
                entry(&mut self.host.borrow_mut(), Some(callback));
            }
        }
    }
}

/// poll(2)'s flags and libslirp's, pair by pair.
fn pairs() -> [(PollFlags, PollEvents); 5] {
    [
        (PollFlags::IN, PollEvents::poll_in()),
        (PollFlags::OUT, PollEvents::poll_out()),
        (PollFlags::PRI, PollEvents::poll_pri()),
        (PollFlags::ERR, PollEvents::poll_err()),
        (PollFlags::HUP, PollEvents::poll_hup()),
    ]
}

fn flags(events: PollEvents) -> PollFlags {
    pairs().into_iter().filter(|(_, event)| events.contains(*event)).map(|(flag, _)| flag).collect()
}

fn events(flags: PollFlags) -> PollEvents {
    let mut events = PollEvents::empty();
    for (_, event) in pairs().into_iter().filter(|(flag, _)| flags.contains(*flag)) {
        events |= event;
    }
    events
}

//! A host for tests: it hands transfers to one function, over RAM of its own, and collects.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use device::bench::Bench;
use vm_memory::{Bytes, GuestAddress};

use crate::memory::Piece;
use crate::{Bus, Completion, Endpoint, Fault, Function, Kind, Memory, Setup, Transfer, TransferId, Waker};

/// Bytes of RAM.
pub(crate) const RAM: usize = 0x40_0000;
/// Where data of control transfers are.
const CONTROL_DATA: u64 = 0x1000;

/// A host with `F` in port 1.
pub(crate) struct Host<F> {
    pub(crate) bench: Bench,
    port: Arc<Mutex<Port<F>>>,
}

pub(crate) struct Port<F> {
    pub(crate) function: F,
    done: BTreeMap<TransferId, Completion>,
    next: u64,
    /// Does its driver have the controller run?
    pub(crate) runs: bool,
}

impl<F: Function> Port<F> {
    fn collect(&mut self) {
        while let Some((id, completion)) = self.function.collect() {
            assert_eq!(self.done.insert(id, completion), None, "done once");
        }
    }
}

impl<F: Function> Bus for Port<F> {
    fn woken(&mut self, port: u8) {
        assert_eq!(port, 1);
        self.collect();
    }

    fn is_awake(&self) -> bool {
        self.runs
    }
}

impl<F: Function + 'static> Host<F> {
    /// A host, and the function that is made on its bench.
    pub(crate) fn new(make: impl FnOnce(&Bench) -> F) -> Self {
        let bench = Bench::new(RAM);
        let function = make(&bench);
        let port = Arc::new(Mutex::new(Port { function, done: BTreeMap::new(), next: 0, runs: true }));
        Self { bench, port }
    }

    pub(crate) fn waker(&self) -> Waker {
        let bus: Weak<Mutex<Port<F>>> = Arc::downgrade(&self.port);
        Waker::new(bus, 1)
    }

    pub(crate) fn port(&self) -> MutexGuard<'_, Port<F>> {
        self.port.lock().unwrap()
    }

    pub(crate) fn reset(&self) {
        self.port().function.reset();
    }

    pub(crate) fn put(&self, at: u64, bytes: &[u8]) {
        self.bench.ram.write_slice(bytes, GuestAddress(at)).unwrap();
    }

    pub(crate) fn bytes(&self, at: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.bench.ram.read_slice(&mut bytes, GuestAddress(at)).unwrap();
        bytes
    }

    pub(crate) fn memory(&self, pieces: &[(u64, u32)]) -> Memory {
        let pieces: Vec<_> = pieces.iter().map(|&(at, length)| Piece { at, length }).collect();
        Memory::new(self.bench.dma(), pieces)
    }

    /// Hands a transfer in; [`Self::done`] says what came of it.
    pub(crate) fn submit(&self, address: u8, kind: Kind, pieces: &[(u64, u32)]) -> TransferId {
        let memory = self.memory(pieces);
        let mut port = self.port();
        let id = TransferId(port.next);
        port.next += 1;
        let transfer = Transfer { id, endpoint: Endpoint::of_address(address), kind, memory };
        if let Some(completion) = port.function.submit(transfer) {
            port.done.insert(id, completion);
        }
        port.collect();
        id
    }

    /// What came of a transfer, asked once.
    pub(crate) fn done(&self, id: TransferId) -> Option<Completion> {
        let mut port = self.port();
        port.collect();
        port.done.remove(&id)
    }

    pub(crate) fn cancel(&self, id: TransferId) {
        self.port().function.cancel(id);
    }

    /// A request with as much room as it asks for, or its data.
    pub(crate) fn request(
        &self,
        kind: u8,
        request: u8,
        value: u16,
        index: u16,
        data: Data<'_>,
    ) -> Result<Vec<u8>, Fault> {
        let length = match data {
            Data::In(length) => length,
            Data::Out(bytes) => {
                self.put(CONTROL_DATA, bytes);
                bytes.len() as u16
            }
        };
        let setup = Setup { kind, request, value, index, length };
        let id = self.submit(0, Kind::Control(setup), &[(CONTROL_DATA, length.into())]);
        let Completion { length, fault } = self.done(id).expect("requests are answered at once");
        match fault {
            None => Ok(self.bytes(CONTROL_DATA, length as usize)),
            Some(fault) => Err(fault),
        }
    }

    pub(crate) fn descriptor(&self, kind: u8, index: u8) -> Result<Vec<u8>, Fault> {
        self.request(0x80, 6, u16::from_le_bytes([index, kind]), 0, Data::In(0x1000))
    }

    pub(crate) fn configure(&self) {
        self.request(0, 9, 1, 0, Data::Out(&[])).expect("there is a configuration 1");
    }

    /// Everything that every function must hold: descriptors that fit together, and stalls for what is not there.
    pub(crate) fn check_descriptors(&self) {
        let device = self.descriptor(1, 0).unwrap();
        assert_eq!((device.len(), device[0], device[1], device[17]), (18, 18, 1, 1));
        let configuration = self.descriptor(2, 0).unwrap();
        check_configuration(&configuration, 2);
        for string in 0..4 {
            let string = self.descriptor(3, string).unwrap();
            assert!(string.len() >= 4 && usize::from(string[0]) == string.len());
        }
        let is_super = self.port().function.speed().is_super();
        assert_eq!(device[2..4], if is_super { [0, 3] } else { [0, 2] });
        assert_eq!(self.descriptor(15, 0).is_ok(), is_super);
        for (kind, index) in [(1, 1), (2, 1), (3, 4), (3, 0xee), (4, 0), (5, 0), (0, 0), (8, 0), (255, 255)] {
            assert_eq!(self.descriptor(kind, index), Err(Fault::Stall), "{kind} {index}");
        }
        // Hosts ask for the beginning first, and may have less room than they say.
        assert_eq!(self.request(0x80, 6, 0x0100, 0, Data::In(8)).unwrap(), device[..8]);
        let setup = Setup { kind: 0x80, request: 6, value: 0x0100, index: 0, length: 18 };
        let id = self.submit(0, Kind::Control(setup), &[(CONTROL_DATA, 2), (CONTROL_DATA + 2, 3)]);
        assert_eq!(self.done(id), Some(Completion::done(5)));
    }
}

/// Which way a request's data go.
#[derive(Clone, Copy)]
pub(crate) enum Data<'a> {
    /// To the host, so many bytes.
    In(u16),
    /// To the function.
    Out(&'a [u8]),
}

/// Lengths and counts of a configuration's descriptors.
pub(crate) fn check_configuration(bytes: &[u8], kind: u8) {
    assert_eq!((bytes[0], bytes[1]), (9, kind));
    assert_eq!(usize::from(u16::from_le_bytes([bytes[2], bytes[3]])), bytes.len());
    let (mut interfaces, mut endpoints) = (0, 0);
    let mut rest = bytes;
    while let [length, kind, ..] = *rest {
        let (descriptor, behind) = rest.split_at(length.into());
        match kind {
            4 => {
                assert_eq!(endpoints, 0, "an interface has as many endpoints as it says");
                interfaces += usize::from(descriptor[3] == 0);
                endpoints = descriptor[4];
            }
            5 => endpoints -= 1,
            _ => {}
        }
        rest = behind;
    }
    assert_eq!((interfaces, endpoints, rest.len()), (bytes[4].into(), 0, 0));
}

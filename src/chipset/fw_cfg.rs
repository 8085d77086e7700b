//! fw_cfg: how firmware learns what machine it is on.
//!
//! Follows QEMU's `docs/specs/fw_cfg.rst` (traditional interface and DMA). Items are chosen by a 16 bit selector and read byte by
//! byte, or by DMA. Named files stand in a directory from selector 0x20 on. The guest can write only items that were added
//! as writable. Files that depend on what firmware sets up are made anew when the guest first selects one of them after a reset, all
//! at once, so that they fit each other ([`FileMaker`]).

use std::collections::BTreeMap;

use device::{Device, Dma, PortIo, RestoreError, Size, State};
use serde::{Deserialize, Serialize};

/// First of the four register ports: selector (2 bytes wide), data at +1, DMA address at +4 and +8.
pub const FW_CFG_PORT: u16 = 0x510;
/// Ports from there on.
pub const FW_CFG_PORTS: u16 = 12;

/// Well-known selectors.
pub mod key {
    /// "QEMU".
    pub const SIGNATURE: u16 = 0x00;
    /// Which interfaces there are.
    pub const ID: u16 = 0x01;
    /// The machine's UUID.
    pub const UUID: u16 = 0x02;
    /// Bytes of RAM, 8 bytes.
    pub const RAM_SIZE: u16 = 0x03;
    /// No display? 2 bytes.
    pub const NO_GRAPHIC: u16 = 0x04;
    /// Processors at start, 2 bytes.
    pub const PROCESSORS: u16 = 0x05;
    /// Show the boot menu? 2 bytes.
    pub const BOOT_MENU: u16 = 0x0e;
    /// Processors at most, 2 bytes.
    pub const MAX_PROCESSORS: u16 = 0x0f;
    /// The directory of named files.
    pub const DIRECTORY: u16 = 0x19;
    /// The first named file.
    pub const FIRST_FILE: u16 = 0x20;
    /// Does the timer come on I/O APIC pin 2? 4 bytes.
    pub const IRQ0_OVERRIDE: u16 = 0x8002;
}

const SIGNATURE: &[u8; 4] = b"QEMU";
const DMA_SIGNATURE: u64 = 0x51454d5520434647;
const ID_TRADITIONAL: u32 = 1;
const ID_DMA: u32 = 2;
/// Bytes of a file's name in the directory, with its closing zero.
const NAME: usize = 56;

const CONTROL_ERROR: u32 = 1;
const CONTROL_READ: u32 = 2;
const CONTROL_SKIP: u32 = 4;
const CONTROL_SELECT: u32 = 8;
const CONTROL_WRITE: u32 = 16;

/// Bytes copied between looking at guest memory: bounds host memory for a transfer of up to 4 GiB.
const CHUNK: usize = 64 << 10;

/// Makes files that depend on what firmware has set up. Called under the device's mutex, from a vCPU's thread: it only looks at what
/// the board publishes, and locks no device.
pub trait FileMaker: Send {
    /// The files as they are now: the names that they were added with.
    fn make(&self) -> Vec<(String, Vec<u8>)>;
}

impl<F: Fn() -> Vec<(String, Vec<u8>)> + Send> FileMaker for F {
    fn make(&self) -> Vec<(String, Vec<u8>)> {
        self()
    }
}

struct Item {
    bytes: Vec<u8>,
    writable: bool,
}

/// Files that are made when they are wanted.
struct Late {
    selectors: Vec<u16>,
    maker: Box<dyn FileMaker>,
    /// Were they, since the last reset?
    made: bool,
}

impl Item {
    /// Other bytes, as many: the directory has the size.
    fn replace(&mut self, mut bytes: Vec<u8>) {
        bytes.resize(self.bytes.len(), 0);
        self.bytes = bytes;
    }
}

/// The device.
pub struct FwCfg {
    items: BTreeMap<u16, Item>,
    files: Vec<(String, u16)>,
    late: Option<Late>,
    dma: Dma,
    selector: u16,
    offset: usize,
    dma_high: u32,
}

/// Its saved state; items are the board's, but for those that the guest wrote or caused to be made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FwCfgState {
    selector: u16,
    offset: u64,
    dma_high: u32,
    written: Vec<(u16, Vec<u8>)>,
    /// Without the zeros at their ends.
    made: Option<Vec<(u16, Vec<u8>)>>,
}

impl FwCfg {
    /// A device with its signature and an empty directory. `dma` must be open.
    pub fn new(dma: Dma) -> Self {
        let mut device =
            Self { items: BTreeMap::new(), files: Vec::new(), late: None, dma, selector: 0, offset: 0, dma_high: 0 };
        device.add(key::SIGNATURE, SIGNATURE.to_vec());
        device.add(key::ID, (ID_TRADITIONAL | ID_DMA).to_le_bytes().to_vec());
        device.list();
        device
    }

    /// Sets the item with this selector.
    pub fn add(&mut self, selector: u16, bytes: Vec<u8>) {
        self.items.insert(selector, Item { bytes, writable: false });
    }

    /// Adds a named file, or replaces it. Names longer than 55 bytes are cut.
    pub fn add_file(&mut self, name: &str, bytes: Vec<u8>) {
        let selector = match self.selector_of(name) {
            Some(selector) => selector,
            None => {
                let selector = key::FIRST_FILE + self.files.len() as u16;
                self.files.push((name.to_owned(), selector));
                selector
            }
        };
        self.add(selector, bytes);
        self.list();
    }

    /// Adds files as `maker` makes them now, to be made anew when one is first selected after each reset. They keep the sizes that
    /// they have now: longer ones are cut, shorter ones end in zeros.
    pub fn add_late_files(&mut self, maker: Box<dyn FileMaker>) {
        let mut selectors = Vec::new();
        for (name, bytes) in maker.make() {
            self.add_file(&name, bytes);
            selectors.extend(self.selector_of(&name));
        }
        self.late = Some(Late { selectors, maker, made: false });
    }

    fn selector_of(&self, name: &str) -> Option<u16> {
        self.files.iter().find(|(other, _)| other == name).map(|&(_, selector)| selector)
    }

    /// Makes the late files if `selector` is one of them and they are not made yet.
    fn make_late(&mut self, selector: u16) {
        let Some(late) = self.late.as_mut().filter(|late| !late.made && late.selectors.contains(&selector)) else {
            return;
        };
        late.made = true;
        for (name, bytes) in late.maker.make() {
            if let Some(item) = self.selector_of(&name).and_then(|selector| self.items.get_mut(&selector)) {
                item.replace(bytes);
            }
        }
    }

    /// Writes the directory anew, sorted by name as firmware may expect.
    fn list(&mut self) {
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort();
        let mut bytes = (files.len() as u32).to_be_bytes().to_vec();
        for (name, selector) in files {
            let size = self.items.get(selector).map_or(0, |item| item.bytes.len() as u32);
            bytes.extend(size.to_be_bytes());
            bytes.extend(selector.to_be_bytes());
            bytes.extend([0; 2]);
            let mut padded = name.as_bytes().to_vec();
            padded.truncate(NAME - 1);
            padded.resize(NAME, 0);
            bytes.extend(padded);
        }
        self.add(key::DIRECTORY, bytes);
    }

    fn select(&mut self, selector: u16) {
        self.make_late(selector);
        self.selector = selector;
        self.offset = 0;
    }

    /// Up to `length` bytes from where the guest stands; moves on by all of `length`.
    fn take(&mut self, length: usize) -> Vec<u8> {
        let bytes = self.items.get(&self.selector).map_or(&[][..], |item| &item.bytes);
        let start = self.offset.min(bytes.len());
        let end = start.saturating_add(length).min(bytes.len());
        self.offset = self.offset.saturating_add(length);
        bytes[start..end].to_vec()
    }

    /// Serves the transfer that the guest describes at `address`.
    fn transfer(&mut self, address: u64) {
        let mut request = [0; 16];
        if self.dma.read(address, &mut request).is_err() {
            return;
        }
        let field = |at: usize| u32::from_be_bytes([request[at], request[at + 1], request[at + 2], request[at + 3]]);
        let (control, length) = (field(0), field(4));
        let target = u64::from(field(8)) << 32 | u64::from(field(12));
        if control & CONTROL_SELECT != 0 {
            self.select((control >> 16) as u16);
        }
        let done = match control {
            _ if control & CONTROL_READ != 0 => self.read_to(target, length as usize),
            _ if control & CONTROL_WRITE != 0 => self.write_from(target, length as usize),
            _ if control & CONTROL_SKIP != 0 => {
                self.offset = self.offset.saturating_add(length as usize);
                true
            }
            _ => true,
        };
        let result = if done { 0 } else { CONTROL_ERROR };
        // The request was readable a moment ago; if it is not writable the guest waits for itself.
        let _ = self.dma.write(address, &result.to_be_bytes());
    }

    /// Copies to guest memory; what the item does not have reads as zeros.
    fn read_to(&mut self, mut target: u64, mut length: usize) -> bool {
        while length > 0 {
            let step = length.min(CHUNK);
            let mut bytes = self.take(step);
            bytes.resize(step, 0);
            if self.dma.write(target, &bytes).is_err() {
                return false;
            }
            target = target.saturating_add(step as u64);
            length -= step;
        }
        true
    }

    /// Copies from guest memory into a writable item, which keeps its size.
    fn write_from(&mut self, target: u64, length: usize) -> bool {
        let Some(item) = self.items.get_mut(&self.selector).filter(|item| item.writable) else { return false };
        let Some(end) = self.offset.checked_add(length).filter(|end| *end <= item.bytes.len()) else { return false };
        let done = self.dma.read(target, &mut item.bytes[self.offset..end]).is_ok();
        self.offset = end;
        done
    }
}

enum Register {
    Selector,
    Data,
    DmaHigh,
    DmaLow,
}

fn decode(offset: u16) -> Option<Register> {
    match offset {
        0 => Some(Register::Selector),
        1 => Some(Register::Data),
        4 => Some(Register::DmaHigh),
        8 => Some(Register::DmaLow),
        _ => None,
    }
}

impl PortIo for FwCfg {
    fn read(&mut self, offset: u16, size: Size) -> u32 {
        match (decode(offset), size) {
            (Some(Register::Data), Size::Byte) => self.take(1).first().copied().unwrap_or(0).into(),
            (Some(Register::DmaHigh), Size::Dword) => ((DMA_SIGNATURE >> 32) as u32).swap_bytes(),
            (Some(Register::DmaLow), Size::Dword) => (DMA_SIGNATURE as u32).swap_bytes(),
            _ => 0,
        }
    }

    fn write(&mut self, offset: u16, size: Size, value: u32) {
        match (decode(offset), size) {
            (Some(Register::Selector), Size::Word) => self.select(value as u16),
            (Some(Register::DmaHigh), Size::Dword) => self.dma_high = value.swap_bytes(),
            (Some(Register::DmaLow), Size::Dword) => {
                let address = u64::from(self.dma_high) << 32 | u64::from(value.swap_bytes());
                self.dma_high = 0;
                self.transfer(address);
            }
            _ => {}
        }
    }
}

impl Device for FwCfg {
    fn reset(&mut self) {
        self.select(0);
        if let Some(late) = &mut self.late {
            late.made = false;
        }
        self.dma_high = 0;
    }
}

impl State for FwCfg {
    const KIND: &'static str = "fw-cfg";
    type Saved = FwCfgState;

    fn save(&self) -> FwCfgState {
        let Self { items, files: _, late, dma: _, selector, offset, dma_high } = self;
        let written = items.iter().filter(|(_, item)| item.writable).map(|(&key, item)| (key, item.bytes.clone()));
        let trimmed = |key: u16| {
            let bytes = items.get(&key).map_or(&[][..], |item| &item.bytes);
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            (key, bytes[..end].to_vec())
        };
        let late = late.as_ref().filter(|late| late.made);
        FwCfgState {
            selector: *selector,
            offset: *offset as u64,
            dma_high: *dma_high,
            written: written.collect(),
            made: late.map(|late| late.selectors.iter().copied().map(trimmed).collect()),
        }
    }

    fn restore(&mut self, saved: FwCfgState) -> Result<(), RestoreError> {
        let FwCfgState { selector, offset, dma_high, written, made } = saved;
        let late = self.late.as_mut();
        let selectors = late.map_or(Vec::new(), |late| {
            late.made = made.is_some();
            late.selectors.clone()
        });
        for (key, bytes) in made.into_iter().flatten() {
            let item =
                self.items.get_mut(&key).filter(|item| selectors.contains(&key) && bytes.len() <= item.bytes.len());
            item.ok_or_else(|| Self::impossible("file"))?.replace(bytes);
        }
        for (key, bytes) in written {
            let item = self.items.get_mut(&key).filter(|item| item.writable && item.bytes.len() == bytes.len());
            item.ok_or_else(|| Self::impossible("item"))?.bytes = bytes;
        }
        self.selector = selector;
        self.offset = usize::try_from(offset).map_err(|_| Self::impossible("offset"))?;
        self.dma_high = dma_high;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use device::bench::{Bench, check_state};

    use super::*;

    fn device(bench: &Bench) -> FwCfg {
        let mut device = FwCfg::new(bench.dma());
        device.add_file("etc/e820", vec![1, 2, 3]);
        device.add_file("bootorder", vec![9]);
        device
    }

    fn dma(device: &mut FwCfg, bench: &Bench, control: u32, length: u32, target: u64) -> u32 {
        let mut request = control.to_be_bytes().to_vec();
        request.extend(length.to_be_bytes());
        request.extend(target.to_be_bytes());
        bench.dma().write(0x100, &request).unwrap();
        PortIo::write(device, 4, Size::Dword, 0);
        PortIo::write(device, 8, Size::Dword, 0x100u32.swap_bytes());
        bench.dma().read_u32(0x100).unwrap().swap_bytes()
    }

    #[test]
    fn reads_bytes_and_the_directory() {
        let bench = Bench::new(0x1000);
        let mut device = device(&bench);
        PortIo::write(&mut device, 0, Size::Word, 0);
        let text: Vec<u8> = (0..5).map(|_| PortIo::read(&mut device, 1, Size::Byte) as u8).collect();
        assert_eq!(text, b"QEMU\0");
        PortIo::write(&mut device, 0, Size::Word, 0x19);
        let list: Vec<u8> = (0..132).map(|_| PortIo::read(&mut device, 1, Size::Byte) as u8).collect();
        assert_eq!(list[..4], [0, 0, 0, 2]);
        assert_eq!(&list[12..21], b"bootorder");
        assert_eq!(list[68..74], [0, 0, 0, 3, 0, 0x20]);
    }

    #[test]
    fn transfers() {
        let bench = Bench::new(0x1000);
        let mut device = device(&bench);
        bench.dma().write(0x200, &[0xff; 8]).unwrap();
        assert_eq!(dma(&mut device, &bench, 0x20 << 16 | CONTROL_SELECT | CONTROL_READ, 5, 0x200), 0);
        let mut got = [0; 6];
        bench.dma().read(0x200, &mut got).unwrap();
        assert_eq!(got, [1, 2, 3, 0, 0, 0xff]);
        assert_eq!(dma(&mut device, &bench, CONTROL_READ, u32::MAX, 0x200), CONTROL_ERROR);
        assert_eq!(dma(&mut device, &bench, CONTROL_WRITE, 1, 0x200), CONTROL_ERROR);
        PortIo::write(&mut device, 4, Size::Dword, u32::MAX);
        PortIo::write(&mut device, 8, Size::Dword, u32::MAX);
    }

    /// A file that counts how often it was made.
    fn late(device: &mut FwCfg) {
        let count = std::sync::atomic::AtomicU8::new(0);
        device.add_late_files(Box::new(move || {
            let count = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            vec![("a".to_owned(), vec![count; 2]), ("b".to_owned(), vec![0, count, 0, 0])]
        }));
    }

    fn file(device: &mut FwCfg, selector: u32) -> u32 {
        PortIo::write(device, 0, Size::Word, selector);
        PortIo::read(device, 1, Size::Byte) << 8 | PortIo::read(device, 1, Size::Byte)
    }

    #[test]
    fn late_files_are_made_once_after_a_reset() {
        let bench = Bench::new(0x1000);
        let mut device = device(&bench);
        late(&mut device);
        file(&mut device, 0x20);
        assert_eq!(file(&mut device, 0x22), 0x0101);
        assert_eq!(file(&mut device, 0x23), 0x0001);
        assert_eq!(file(&mut device, 0x22), 0x0101);
        device.reset();
        assert_eq!(file(&mut device, 0x23), 0x0002);
        assert_eq!(file(&mut device, 0x22), 0x0202);
    }

    #[test]
    fn late_files_are_saved_as_the_guest_saw_them() {
        let bench = Bench::new(0x1000);
        let mut device = device(&bench);
        late(&mut device);
        let fresh = device.save();
        file(&mut device, 0x22);
        let saved = device.save();
        assert_eq!(saved.made, Some(vec![(0x22, vec![1, 1]), (0x23, vec![0, 1])]));
        device.reset();
        file(&mut device, 0x22);
        device.restore(saved.clone()).unwrap();
        assert_eq!(file(&mut device, 0x22), 0x0101);
        device.restore(fresh).unwrap();
        assert_eq!(file(&mut device, 0x22), 0x0303);
        for bad in [(0x20, vec![1]), (0x22, vec![1; 3])] {
            assert!(device.restore(FwCfgState { made: Some(vec![bad]), ..saved.clone() }).is_err());
        }
    }

    #[test]
    fn state() {
        let bench = Bench::new(0x1000);
        check_state(&mut device(&bench), |device| PortIo::write(device, 0, Size::Word, 0x19));
        let mut device = device(&bench);
        late(&mut device);
        check_state(&mut device, |device| PortIo::write(device, 0, Size::Word, 0x22));
    }
}

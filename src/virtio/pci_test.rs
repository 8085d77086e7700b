use std::sync::{Arc, Mutex};

use device::bench::check_state;

use super::*;
use crate::driver::{Descriptor, Driver, Part};
use crate::virtio_device::{DeviceType, EVENT_IDX, INDIRECT_DESC, VERSION_1};

/// Answers each request with its bytes backwards; one queue that does so at once, one on demand.
#[derive(Default)]
struct Echo {
    features: u64,
    config: [u8; 6],
    held: Vec<crate::Chain>,
    /// Stands for a back end with work under way.
    busy: bool,
    processed: u32,
}

impl Echo {
    fn answer(queue: u16, chain: crate::Chain, queues: &mut Queues) {
        let mut bytes = chain.read_to_vec(0, 0x1000);
        bytes.reverse();
        let written = if chain.write_at(0, &bytes) { bytes.len() as u32 } else { 0 };
        queues.push(queue, chain, written);
    }
}

impl VirtioDevice for Echo {
    fn identity(&self) -> crate::Identity {
        crate::Identity {
            device_type: DeviceType::Console,
            class: 0x078000,
            features: 1 << 5,
            queue_sizes: vec![16, 4],
            config_length: 6,
        }
    }
    fn read_config(&self, at: u64, into: &mut [u8]) {
        into.copy_from_slice(&self.config[at as usize..at as usize + into.len()]);
    }
    fn write_config(&mut self, at: u64, data: &[u8]) {
        self.config[at as usize..at as usize + data.len()].copy_from_slice(data);
    }
    fn start(&mut self, features: u64) {
        self.features = features;
    }
    fn process(&mut self, queue: u16, queues: &mut Queues) {
        self.processed += 1;
        while let Some(chain) = queues.pop(queue) {
            match queue {
                0 => Self::answer(0, chain, queues),
                _ => self.held.push(chain),
            }
        }
    }
    fn reset(&mut self) {
        self.features = 0;
        self.held.clear();
    }
    fn is_idle(&self) -> bool {
        !self.busy
    }
}

#[derive(Serialize, Deserialize)]
struct EchoState {
    config: [u8; 6],
}

impl State for Echo {
    const KIND: &'static str = "echo";
    type Saved = EchoState;
    fn save(&self) -> EchoState {
        EchoState { config: self.config }
    }
    fn restore(&mut self, saved: EchoState) -> Result<(), RestoreError> {
        self.config = saved.config;
        Ok(())
    }
}

fn driver() -> Driver<Echo> {
    Driver::ready(Echo::default(), 0)
}

/// Status shows that the driver broke something, and queues are dead.
fn assert_needs_reset(driver: &mut Driver<Echo>) {
    assert_eq!(driver.status(), 0x4f);
    let processed = driver.function().device().processed;
    driver.ring(0);
    assert_eq!(driver.function().device().processed, processed);
    driver.set_up(0);
    assert_eq!(driver.ask(0, &[Part::Out(b"ok"), Part::In(2)], 1), Some((b"ko".to_vec(), 2)));
}

#[test]
fn header_and_capabilities() {
    let driver = Driver::new(Echo::default());
    let mut function = driver.function();
    assert_eq!(function.config_read(0, Size::Dword), 0x1043_1af4);
    assert_eq!(function.config_read(8, Size::Dword), 0x0780_0001);
    assert_eq!(function.config_read(0x2c, Size::Dword), 0x1100_1af4);
    let mut seen = Vec::new();
    let mut at = function.config_read(0x34, Size::Byte) as u16;
    while at != 0 {
        if function.config_read(at, Size::Byte) == 9 {
            let mut word = |i| function.config_read(at + i, Size::Dword);
            seen.push((word(0) >> 16, word(4) & 0xff, word(8), word(12)));
        }
        at = function.config_read(at + 1, Size::Byte) as u16;
    }
    let expected = [
        (0x0110, 4, 0, 0x38),
        (0x0214, 4, 0x3000, 8),
        (0x0310, 4, 0x1000, 1),
        (0x0410, 4, 0x2000, 6),
        (0x0514, 0, 0, 0),
    ];
    assert_eq!(seen, expected);
    let bells = function.transport.doorbells();
    assert_eq!(bells.iter().map(|bell| (bell.offset, bell.index)).collect::<Vec<_>>(), [(0x3000, 0), (0x3004, 1)]);
}

#[test]
fn requests_come_back() {
    let mut driver = driver();
    assert_eq!(
        driver.ask(0, &[Part::Out(b"ab"), Part::Out(b"c"), Part::In(2), Part::In(8)], 2),
        Some((b"cb".to_vec(), 3))
    );
    let request = driver.add_indirect(0, &[Part::Out(b"xyz"), Part::In(3)]);
    driver.ring(0);
    assert_eq!(driver.used(0), Some((request.head, 3)));
    assert_eq!(driver.part(&request, 1), b"zyx");
    // Round the ring several times.
    for i in 0..100u8 {
        assert_eq!(driver.ask(0, &[Part::Out(&[i, 1]), Part::In(2)], 1), Some((vec![1, i], 2)));
    }
}

#[test]
fn intx_and_its_suppression() {
    let mut driver = driver();
    driver.bench.levels.take();
    driver.ask(0, &[Part::Out(b"a"), Part::In(1)], 1).unwrap();
    assert_eq!(driver.bench.levels.take(), [true]);
    assert_eq!(driver.isr(), 1);
    assert_eq!(driver.isr(), 0);
    assert_eq!(driver.bench.levels.take(), [false]);
    driver.set_available_flags(0, 1);
    driver.ask(0, &[Part::Out(b"a"), Part::In(1)], 1).unwrap();
    assert!(driver.bench.levels.take().is_empty());
    driver.function().change(|_, queues| queues.config_changed());
    assert_eq!(driver.isr(), 2);
    assert_eq!(driver.read(0x15, Size::Byte), 1);
}

/// Lets MSI-X vectors 0..3 send their number.
fn enable_msix(driver: &mut Driver<Echo>) {
    use device::pci::{Devfn, PciRoot};
    use device::{Mmio, MmioBus, PortBus};
    // The table is reached as in a machine: through the root.
    let mmio = Arc::new(MmioBus::default());
    let space = Arc::new(device::bench::Placements::default());
    let mut root = PciRoot::new(Arc::new(PortBus::default()), Arc::clone(&mmio), space);
    root.plug(Devfn::new(1, 0), driver.shared.clone());
    Mmio::write(&mut root, 1 << 15 | 0x14, Size::Dword, 0xe000_0000);
    for vector in 0..3 {
        mmio.write(0xe000_0000 + 16 * vector, Size::Dword, 0xfee0_0000);
        mmio.write(0xe000_0008 + 16 * vector, Size::Dword, vector);
        mmio.write(0xe000_000c + 16 * vector, Size::Dword, 0);
    }
    let mut function = driver.function();
    let mut at = function.config_read(0x34, Size::Byte) as u16;
    while function.config_read(at, Size::Byte) != 0x11 {
        at = function.config_read(at + 1, Size::Byte) as u16;
    }
    function.config_write(at + 2, Size::Word, 0x8000);
}

#[test]
fn msix_vectors() {
    let mut driver = driver();
    enable_msix(&mut driver);
    driver.write(0x10, Size::Word, 2);
    assert_eq!(driver.read(0x10, Size::Word), 2);
    driver.write(0x16, Size::Word, 0);
    driver.write(0x1a, Size::Word, 3);
    assert_eq!(driver.read(0x1a, Size::Word), 0xffff, "there are vectors 0 to 2");
    driver.ask(0, &[Part::In(1)], 0).unwrap();
    assert!(driver.bench.messages.take().is_empty());
    driver.write(0x1a, Size::Word, 1);
    driver.ask(0, &[Part::In(1)], 0).unwrap();
    driver.function().change(|_, queues| queues.config_changed());
    assert_eq!(driver.bench.messages.take(), [(0xfee0_0000, 1), (0xfee0_0000, 2)]);
    assert_eq!(driver.isr(), 0);
}

#[test]
fn features_are_agreed_in_order() {
    let mut driver = Driver::new(Echo::default());
    assert_eq!(driver.offered(), VERSION_1 | INDIRECT_DESC | 1 << 5);
    driver.set_status(8);
    assert_eq!(driver.status(), 0, "not before DRIVER");
    driver.set_status(3);
    driver.negotiate(1 << 5);
    driver.set_status(0xb);
    assert_eq!(driver.status(), 3, "VERSION_1 is a must");
    driver.negotiate(VERSION_1 | 1 << 6);
    driver.set_status(0xb);
    assert_eq!(driver.status(), 3, "what is not offered cannot be had");
    driver.set_status(7);
    assert_eq!(driver.status(), 3, "not ready without features");
    driver.negotiate(VERSION_1 | 1 << 5);
    driver.set_status(0xb);
    assert_eq!(driver.status(), 0xb);
    driver.negotiate(0);
    driver.set_status(0xf);
    assert_eq!(driver.function().device().features, VERSION_1 | 1 << 5);
    driver.set_status(1);
    assert_eq!(driver.status(), 0xf, "bits are cleared by a reset only");
    driver.reset();
    assert_eq!(driver.status(), 0);
}

#[test]
fn queues_stand_still_once_enabled() {
    let mut driver = driver();
    driver.write(0x16, Size::Word, 0);
    for (register, size) in [(0x18, Size::Word), (0x20, Size::Dword), (0x24, Size::Dword), (0x28, Size::Qword)] {
        let before = driver.read(register, size);
        driver.write(register, size, 8);
        assert_eq!(driver.read(register, size), before);
    }
    driver.write(0x16, Size::Word, 2);
    assert_eq!(driver.read(0x18, Size::Word), 0, "there are queues 0 and 1");
    assert_eq!(driver.read(0x1c, Size::Word), 0);
    driver.write(0x20, Size::Dword, 1);
    driver.write(0x1a, Size::Word, 0);
    driver.write(0x1c, Size::Word, 1);
    driver.ring(2);
    driver.ring(900);
    assert_eq!(driver.status(), 0xf);
}

#[test]
fn queues_that_cannot_work_are_not_enabled() {
    // Size 0, not a power of two, too large; a ring outside RAM, half outside, misaligned.
    for (register, value) in
        [(0x18, 0), (0x18, 12), (0x18, 32), (0x20, 0xffff_fff0), (0x28, 0x3f_fffe), (0x30, 0x1_3002), (0x20, 0)]
    {
        let mut driver = Driver::new(Echo::default());
        driver.set_status(3);
        driver.negotiate(VERSION_1);
        driver.set_status(0xb);
        driver.set_up_queue(1);
        driver.write(0x16, Size::Word, 0);
        for (register, address) in [(0x20, 0x1_0000), (0x28, 0x1_2000), (0x30, 0x1_3000)] {
            driver.write(register, Size::Qword, address);
        }
        driver.write(register, if register == 0x18 { Size::Word } else { Size::Dword }, value);
        driver.write(0x1c, Size::Word, 1);
        assert_eq!(driver.read(0x1c, Size::Word), 0, "{register:#x} = {value:#x}");
        driver.set_status(0xf);
        driver.ring(0);
        assert_eq!(driver.status(), 0xf);
    }
}

#[test]
fn broken_chains_need_a_reset() {
    let descriptor = |address, length, flags, next| Descriptor { address, length, flags, next };
    let ok = descriptor(0x20_0000, 16, 0, 0);
    let bad: [(&str, &[Descriptor]); 8] = [
        ("a loop", &[descriptor(0x20_0000, 16, 1, 1), descriptor(0x20_0000, 16, 1, 0)]),
        ("a link outside the table", &[descriptor(0x20_0000, 16, 1, 16)]),
        ("more than 4 GiB", &[descriptor(0, 0xffff_ffff, 1, 1), ok]),
        ("not RAM", &[descriptor(0x3f_fff0, 17, 0, 0)]),
        ("address overflow", &[descriptor(u64::MAX - 3, 16, 0, 0)]),
        ("readable behind writable", &[descriptor(0x20_0000, 16, 3, 1), ok]),
        ("an indirect table of no whole descriptors", &[descriptor(0x20_0000, 15, 4, 0)]),
        ("an indirect table outside RAM", &[descriptor(0x4000_0000, 16, 4, 0)]),
    ];
    for (what, descriptors) in bad {
        let mut driver = driver();
        for (i, descriptor) in descriptors.iter().enumerate() {
            driver.describe(0, i as u16, *descriptor);
        }
        driver.make_available(0, 0);
        driver.bench.levels.take();
        driver.ring(0);
        assert_eq!(driver.used(0), None, "{what}");
        assert_eq!(driver.isr(), 2, "{what}");
        assert_needs_reset(&mut driver);
    }
}

#[test]
fn indirect_inside_indirect_and_endless_tables() {
    for (flags, entries) in [(4, 1), (1, 2000)] {
        let mut driver = driver();
        let table = driver.buffer(16 * entries);
        for i in 0..entries {
            let next = u64::from(i + 1) << 48;
            driver.fill(table + 16 * u64::from(i), &0x20_0000u64.to_le_bytes());
            driver.fill(table + 16 * u64::from(i) + 8, &(16 | flags << 32 | next).to_le_bytes());
        }
        driver.describe(0, 0, Descriptor { address: table, length: 16 * entries, flags: 4, next: 0 });
        driver.make_available(0, 0);
        driver.ring(0);
        assert_needs_reset(&mut driver);
    }
}

#[test]
fn broken_available_rings_need_a_reset() {
    let mut far = driver();
    far.set_available_index(0, 17);
    far.ring(0);
    assert_needs_reset(&mut far);
    let mut outside = driver();
    outside.make_available(0, 16);
    outside.ring(0);
    assert_needs_reset(&mut outside);
    let mut twice = driver();
    let request = twice.add(1, &[Part::In(1)]);
    twice.ring(1);
    twice.make_available(1, request.head);
    twice.ring(1);
    assert_needs_reset(&mut twice);
}

#[test]
fn requests_wait_for_bus_mastering() {
    let mut driver = driver();
    driver.function().config_write(4, Size::Word, 2);
    driver.add(0, &[Part::In(4)]);
    driver.ring(0);
    assert_eq!(driver.used(0), None);
    driver.function().config_write(4, Size::Word, 6);
    assert_eq!(driver.used(0), Some((0, 0)));
}

#[test]
fn a_reset_ends_when_the_back_end_is_done() {
    let mut driver = driver();
    driver.add(1, &[Part::In(1)]);
    driver.ring(1);
    driver.function().change(|echo, _| echo.busy = true);
    driver.set_status(0);
    assert_eq!(driver.status(), 0xf);
    driver.function().change(|echo, queues| {
        echo.busy = false;
        assert!(!queues.is_running() && queues.pop(1).is_none());
    });
    assert_eq!(driver.status(), 0);
    driver.set_up(0);
}

#[test]
fn held_requests_complete_out_of_order_and_can_be_taken_back() {
    let mut driver = driver();
    let first = driver.add(1, &[Part::Out(b"12"), Part::In(2)]);
    let second = driver.add(1, &[Part::Out(b"34"), Part::In(2)]);
    driver.ring(1);
    driver.function().change(|echo, queues| {
        let mut held = std::mem::take(&mut echo.held);
        Echo::answer(1, held.pop().unwrap(), queues);
        queues.unpop(1, &[]);
        Echo::answer(1, held.pop().unwrap(), queues);
    });
    assert_eq!(driver.used(1), Some((second.head, 2)));
    assert_eq!(driver.used(1), Some((first.head, 2)));
    let again = driver.add(1, &[Part::Out(b"56"), Part::In(2)]);
    driver.function().change(|_, queues| {
        let chain = queues.pop(1).unwrap();
        assert!(!queues.has_available(1));
        queues.unpop(1, &[chain]);
        assert!(queues.has_available(1));
    });
    driver.ring(1);
    driver.function().change(|echo, queues| Echo::answer(1, echo.held.pop().unwrap(), queues));
    assert_eq!(driver.used(1), Some((again.head, 2)));
}

#[derive(Clone, Default)]
struct Kicks(Arc<Mutex<Vec<u16>>>);
impl Kick for Kicks {
    fn kick(&self, index: u16) {
        self.0.lock().unwrap().push(index);
    }
}

#[test]
fn event_index() {
    let mut driver = Driver::new(Echo::default());
    let kicks = Kicks::default();
    driver.function().connect_kick(Box::new(kicks.clone()));
    assert_ne!(driver.offered() & EVENT_IDX, 0);
    driver.set_up(EVENT_IDX);
    driver.ask(0, &[Part::In(1)], 0).unwrap();
    assert_eq!(driver.isr(), 1, "used_event is 0, the first use passes it");
    driver.ask(0, &[Part::In(1)], 0).unwrap();
    assert_eq!(driver.isr(), 0, "the driver did not ask for the second");
    let avail_event = driver.bytes(0x1_3004 + 8 * 16, 2);
    assert_eq!(avail_event, [2, 0], "the third is to be rung for");
    // A round takes no more than a queue's worth; the rest is rung for again.
    driver.add(0, &[Part::In(1)]);
    driver.function().change(|echo, queues| {
        for _ in 0..16 {
            let chain = queues.pop(0).unwrap();
            queues.unpop(0, &[chain]);
        }
        assert!(queues.pop(0).is_none());
        echo.processed = 0;
    });
    assert_eq!(*kicks.0.lock().unwrap(), [0]);
}

#[test]
fn device_config_space() {
    let mut driver = driver();
    driver.set_config(0, b"abcdef");
    assert_eq!(driver.config::<8>(0), *b"abcdef\0\0");
    let read = |at: u64, size| driver.function().bar_read(4, 0x2000 + at, size);
    assert_eq!(read(4, Size::Qword), u64::from(u16::from_le_bytes(*b"ef")));
    assert_eq!(read(0xffe, Size::Qword), 0);
    driver.function().bar_write(4, 0x2004, Size::Qword, u64::MAX);
    assert_eq!(driver.function().device().config, *b"abcd\xff\xff");
}

#[test]
fn window_through_config_space() {
    let driver = driver();
    let window = driver.function().transport.window as u16;
    let function = &mut *driver.function();
    let mut aim = |bar, offset, length| {
        function.config_write(window + 4, Size::Byte, bar);
        function.config_write(window + 8, Size::Dword, offset);
        function.config_write(window + 12, Size::Dword, length);
        function.config_read(window + 16, Size::Dword)
    };
    assert_eq!(aim(4, 0x14, 1), 0xf);
    assert_eq!(aim(4, 0x12, 2), 2);
    for (bar, offset, length) in
        [(3, 0x14, 1), (4, 0x15, 2), (4, 0x4000, 4), (4, u32::MAX, 1), (4, 0x14, 3), (4, 0x14, 0)]
    {
        assert_eq!(aim(bar, offset, length), 0);
    }
    aim(4, 0x2000, 4);
    function.config_write(window + 16, Size::Dword, 0x6463_6261);
    assert_eq!(&function.device().config[..4], b"abcd");
}

#[test]
fn state() {
    let mut driver = driver();
    driver.add(1, &[Part::In(1)]);
    driver.ring(1);
    driver.ask(0, &[Part::In(1)], 0).unwrap();
    driver.set_config(0, b"config");
    check_state(&mut *driver.function(), Device::reset);
    assert!(driver.function().is_running());
    // The rings go on where they stood.
    assert_eq!(driver.ask(0, &[Part::Out(b"no"), Part::In(2)], 1), Some((b"on".to_vec(), 2)));
}

#[test]
fn impossible_states_are_refused() {
    use device::StateDyn;
    type Change = fn(&mut serde_json::Value);
    let changes: [Change; 9] = [
        |s| s["transport"]["status"] = 0x1f.into(),
        |s| s["transport"]["status"] = 0x07.into(),
        |s| s["transport"]["driver_features"] = (1u64 << 40).into(),
        |s| s["transport"]["config_vector"] = 3.into(),
        |s| s["transport"]["isr"] = 4.into(),
        |s| s["transport"]["queues"][0]["setup"]["size"] = 32.into(),
        |s| s["transport"]["queues"][0]["setup"]["used"] = u64::MAX.into(),
        |s| s["transport"]["queues"][1]["live"]["in_flight"] = vec![4].into(),
        |s| s["transport"]["queues"] = serde_json::json!([]),
    ];
    for (i, change) in changes.into_iter().enumerate() {
        let driver = driver();
        let mut section = driver.function().save_section().unwrap();
        change(&mut section.data);
        assert!(driver.function().restore_section(section).is_err(), "change {i}");
    }
}

#[test]
fn noise() {
    driver().make_noise(VERSION_1, |_, _| {});
}

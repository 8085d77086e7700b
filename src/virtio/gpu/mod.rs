//! GPU device (VIRTIO 1.2 §5.7), 2D: the guest draws in its own pages, says what is to be copied into a resource, and which
//! resource a head shows.
//!
//! A resource is memory that consoles map, so a scanout costs no copy; a transfer from guest pages is the only one. What a
//! driver can make the host hold is bounded: [`MAX_RESOURCES`] resources of [`MAX_BYTES`] together. Saved state has no pixels:
//! the guest's pages hold them, and they are transferred anew after a restore.

mod protocol;
mod resource;

use std::collections::BTreeMap;
use std::sync::Arc;

use api::ui::{MAX_CURSOR, MAX_SIDE, Rect};
use device::{Dma, Ram, RestoreError, State};
use display::edid::{DisplaySize, edid};
use display::{CursorImage, Output, Surfaces};
use serde::{Deserialize, Serialize};

use self::protocol::{
    Answer, Command, CursorCommand, ENTRY_BYTES, EVENT_DISPLAY, FEATURE_EDID, HEADER, Header, MAX_HEADS, Refusal,
    encode, u32_at, u64_at,
};
use self::resource::{Backing, Format, Resource};
use crate::chain::{Chain, Span};
use crate::queues::Queues;
use crate::virtio_device::{DeviceType, Identity, VirtioDevice};

/// Most resources at a time; each is a memfd.
pub const MAX_RESOURCES: usize = 256;
/// Most bytes of pixels at a time.
pub const MAX_BYTES: u64 = 256 << 20;
/// Most pieces of guest memory behind a resource.
const MAX_ENTRIES: u32 = 16384;
/// Bytes of pixels that are moved before others get their turn: some 20 ms.
const ROUND_BYTES: u64 = 64 << 20;
/// The least that a head's size may be.
const MIN_SIDE: u32 = 64;

const CONTROL: u16 = 0;
const CURSOR: u16 = 1;

/// What shows a picture on the same outputs while no driver has this device: a VGA.
pub trait Fallback: Send {
    /// The other one shows its picture from now on, or leaves the outputs. Called under this device's mutex.
    fn set_shown(&self, shown: bool);
}

/// The device.
pub struct Gpu {
    ram: Arc<Ram>,
    output: Arc<dyn Output>,
    surfaces: Arc<dyn Surfaces>,
    fallback: Option<Box<dyn Fallback>>,
    /// A driver has set a scanout since the last reset.
    driven: bool,
    /// Events that the driver did not clear.
    events: u32,
    resources: BTreeMap<u32, Resource>,
    heads: Vec<Head>,
    /// Restored, and the outputs do not know yet.
    restored: bool,
}

/// One output.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Head {
    /// What the person has room for.
    size: DisplaySize,
    /// What the driver shows: a resource and the part of it.
    scanout: Option<(u32, [u32; 4])>,
    /// The pointer's resource and hot spot.
    cursor: Option<(u32, u32, u32)>,
    cursor_at: (i32, i32),
}

/// The saved device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GpuState {
    driven: bool,
    events: u32,
    resources: Vec<ResourceState>,
    heads: Vec<Head>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ResourceState {
    id: u32,
    format: Format,
    width: u32,
    height: u32,
    /// Address and length of each piece.
    backing: Option<Vec<(u64, u32)>>,
}

impl Gpu {
    /// A device with `heads` outputs, 1 to 16, over the RAM behind `dma`. `fallback` shows its picture until a driver sets a scanout and after a reset.
    pub fn new(
        heads: usize,
        dma: &Dma,
        output: Arc<dyn Output>,
        surfaces: Arc<dyn Surfaces>,
        fallback: Option<Box<dyn Fallback>>,
    ) -> Self {
        let heads = vec![Head::default(); heads.clamp(1, MAX_HEADS)];
        Self {
            ram: Arc::new(dma.all_ram().clone()),
            output,
            surfaces,
            fallback,
            driven: false,
            events: 0,
            resources: BTreeMap::new(),
            heads,
            restored: false,
        }
    }

    /// Has a driver taken the outputs?
    pub fn is_driven(&self) -> bool {
        self.driven
    }

    /// The person has this much room on head `head`; the driver is told. Unknown heads and unchanged sizes are ignored.
    pub fn set_display_size(&mut self, head: u32, size: DisplaySize, queues: &mut Queues) {
        let size = in_range(size);
        let Some(head) = self.heads.get_mut(head as usize).filter(|head| head.size != size) else { return };
        head.size = size;
        self.events |= EVENT_DISPLAY;
        queues.config_changed();
    }

    /// Does a command of the control queue.
    fn obey(&mut self, command: Command, chain: &Chain) -> Result<Answer, Refusal> {
        match command {
            Command::GetDisplayInfo => return Ok(Answer::DisplayInfo(self.display_info())),
            Command::GetEdid { head } => {
                let head = self.heads.get(head as usize).ok_or(Refusal::Scanout)?;
                return Ok(Answer::Edid(edid(head.size).to_vec()));
            }
            Command::CreateResource { id, format, width, height } => self.create(id, format, width, height)?,
            Command::UnrefResource { id } => {
                self.resources.remove(&id).ok_or(Refusal::Resource)?;
                for head in 0..self.heads.len() {
                    if self.heads[head].scanout.is_some_and(|(shown, _)| shown == id) {
                        self.show(head, None);
                    }
                }
            }
            Command::SetScanout { rect, head, id } => self.set_scanout(head, id, rect)?,
            Command::Flush { rect, id } => self.flush(id, rect)?,
            Command::Transfer { rect, offset, id } => {
                let resource = self.resources.get(&id).ok_or(Refusal::Resource)?;
                if !resource.contains(rect) {
                    return Err(Refusal::Parameter);
                }
                if resource.backing.is_none() {
                    return Err(Refusal::Unspecified);
                }
                resource.transfer(rect, offset);
            }
            Command::AttachBacking { id, entries } => {
                let resource = self.resources.get_mut(&id).ok_or(Refusal::Resource)?;
                if resource.backing.is_some() || entries > MAX_ENTRIES {
                    return Err(Refusal::Unspecified);
                }
                let spans = entries_of(chain, entries).ok_or(Refusal::Parameter)?;
                resource.backing = Some(Backing::new(spans, &self.ram).ok_or(Refusal::Unspecified)?);
            }
            Command::DetachBacking { id } => {
                let resource = self.resources.get_mut(&id).ok_or(Refusal::Resource)?;
                resource.backing.take().ok_or(Refusal::Unspecified)?;
            }
        }
        Ok(Answer::Done)
    }

    /// Heads side by side.
    fn display_info(&self) -> Vec<(Rect, bool)> {
        let mut x = 0;
        let place = |head: &Head| {
            let rect = Rect { x, y: 0, width: head.size.width, height: head.size.height };
            x += rect.width;
            (rect, true)
        };
        self.heads.iter().map(place).collect()
    }

    fn create(&mut self, id: u32, format: u32, width: u32, height: u32) -> Result<(), Refusal> {
        if id == 0 || self.resources.contains_key(&id) {
            return Err(Refusal::Resource);
        }
        let format = Format::try_from(format).map_err(|_| Refusal::Parameter)?;
        let sides = 1..=MAX_SIDE;
        if !sides.contains(&width) || !sides.contains(&height) {
            return Err(Refusal::Parameter);
        }
        let bytes = Resource::bytes_of(width, height);
        let held: u64 = self.resources.values().map(|held| Resource::bytes_of(held.width, held.height)).sum();
        if self.resources.len() >= MAX_RESOURCES || held + bytes > MAX_BYTES {
            return Err(Refusal::OutOfMemory);
        }
        let memory = self.surfaces.allocate(bytes).map_err(|error| {
            tracing::warn!("no memory for a resource of {width}x{height}: {error}");
            Refusal::OutOfMemory
        })?;
        self.resources.insert(id, Resource { format, width, height, memory, backing: None });
        Ok(())
    }

    fn set_scanout(&mut self, head: u32, id: u32, rect: Rect) -> Result<(), Refusal> {
        let head = head as usize;
        if head >= self.heads.len() {
            return Err(Refusal::Scanout);
        }
        if id == 0 {
            self.show(head, None);
            return Ok(());
        }
        if !self.resources.get(&id).ok_or(Refusal::Resource)?.can_show(rect) {
            return Err(Refusal::Parameter);
        }
        if !self.driven {
            self.driven = true;
            self.set_fallback(false);
        }
        let scanout = Some((id, [rect.x, rect.y, rect.width, rect.height]));
        if self.heads[head].scanout != scanout {
            self.show(head, scanout);
        }
        Ok(())
    }

    /// Makes `scanout` what `head` shows, and tells.
    fn show(&mut self, head: usize, scanout: Option<(u32, [u32; 4])>) {
        self.heads[head].scanout = scanout;
        // Until a driver took them, the outputs are the other one's.
        if self.driven {
            self.tell(head);
        }
    }

    fn tell(&self, head: usize) {
        let scanout = self.heads[head].scanout.and_then(|(id, rect)| {
            let resource = self.resources.get(&id)?;
            Some(resource.scanout(rect_of(rect)))
        });
        self.output.scanout(head as u32, scanout);
    }

    fn set_fallback(&self, shown: bool) {
        if let Some(fallback) = &self.fallback {
            fallback.set_shown(shown);
        }
    }

    fn flush(&self, id: u32, rect: Rect) -> Result<(), Refusal> {
        if !self.resources.get(&id).ok_or(Refusal::Resource)?.contains(rect) {
            return Err(Refusal::Parameter);
        }
        for (head, Head { scanout, .. }) in self.heads.iter().enumerate() {
            let Some((_, part)) = scanout.filter(|(shown, _)| *shown == id) else { continue };
            let part = rect_of(part);
            // What of the rectangle lies in the part that is shown, counted from that part's corner.
            let (left, top) = (rect.x.max(part.x), rect.y.max(part.y));
            let right = (rect.x + rect.width).min(part.x + part.width);
            let bottom = (rect.y + rect.height).min(part.y + part.height);
            if left < right && top < bottom {
                let damage = Rect { x: left - part.x, y: top - part.y, width: right - left, height: bottom - top };
                self.output.damage(head as u32, damage);
            }
        }
        Ok(())
    }

    fn move_cursor(&mut self, CursorCommand { head: number, x, y, image }: CursorCommand) {
        let Some(head) = self.heads.get_mut(number as usize) else { return };
        head.cursor_at = (x, y);
        if let Some((id, hot_x, hot_y)) = image {
            head.cursor = (id != 0).then_some((id, hot_x, hot_y));
            self.tell_cursor(number);
        }
        self.output.cursor_moved(number, x, y);
    }

    fn tell_cursor(&self, number: u32) {
        let cursor = self.heads.get(number as usize).and_then(|head| head.cursor);
        let image = cursor.and_then(|(id, hot_x, hot_y)| {
            let resource = self.resources.get(&id)?;
            let (width, height) = (resource.width, resource.height);
            let fits = width <= MAX_CURSOR && height <= MAX_CURSOR && hot_x < width && hot_y < height;
            fits.then(|| CursorImage { width, height, hot_x, hot_y, pixels: resource.pixels() })
        });
        self.output.cursor(number, image);
    }

    /// Everything that a restored device shows, filled from the guest's pages.
    fn tell_all(&mut self) {
        self.resources.values().for_each(Resource::transfer_all);
        if self.driven {
            for head in 0..self.heads.len() {
                self.tell(head);
                self.tell_cursor(head as u32);
                let (x, y) = self.heads[head].cursor_at;
                self.output.cursor_moved(head as u32, x, y);
            }
        }
    }
}

fn in_range(size: DisplaySize) -> DisplaySize {
    let side = |pixels: u32| pixels.clamp(MIN_SIDE, MAX_SIDE);
    DisplaySize { width: side(size.width), height: side(size.height), ..size }
}

fn rect_of([x, y, width, height]: [u32; 4]) -> Rect {
    Rect { x, y, width, height }
}

/// The memory entries behind an attach command; `None` when there are fewer than it says.
fn entries_of(chain: &Chain, entries: u32) -> Option<Vec<Span>> {
    let mut bytes = vec![0; entries as usize * ENTRY_BYTES as usize];
    if !chain.read_at(HEADER + 8, &mut bytes) {
        return None;
    }
    let span = |entry: &[u8]| Span { address: u64_at(entry, 0), length: u32_at(entry, 8) };
    Some(bytes.chunks_exact(ENTRY_BYTES as usize).map(span).collect())
}

impl VirtioDevice for Gpu {
    fn identity(&self) -> Identity {
        Identity {
            device_type: DeviceType::Gpu,
            class: 0x038000,
            features: FEATURE_EDID,
            queue_sizes: vec![256, 16],
            config_length: 16,
        }
    }

    /// events_read, events_clear, num_scanouts, num_capsets.
    fn read_config(&self, at: u64, into: &mut [u8]) {
        let words = [self.events, 0, self.heads.len() as u32, 0];
        let bytes = words.into_iter().flat_map(u32::to_le_bytes).skip(at as usize);
        into.iter_mut().zip(bytes).for_each(|(into, byte)| *into = byte);
    }

    /// Only events_clear does anything.
    fn write_config(&mut self, at: u64, data: &[u8]) {
        for (at, byte) in (at..).zip(data) {
            if let Some(shift) = at.checked_sub(4).filter(|byte| *byte < 4) {
                self.events &= !(u32::from(*byte) << (8 * shift));
            }
        }
    }

    fn process(&mut self, queue: u16, queues: &mut Queues) {
        if std::mem::take(&mut self.restored) {
            self.tell_all();
        }
        let mut moved = 0;
        loop {
            if moved >= ROUND_BYTES {
                return queues.rest(queue);
            }
            let Some(chain) = queues.pop(queue) else { return };
            let mut written = 0;
            match queue {
                CURSOR => {
                    if let Some(command) = CursorCommand::of(&chain) {
                        self.move_cursor(command);
                    }
                }
                _ => {
                    debug_assert_eq!(queue, CONTROL);
                    if let Some(header) = Header::of(&chain) {
                        let answer = match Command::of(header, &chain) {
                            Some(command) => {
                                let answer = self.obey(command, &chain);
                                moved += if answer.is_ok() { command.bytes_moved() } else { 0 };
                                answer
                            }
                            None => Err(Refusal::Unspecified),
                        };
                        let bytes = encode(header, answer);
                        if chain.write_at(0, &bytes) {
                            written = bytes.len() as u32;
                        }
                    }
                }
            }
            queues.push(queue, chain, written);
        }
    }

    fn reset(&mut self) {
        let was_driven = std::mem::take(&mut self.driven);
        self.events = 0;
        self.restored = false;
        self.resources.clear();
        for (number, head) in self.heads.iter_mut().enumerate() {
            let Head { size: _, scanout, cursor, cursor_at } = head;
            (*scanout, *cursor, *cursor_at) = (None, None, (0, 0));
            if was_driven {
                self.output.cursor(number as u32, None);
                self.output.scanout(number as u32, None);
            }
        }
        self.set_fallback(true);
    }
}

impl State for Gpu {
    const KIND: &'static str = "virtio-gpu";
    type Saved = GpuState;

    fn save(&self) -> GpuState {
        let Self { ram: _, output: _, surfaces: _, fallback: _, driven, events, resources, heads, restored: _ } = self;
        let resource = |(&id, resource): (&u32, &Resource)| {
            let Resource { format, width, height, memory: _, backing } = resource;
            let spans = |backing: &Backing| backing.spans().iter().map(|span| (span.address, span.length)).collect();
            ResourceState { id, format: *format, width: *width, height: *height, backing: backing.as_ref().map(spans) }
        };
        GpuState {
            driven: *driven,
            events: *events,
            resources: resources.iter().map(resource).collect(),
            heads: heads.clone(),
        }
    }

    fn restore(&mut self, saved: GpuState) -> Result<(), RestoreError> {
        let GpuState { driven, events, resources, heads } = saved;
        self.reset();
        if heads.len() != self.heads.len() {
            return Err(Self::impossible("heads"));
        }
        for ResourceState { id, format, width, height, backing } in resources {
            if backing.as_ref().is_some_and(|backing| backing.len() > MAX_ENTRIES as usize) {
                return Err(Self::impossible("backing"));
            }
            self.create(id, format.into(), width, height).map_err(|_| Self::impossible("resources"))?;
            if let Some((resource, backing)) = self.resources.get_mut(&id).zip(backing) {
                let spans: Vec<_> = backing.into_iter().map(|(address, length)| Span { address, length }).collect();
                let backing = Backing::new(spans, &self.ram).ok_or_else(|| Self::impossible("backing"))?;
                resource.backing = Some(backing);
            }
        }
        for Head { size, scanout, cursor: _, cursor_at: _ } in &heads {
            let shown =
                |(id, rect): (u32, [u32; 4])| self.resources.get(&id).is_some_and(|r| r.can_show(rect_of(rect)));
            if *size != in_range(*size) || !scanout.is_none_or(shown) {
                return Err(Self::impossible("heads"));
            }
        }
        self.heads = heads;
        self.events = events & EVENT_DISPLAY;
        self.driven = driven;
        self.restored = true;
        self.set_fallback(!driven);
        Ok(())
    }
}

#[cfg(test)]
#[path = "gpu_test.rs"]
mod tests;

//! A pointer in a cage (X11: the X Input Extension's raw events, XFIXES' pointer barriers), on a connection of our own.
//!
//! Barriers around the display keep the pointer in it, and it is put back to the middle after each movement, so that it never stands
//! at one. There is no grab: buttons and wheel go to GTK as ever, and the server lifts the barriers when this program ends in whatever
//! way.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use gtk::gdk::prelude::*;
use gtk::glib;
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xfixes::{BarrierDirections, ConnectionExt as _};
use x11rb::protocol::xinput::{
    ConnectionExt as _, Device, DeviceClassData, DeviceId, EventMask, Fp3232, RawMotionEvent, ValuatorMode, XIEventMask,
};
use x11rb::protocol::xproto::{self, ConnectionExt as _};
use x11rb::rust_connection::{ReplyError, RustConnection};

use super::super::watch::Watch;
use super::Area;

/// The pointer is in the cage as long as this lives.
#[derive(Debug)]
pub(in super::super) struct Cage {
    server: Rc<Server>,
    _watch: Option<Watch>,
}

#[derive(Debug)]
struct Server {
    connection: RustConnection,
    window: xproto::Window,
    root: xproto::Window,
    /// The root window's size.
    screen: (f64, f64),
    /// The cage, in the window.
    area: Cell<Area>,
    barriers: Cell<Option<[u32; 4]>>,
    devices: RefCell<HashMap<DeviceId, Axes>>,
}

impl Cage {
    /// Takes the pointer.
    pub(super) fn new(
        surface: &gdk4_x11::X11Surface,
        area: Area,
        moved: impl Fn((f64, f64)) + 'static,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let (connection, screen) = RustConnection::connect(Some(surface.display().name().as_str()))?;
        let screen = &connection.setup().roots[screen];
        let server = Rc::new(Server {
            window: u32::try_from(surface.xid())?,
            root: screen.root,
            screen: (screen.width_in_pixels.into(), screen.height_in_pixels.into()),
            connection,
            area: Cell::new(area),
            barriers: Cell::new(None),
            devices: RefCell::default(),
        });
        server.prepare()?;
        server.place()?;
        server.to_middle()?;
        let weak = Rc::downgrade(&server);
        let watch = Watch::new(server.connection.stream(), glib::IOCondition::IN, glib::Priority::DEFAULT, move || {
            let Some(server) = weak.upgrade() else { return glib::ControlFlow::Break };
            match server.movement() {
                Ok((0.0, 0.0)) => {}
                Ok(way) => moved(way),
                Err(error) => {
                    tracing::warn!("movements of the captured pointer: {error}");
                    return glib::ControlFlow::Break;
                }
            }
            glib::ControlFlow::Continue
        });
        Ok(Self { server, _watch: watch })
    }

    /// Puts the cage here.
    pub(super) fn place(&self, area: Area) {
        if self.server.area.replace(area) != area
            && let Err(error) = self.server.place()
        {
            tracing::warn!("the captured pointer's cage: {error}");
        }
    }
}

impl Server {
    fn prepare(&self) -> Result<(), ReplyError> {
        // The first versions with raw events during grabs, and with barriers.
        self.connection.xinput_xi_query_version(2, 2)?.reply()?;
        self.connection.xfixes_query_version(5, 0)?.reply()?;
        let mask = EventMask { deviceid: Device::ALL_MASTER.into(), mask: vec![XIEventMask::RAW_MOTION] };
        self.connection.xinput_xi_select_events(self.root, &[mask])?.check()?;
        let moves = xproto::ChangeWindowAttributesAux::new().event_mask(xproto::EventMask::STRUCTURE_NOTIFY);
        self.connection.change_window_attributes(self.window, &moves)?.check()
    }

    /// Puts barriers around the area, wherever its window is now.
    fn place(&self) -> Result<(), ReplyError> {
        let area = self.area.get();
        let corner = self.connection.translate_coordinates(self.window, self.root, area.x, area.y)?.reply()?;
        // What is beyond the screen's first line needs no barrier of its own.
        let [left, top] = [corner.dst_x, corner.dst_y].map(|edge| u16::try_from(edge).unwrap_or(0));
        let edge = |edge: i16, length: u16| u16::try_from(i32::from(edge) + i32::from(length)).unwrap_or(0);
        let (right, bottom) = (edge(corner.dst_x, area.width), edge(corner.dst_y, area.height));
        self.lift()?;
        let mut barriers = [0; 4];
        let lines = [(left, top, left, bottom), (right, top, right, bottom)]
            .into_iter()
            .chain([(left, top, right, top), (left, bottom, right, bottom)]);
        for (barrier, (x1, y1, x2, y2)) in barriers.iter_mut().zip(lines) {
            *barrier = self.connection.generate_id().map_err(|_| x11rb::errors::ConnectionError::UnknownError)?;
            let nowhere = BarrierDirections::from(0u8);
            self.connection.xfixes_create_pointer_barrier(*barrier, self.root, x1, y1, x2, y2, nowhere, &[])?;
        }
        self.barriers.set(Some(barriers));
        Ok(self.connection.flush()?)
    }

    fn lift(&self) -> Result<(), ReplyError> {
        for barrier in self.barriers.take().into_iter().flatten() {
            self.connection.xfixes_delete_pointer_barrier(barrier)?;
        }
        Ok(())
    }

    fn to_middle(&self) -> Result<(), ReplyError> {
        let Area { x, y, width, height } = self.area.get();
        let middle = |edge: i16, length: u16| edge.saturating_add_unsigned(length / 2);
        self.connection.warp_pointer(x11rb::NONE, self.window, 0, 0, 0, 0, middle(x, width), middle(y, height))?;
        Ok(self.connection.flush()?)
    }

    /// How far the pointer went since it was asked last.
    fn movement(&self) -> Result<(f64, f64), ReplyError> {
        let mut way = (0.0, 0.0);
        let mut stands = true;
        while let Some(event) = self.connection.poll_for_event()? {
            match event {
                Event::XinputRawMotion(event) => {
                    let (dx, dy) = self.motion(&event)?;
                    way = (way.0 + dx, way.1 + dy);
                    stands = false;
                }
                Event::ConfigureNotify(_) => self.place()?,
                _ => {}
            }
        }
        if !stands {
            self.to_middle()?;
        }
        Ok(way)
    }

    fn motion(&self, event: &RawMotionEvent) -> Result<(f64, f64), ReplyError> {
        let mut devices = self.devices.borrow_mut();
        let axes = match devices.entry(event.sourceid) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => {
                let device = self.connection.xinput_xi_query_device(event.sourceid)?.reply()?;
                let classes = device.infos.iter().flat_map(|info| &info.classes).map(|class| &class.data);
                entry.insert(Axes::new(classes, self.screen))
            }
        };
        Ok(axes.movement(&event.valuator_mask, &event.axisvalues_raw))
    }
}

/// A device's first two axes, across and down.
#[derive(Debug, Default)]
struct Axes([Axis; 2]);

#[derive(Debug, Default)]
enum Axis {
    /// Tells movements, as a mouse does.
    #[default]
    Relative,
    /// Tells positions, as a tablet does: one of its units is this much of a screen's pixel.
    Absolute { pixels: f64, last: Option<f64> },
}

impl Axes {
    fn new<'a>(classes: impl Iterator<Item = &'a DeviceClassData>, screen: (f64, f64)) -> Self {
        let mut axes = Self::default();
        for class in classes {
            if let DeviceClassData::Valuator(valuator) = class
                && valuator.mode == ValuatorMode::ABSOLUTE
                && let Some(axis) = axes.0.get_mut(usize::from(valuator.number))
            {
                let range = number(valuator.max) - number(valuator.min);
                let side = if valuator.number == 0 { screen.0 } else { screen.1 };
                *axis = Axis::Absolute { pixels: if range > 0.0 { side / range } else { 1.0 }, last: None };
            }
        }
        axes
    }

    /// The movement in an event: a bit for each axis that has a value, and the values.
    fn movement(&mut self, mask: &[u32], values: &[Fp3232]) -> (f64, f64) {
        let mut values = values.iter().copied().map(number);
        let mask = mask.first().copied().unwrap_or(0);
        let [x, y] = [0, 1].map(|index| {
            let value = if mask & (1 << index) != 0 { values.next() } else { None };
            value.map_or(0.0, |value| self.0[index].movement(value))
        });
        (x, y)
    }
}

impl Axis {
    fn movement(&mut self, value: f64) -> f64 {
        match self {
            Self::Relative => value,
            Self::Absolute { pixels, last } => last.replace(value).map_or(0.0, |last| (value - last) * *pixels),
        }
    }
}

fn number(value: Fp3232) -> f64 {
    f64::from(value.integral) + f64::from(value.frac) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use x11rb::protocol::xinput::DeviceClassDataValuator;

    use super::*;

    fn fixed(integral: i32) -> Fp3232 {
        Fp3232 { integral, frac: 0 }
    }

    #[test]
    fn mice_tell_movements() {
        let mut mouse = Axes::default();
        assert_eq!(mouse.movement(&[0b11], &[fixed(-3), fixed(7)]), (-3.0, 7.0));
        // One axis, or only a wheel.
        assert_eq!(mouse.movement(&[0b10], &[fixed(7)]), (0.0, 7.0));
        assert_eq!(mouse.movement(&[0b1000], &[fixed(120)]), (0.0, 0.0));
        assert_eq!(mouse.movement(&[0b11], &[]), (0.0, 0.0));
        assert_eq!(mouse.movement(&[], &[]), (0.0, 0.0));
    }

    #[test]
    fn tablets_tell_positions() {
        let axis = |number, max| {
            DeviceClassData::Valuator(DeviceClassDataValuator {
                number,
                label: 0,
                min: fixed(0),
                max: fixed(max),
                value: fixed(0),
                resolution: 0,
                mode: ValuatorMode::ABSOLUTE,
            })
        };
        let classes = [axis(0, 32768), axis(1, 32768), axis(7, 0)];
        let mut tablet = Axes::new(classes.iter(), (1024.0, 512.0));
        assert_eq!(tablet.movement(&[0b11], &[fixed(320), fixed(640)]), (0.0, 0.0));
        assert_eq!(tablet.movement(&[0b11], &[fixed(640), fixed(640)]), (10.0, 0.0));
        assert_eq!(tablet.movement(&[0b10], &[fixed(0)]), (0.0, -10.0));
    }

    #[test]
    fn fractions() {
        assert_eq!(number(Fp3232 { integral: -2, frac: 1 << 31 }), -1.5);
    }
}

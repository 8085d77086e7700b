//! The widget that shows a machine's screen and takes the person's input.
//!
//! It owns the [`Console`]. Messages are handled when its descriptor is readable; the picture is renewed once per frame of the frame
//! clock and then acknowledged, so the engine is paced by the monitor and sends nothing to a window nobody sees.
//!
//! Signals: `picture-size(width, height)` when the guest's screen has another size (0, 0: there is no picture), `captured(bool)` when the
//! pointer is taken or let go, `sound` when there may be something new of the guest's sound, `ended(sentence)` when the connection is over.

use std::cell::{Cell, RefCell};
use std::sync::LazyLock;

use console::us_layout::Press;
use console::{Changes, Console, Error, Frame, Leds, SoundEvent};
use gtk::glib::subclass::Signal;
use gtk::prelude::*;
use gtk::subclass::prelude::*;
use gtk::{gdk, glib, graphene, gsk};

use super::hold::Hold;
use super::host::Host;
use super::watch::Watch;
use super::{keyboard, pointer};
use console::geometry::{Placement, Scaling, logical_length};

/// An engine is heard after the person, and after frames are drawn (GTK draws at 120).
const ENGINE: glib::Priority = glib::Priority::DEFAULT_IDLE;

mod imp {
    use super::*;

    #[derive(Default)]
    pub struct Display {
        pub(super) console: RefCell<Option<Console>>,
        /// The last frame, as GTK has it.
        pub(super) texture: RefCell<Option<gdk::Texture>>,
        pub(super) cursor: RefCell<Option<gdk::Texture>>,
        pub(super) captured: Cell<bool>,
        /// Of a captured pointer, where the desktop can.
        pub(super) hold: RefCell<Option<Hold>>,
        pub(in super::super) motion: pointer::Motion,
        pub(super) readable: RefCell<Option<Watch>>,
        pub(super) writable: RefCell<Option<Watch>>,
        scale_watch: RefCell<Option<(gdk::Surface, glib::SignalHandlerId)>>,
        pub(super) tick: RefCell<Option<gtk::TickCallbackId>>,
        pub(super) scaling: Cell<Scaling>,
        pub(in super::super) resize: RefCell<Option<glib::SourceId>>,
        /// Device pixels that the guest was told last.
        pub(in super::super) told: Cell<(u32, u32)>,
        /// The guest's screen does not follow the window.
        pub(in super::super) fixed: Cell<bool>,
        pub(super) host: RefCell<Host>,
        /// Are playback and the microphone wanted?
        pub(super) sound: Cell<(bool, bool)>,
    }

    #[glib::object_subclass]
    impl ObjectSubclass for Display {
        const NAME: &'static str = "DormerDisplay";
        type Type = super::Display;
        type ParentType = gtk::Widget;

        fn class_init(class: &mut Self::Class) {
            class.set_css_name("machine-display");
            class.set_accessible_role(gtk::AccessibleRole::Application);
        }
    }

    impl ObjectImpl for Display {
        fn constructed(&self) {
            self.parent_constructed();
            let display = self.obj();
            display.set_focusable(true);
            display.set_hexpand(true);
            display.set_vexpand(true);
            display.set_overflow(gtk::Overflow::Hidden);
            keyboard::install(&display);
            pointer::install(&display);
        }

        fn dispose(&self) {
            self.obj().detach();
        }

        fn signals() -> &'static [Signal] {
            static SIGNALS: LazyLock<Vec<Signal>> = LazyLock::new(|| {
                vec![
                    Signal::builder("picture-size").param_types([u32::static_type(), u32::static_type()]).build(),
                    Signal::builder("captured").param_types([bool::static_type()]).build(),
                    Signal::builder("sound").build(),
                    Signal::builder("ended").param_types([String::static_type()]).build(),
                ]
            });
            &SIGNALS
        }
    }

    impl WidgetImpl for Display {
        fn measure(&self, orientation: gtk::Orientation, _for_size: i32) -> (i32, i32, i32, i32) {
            let (across, natural) = (orientation == gtk::Orientation::Horizontal, (1024, 768));
            let least = self.obj().least_size();
            let (least, natural) = if across { (least.0, natural.0) } else { (least.1, natural.1) };
            (least, natural.max(least), -1, -1)
        }

        fn size_allocate(&self, width: i32, height: i32, baseline: i32) {
            self.parent_size_allocate(width, height, baseline);
            self.obj().tell_size_soon();
            if let Some(hold) = self.hold.borrow().as_ref() {
                hold.follow(&self.obj());
            }
        }

        fn snapshot(&self, snapshot: &gtk::Snapshot) {
            let display = self.obj();
            let bounds = graphene::Rect::new(0.0, 0.0, display.width() as f32, display.height() as f32);
            snapshot.append_color(&gdk::RGBA::BLACK, &bounds);
            let texture = self.texture.borrow();
            let (Some(texture), Some(place)) = (texture.as_ref(), display.placement()) else { return };
            let area = graphene::Rect::new(place.x as f32, place.y as f32, place.width as f32, place.height as f32);
            let filter = if place.whole { gsk::ScalingFilter::Nearest } else { gsk::ScalingFilter::Linear };
            snapshot.append_scaled_texture(texture, filter, &area);
            if self.captured.get() {
                self.snapshot_cursor(snapshot, place, texture);
            }
        }

        fn realize(&self) {
            self.parent_realize();
            // On a monitor of another density the same size has other pixels.
            let surface = self.obj().native().and_then(|native| native.surface());
            let weak = self.obj().downgrade();
            let watch = surface.map(|surface| {
                let handler = surface.connect_scale_notify(move |_| {
                    if let Some(display) = weak.upgrade() {
                        display.queue_resize();
                        display.tell_size_soon();
                    }
                });
                (surface, handler)
            });
            self.scale_watch.replace(watch);
        }

        fn unrealize(&self) {
            if let Some((surface, handler)) = self.scale_watch.take() {
                surface.disconnect(handler);
            }
            self.obj().release_pointer();
            self.parent_unrealize();
        }
    }

    impl Display {
        /// The guest's pointer, where the guest has put it: the desktop's own is hidden while captured.
        fn snapshot_cursor(&self, snapshot: &gtk::Snapshot, place: Placement, picture: &gdk::Texture) {
            let (console, texture) = (self.console.borrow(), self.cursor.borrow());
            let (Some(console), Some(texture)) = (console.as_ref(), texture.as_ref()) else { return };
            let Some(cursor) = console.cursor() else { return };
            let zoom = place.width / f64::from(picture.width());
            let (x, y) = console.cursor_at();
            let left = place.x + (f64::from(x) - f64::from(cursor.hot_x)) * zoom;
            let top = place.y + (f64::from(y) - f64::from(cursor.hot_y)) * zoom;
            let size = (f64::from(cursor.width) * zoom, f64::from(cursor.height) * zoom);
            let area = graphene::Rect::new(left as f32, top as f32, size.0 as f32, size.1 as f32);
            snapshot.append_texture(texture, &area);
        }
    }
}

glib::wrapper! {
    /// The widget that shows a machine's screen.
    pub struct Display(ObjectSubclass<imp::Display>)
        @extends gtk::Widget,
        @implements gtk::Accessible, gtk::Buildable, gtk::ConstraintTarget;
}

impl Default for Display {
    fn default() -> Self {
        glib::Object::new()
    }
}

impl Display {
    /// Shows this console from now on.
    pub(crate) fn attach(&self, console: Console) {
        self.detach();
        self.imp().console.replace(Some(console));
        self.imp().told.set((0, 0));
        let readable = self.watch(glib::IOCondition::IN, |display| {
            display.dispatch();
            // Removed by `detach`, which `dispatch` may have called.
            glib::ControlFlow::Continue
        });
        self.imp().readable.replace(readable);
        let (listen, microphone) = self.imp().sound.get();
        // What has no card needs no word about it.
        if listen {
            self.tell(|console| console.want_sound(listen, microphone));
        }
        self.tell_size_soon();
        self.update_cursor();
    }

    /// Lets the console go. What it last showed stays.
    pub(crate) fn detach(&self) {
        let imp = self.imp();
        imp.readable.take();
        imp.writable.take();
        if let Some(source) = imp.resize.take() {
            source.remove();
        }
        if let Some(tick) = imp.tick.take() {
            tick.remove();
        }
        self.release_pointer();
        if imp.console.take().is_some() {
            self.emit_by_name::<()>("sound", &[]);
        }
    }

    /// Asks for the machine's sound, and lets the guest hear the microphone, from now on and with each console.
    pub(super) fn want_sound(&self, listen: bool, microphone: bool) {
        if self.imp().sound.replace((listen, microphone)) != (listen, microphone) {
            self.tell(|console| console.want_sound(listen, microphone));
            // What is not wanted any more has ended.
            self.emit_by_name::<()>("sound", &[]);
        }
    }

    /// What became of the guest's sound; nothing is to be heard when nothing is attached.
    pub(super) fn take_sound(&self) -> Option<Vec<SoundEvent>> {
        self.imp().console.borrow_mut().as_mut().map(Console::take_sound)
    }

    /// Does the guest record what the microphone hears?
    pub(super) fn is_recorded(&self) -> bool {
        self.imp().console.borrow().as_ref().is_some_and(Console::is_recorded)
    }

    /// What the screen shows, for a small picture elsewhere.
    pub(crate) fn texture(&self) -> Option<gdk::Texture> {
        self.imp().texture.borrow().clone()
    }

    /// How large the picture is from now on.
    pub(super) fn set_scaling(&self, scaling: Scaling) {
        self.imp().scaling.set(scaling);
        self.queue_resize();
    }

    /// What the picture needs at least, in logical pixels: more than there may be room for when it is not scaled.
    fn least_size(&self) -> (i32, i32) {
        let texture = self.imp().texture.borrow();
        let Some(texture) = texture.as_ref().filter(|_| self.imp().scaling.get() == Scaling::Actual) else {
            return (1, 1);
        };
        let (_, scale) = self.surface_place();
        (logical_length(texture.width() as u32, scale), logical_length(texture.height() as u32, scale))
    }

    /// Presses the keys for a character.
    pub(super) fn press(&self, press: Press) {
        self.tell(|console| console.chord(&press.codes(console.leds().caps)));
    }

    /// Lock LEDs of the guest's keyboard.
    pub(super) fn leds(&self) -> Leds {
        self.imp().console.borrow().as_ref().map(Console::leds).unwrap_or_default()
    }

    /// Has the engine not read everything yet?
    pub(super) fn is_behind(&self) -> bool {
        self.imp().console.borrow().as_ref().is_some_and(Console::has_backlog)
    }

    /// Presses keys together and releases them.
    pub(crate) fn chord(&self, codes: &[u16]) {
        self.tell(|console| console.chord(codes));
    }

    /// Everything the person holds down is up for the guest.
    pub(crate) fn release_keys(&self) {
        self.host().borrow_mut().forget();
        self.tell(Console::release_all);
    }

    /// Which keys are the console's.
    pub(super) fn host(&self) -> &RefCell<Host> {
        &self.imp().host
    }

    /// Does the guest take absolute positions? None when nothing is attached.
    pub(super) fn absolute(&self) -> Option<bool> {
        self.imp().console.borrow().as_ref().map(Console::absolute)
    }

    /// Does the pointer belong to the guest alone?
    pub(crate) fn is_captured(&self) -> bool {
        self.imp().captured.get()
    }

    /// Does the desktop hold the captured pointer, and tell its movements?
    pub(super) fn is_held(&self) -> bool {
        self.imp().hold.borrow().is_some()
    }

    /// Gives the pointer to the guest alone.
    pub(super) fn capture_pointer(&self) {
        if !self.imp().captured.replace(true) {
            self.update_cursor();
            self.imp().hold.replace(pointer::hold(self));
            self.emit_by_name::<()>("captured", &[&true]);
        }
    }

    /// Gives the pointer back to the desktop.
    pub(crate) fn release_pointer(&self) {
        if self.imp().captured.replace(false) {
            self.imp().hold.take();
            self.imp().motion.forget();
            self.update_cursor();
            self.emit_by_name::<()>("captured", &[&false]);
        }
    }

    /// Where the picture stands now.
    pub(super) fn placement(&self) -> Option<Placement> {
        let texture = self.imp().texture.borrow();
        let texture = texture.as_ref()?;
        let size = (texture.width() as u32, texture.height() as u32);
        let room = (self.width().into(), self.height().into());
        Placement::new(size, room, self.surface_place(), self.imp().scaling.get())
    }

    /// The widget's origin in its surface, and device pixels per logical one.
    pub(super) fn surface_place(&self) -> ((f64, f64), f64) {
        let Some(native) = self.native() else { return ((0.0, 0.0), 1.0) };
        let transform = native.surface_transform();
        let origin = self.compute_point(&native, &graphene::Point::zero()).unwrap_or_else(graphene::Point::zero);
        let scale = native.surface().map_or(1.0, |surface| surface.scale());
        ((f64::from(origin.x()) + transform.0, f64::from(origin.y()) + transform.1), scale)
    }

    /// Sends input. A connection that is over ends the console.
    pub(super) fn tell(&self, say: impl FnOnce(&mut Console) -> Result<(), Error>) {
        let (result, backlog) = match self.imp().console.borrow_mut().as_mut() {
            Some(console) => (say(console), console.has_backlog()),
            None => return,
        };
        match result {
            Ok(()) if backlog => self.flush_when_writable(),
            Ok(()) => {}
            Err(error) => self.end(&error),
        }
    }

    /// Calls back while the connection is readable or writable.
    fn watch(
        &self,
        condition: glib::IOCondition,
        call: impl Fn(&Self) -> glib::ControlFlow + 'static,
    ) -> Option<Watch> {
        let console = self.imp().console.borrow();
        let display = self.downgrade();
        Watch::new(console.as_ref()?, condition, ENGINE, move || {
            display.upgrade().map_or(glib::ControlFlow::Break, |display| call(&display))
        })
    }

    fn flush_when_writable(&self) {
        if self.imp().writable.borrow().is_some() {
            return;
        }
        let source = self.watch(glib::IOCondition::OUT, |display| {
            let flushed = match display.imp().console.borrow_mut().as_mut() {
                Some(console) => console.flush().map(|()| console.has_backlog()),
                None => Ok(false),
            };
            if let Ok(true) = flushed {
                return glib::ControlFlow::Continue;
            }
            display.imp().writable.take();
            if let Err(error) = flushed {
                display.end(&error);
            }
            glib::ControlFlow::Break
        });
        self.imp().writable.replace(source);
    }

    fn dispatch(&self) {
        let result = match self.imp().console.borrow_mut().as_mut() {
            Some(console) => console.dispatch(),
            None => return,
        };
        let changes = match result {
            Ok(changes) => changes,
            Err(error) => return self.end(&error),
        };
        if changes.contains(Changes::PICTURE) {
            self.draw_soon();
        }
        if changes.contains(Changes::CURSOR) {
            self.imp().cursor.replace(self.imp().console.borrow().as_ref().and_then(cursor_texture));
        }
        if changes.contains(Changes::SOUND) {
            self.emit_by_name::<()>("sound", &[]);
        }
        if changes.contains(Changes::POINTER_MODE) && self.absolute() == Some(true) {
            self.release_pointer();
        }
        if changes.intersects(Changes::CURSOR | Changes::POINTER_MODE) {
            self.update_cursor();
        }
        if changes.intersects(Changes::CURSOR | Changes::CURSOR_AT) && self.is_captured() {
            self.queue_draw();
        }
    }

    fn end(&self, error: &Error) {
        self.detach();
        self.emit_by_name::<()>("ended", &[&error.to_string()]);
    }

    /// Renews the picture at the next frame of the frame clock.
    fn draw_soon(&self) {
        if self.imp().tick.borrow().is_some() {
            return;
        }
        let tick = self.add_tick_callback(|display, _| {
            display.imp().tick.take();
            display.renew();
            glib::ControlFlow::Break
        });
        self.imp().tick.replace(Some(tick));
    }

    fn renew(&self) {
        let imp = self.imp();
        let (frame, has_picture) = match imp.console.borrow_mut().as_mut() {
            Some(console) => (console.refresh(), console.has_picture()),
            None => return,
        };
        let size = |texture: &Option<gdk::Texture>| texture.as_ref().map_or((0, 0), |it| (it.width(), it.height()));
        let before = size(&imp.texture.borrow());
        if let Some(frame) = frame {
            let texture = texture(frame, imp.texture.borrow().as_ref());
            imp.texture.replace(Some(texture));
        } else if !has_picture {
            imp.texture.take();
        }
        let after = size(&imp.texture.borrow());
        self.queue_draw();
        self.tell(Console::frame_done);
        if before != after {
            self.queue_resize();
            self.emit_by_name::<()>("picture-size", &[&(after.0 as u32), &(after.1 as u32)]);
        }
    }

    /// The desktop's pointer over the widget looks like the guest's.
    fn update_cursor(&self) {
        let cursor = match self.absolute() {
            None => None,
            Some(false) if !self.is_captured() => None,
            Some(false) => gdk::Cursor::from_name("none", None),
            Some(true) => {
                let (console, texture) = (self.imp().console.borrow(), self.imp().cursor.borrow());
                match (console.as_ref().and_then(Console::cursor), texture.as_ref()) {
                    (Some(cursor), Some(texture)) => {
                        Some(gdk::Cursor::from_texture(texture, cursor.hot_x as i32, cursor.hot_y as i32, None))
                    }
                    _ => gdk::Cursor::from_name("none", None),
                }
            }
        };
        self.set_cursor(cursor.as_ref());
    }
}

/// A frame as a texture that knows what differs from the last one: GTK repaints only that.
fn texture(frame: Frame, last: Option<&gdk::Texture>) -> gdk::Texture {
    let (width, height, stride) = (frame.width() as i32, frame.height() as i32, frame.stride());
    let damage = frame.damage();
    let builder = gdk::MemoryTextureBuilder::new()
        .set_width(width)
        .set_height(height)
        .set_stride(stride)
        .set_format(gdk::MemoryFormat::B8g8r8x8)
        .set_bytes(Some(&glib::Bytes::from_owned(frame)));
    let same_size = last.filter(|last| last.width() == width && last.height() == height);
    if let Some(last) = same_size {
        let rect =
            gtk::cairo::RectangleInt::new(damage.x as i32, damage.y as i32, damage.width as i32, damage.height as i32);
        let region = gtk::cairo::Region::create_rectangle(&rect);
        builder.set_update_texture(Some(last)).set_update_region(Some(&region)).build()
    } else {
        builder.build()
    }
}

fn cursor_texture(console: &Console) -> Option<gdk::Texture> {
    let cursor = console.cursor()?;
    let texture = gdk::MemoryTexture::new(
        cursor.width as i32,
        cursor.height as i32,
        gdk::MemoryFormat::B8g8r8a8Premultiplied,
        &glib::Bytes::from(&cursor.pixels),
        cursor.width as usize * 4,
    );
    Some(texture.upcast())
}

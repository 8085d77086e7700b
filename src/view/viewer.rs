//! The window: what the desktop says goes to the machine, and what the machine shows to the desktop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use api::input::Axis;
use console::geometry::{Placement, Scaling};
use console::{Changes, Console};
use library::control::Client;
use winit::application::ApplicationHandler;
use winit::dpi::{PhysicalPosition, PhysicalSize};
use winit::event::{DeviceEvent, DeviceId, ElementState, MouseButton, MouseScrollDelta, WindowEvent};
use winit::event_loop::{ActiveEventLoop, ControlFlow, EventLoopProxy};
use winit::monitor::MonitorHandle;
use winit::platform::wayland::WindowAttributesExtWayland;
use winit::platform::x11::ActiveEventLoopExtX11;
use winit::window::{CursorGrabMode, Fullscreen, Window, WindowId};

use crate::cursor;
use crate::detach::detach;
use crate::ending::Fate;
use crate::keyboard::{self, Keyboard, Meaning};
use crate::pointer::{self, Pairs, Rest};
use crate::screen::Screen;
use crate::sound::Sound;
use crate::watch::{Wake, Watch};

/// The desktop finds name and icon by this.
const APP: &str = "io.github.dormer_vm.Dormer";
/// A window for a machine whose screen is off.
const SIZE: (u32, u32) = (800, 600);
/// How much of a monitor a window fills at most, by itself.
const MOST: f64 = 0.9;
/// What a monitor is taken for that nobody knows.
const UNKNOWN_MONITOR: PhysicalSize<u32> = PhysicalSize::new(3840, 2160);
/// How soon input that the engine did not take is sent again.
const AGAIN: Duration = Duration::from_millis(20);

/// What the command line says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) fullscreen: bool,
    pub(crate) scaling: Scaling,
    pub(crate) detach: bool,
}

/// A machine and its window.
pub(crate) struct Viewer {
    pub(crate) console: Console,
    control: Option<Client>,
    pub(crate) sound: Sound,
    watches: (Watch, Option<Watch>),
    options: Options,
    shown: Option<(Arc<Window>, Screen)>,
    keyboard: Keyboard,
    motion: Rest,
    /// On X11.
    pairs: Pairs,
    wheel: Rest,
    /// The pointer is the machine's alone.
    pub(crate) captured: bool,
    pub(crate) fate: Fate,
    /// There is no more to see, and why.
    pub(crate) ended: Option<String>,
    /// The window's title.
    said: String,
    /// The window cannot go on.
    failure: Option<anyhow::Error>,
}

impl Viewer {
    /// A machine that has greeted; its window comes with the event loop.
    pub(crate) fn new(
        mut console: Console,
        mut control: Option<Client>,
        sound: Sound,
        options: Options,
        wakes: &EventLoopProxy<Wake>,
    ) -> Result<Self> {
        sound.ask(&mut console)?;
        let screen = Watch::new(&console, Wake::Screen, wakes.clone())?;
        let events = control.as_ref().map(|control| Watch::new(control, Wake::Control, wakes.clone())).transpose()?;
        Ok(Self {
            console,
            fate: control.as_mut().map(Fate::of).unwrap_or_default(),
            control,
            sound,
            watches: (screen, events),
            options,
            shown: None,
            keyboard: Keyboard::default(),
            motion: Rest::default(),
            pairs: Pairs::default(),
            wheel: Rest::default(),
            captured: false,
            ended: None,
            said: String::new(),
            failure: None,
        })
    }

    /// How it came out.
    pub(crate) fn finish(self) -> Result<()> {
        match (self.failure, self.ended) {
            (Some(failure), _) => Err(failure),
            (None, Some(why)) => Err(anyhow!(why)),
            (None, None) => Ok(()),
        }
    }

    /// The machine's name.
    pub(crate) fn name(&self) -> &str {
        self.console.name()
    }

    fn open(&mut self, event_loop: &ActiveEventLoop) -> Result<()> {
        let frame = self.console.refresh();
        let size = frame.as_ref().map_or(SIZE, |frame| (frame.width(), frame.height()));
        let monitor = event_loop.primary_monitor().or_else(|| event_loop.available_monitors().next());
        let attributes = Window::default_attributes()
            .with_title(self.title())
            .with_inner_size(bounded(monitor, PhysicalSize::from(size)))
            .with_fullscreen(self.options.fullscreen.then_some(Fullscreen::Borderless(None)))
            .with_name(APP, "dormer-view");
        let window = Arc::new(event_loop.create_window(attributes).context("the display takes no window")?);
        let mut screen = Screen::new(window.clone())?;
        if let Some(frame) = frame {
            screen.show(frame)?;
        }
        self.shown = Some((window, screen));
        self.change_cursor(event_loop);
        self.draw()?;
        if self.options.detach { detach() } else { Ok(()) }
    }

    /// Does something; without success the window closes.
    fn attempt(&mut self, event_loop: &ActiveEventLoop, what: impl FnOnce(&mut Self) -> Result<()>) {
        if let Err(error) = what(self) {
            self.failure = Some(error);
            event_loop.exit();
        }
    }

    /// Tells the machine something.
    fn tell(&mut self, event_loop: &ActiveEventLoop, what: impl FnOnce(&mut Console) -> Result<(), console::Error>) {
        if self.ended.is_none()
            && let Err(error) = what(&mut self.console)
        {
            self.end(&error, event_loop);
        }
    }

    /// The screen is closed: the window ends with a machine that was turned off, and says so when it was not.
    fn end(&mut self, error: &console::Error, event_loop: &ActiveEventLoop) {
        self.release_pointer(event_loop);
        self.sound.end();
        let Some(why) = self.fate.ending(error, self.control.as_mut()) else {
            return event_loop.exit();
        };
        self.ended = Some(why);
        if let Some((window, screen)) = &mut self.shown {
            screen.dim();
            // Where there is a title that says it.
            window.set_fullscreen(None);
            window.request_redraw();
        }
        self.change_cursor(event_loop);
        self.retitle();
    }

    fn dispatch(&mut self, event_loop: &ActiveEventLoop) {
        if self.ended.is_some() {
            return;
        }
        let changes = match self.console.dispatch() {
            Ok(changes) => changes,
            Err(error) => return self.end(&error, event_loop),
        };
        self.watches.0.again();
        if changes.contains(Changes::SOUND) {
            self.sound.follow(&mut self.console);
        }
        if changes.contains(Changes::POINTER_MODE) && self.console.absolute() {
            self.release_pointer(event_loop);
        }
        if changes.intersects(Changes::CURSOR | Changes::POINTER_MODE) {
            self.change_cursor(event_loop);
        }
        let pointer = self.captured && changes.intersects(Changes::CURSOR | Changes::CURSOR_AT);
        if pointer || changes.contains(Changes::PICTURE) {
            self.redraw();
        }
        self.retitle();
    }

    fn retitle(&mut self) {
        let title = self.title();
        if let Some((window, _)) = self.shown.as_ref().filter(|_| self.said != title) {
            window.set_title(&title);
            self.said = title;
        }
    }

    fn redraw(&self) {
        if let Some((window, _)) = &self.shown {
            window.request_redraw();
        }
    }

    fn place(&self) -> Option<Placement> {
        let (_, screen) = self.shown.as_ref()?;
        let PhysicalSize { width, height } = screen.size();
        let size = (f64::from(width), f64::from(height));
        Placement::new(screen.picture()?, size, ((0.0, 0.0), 1.0), self.options.scaling)
    }

    /// Takes what is new and puts it on the window.
    fn draw(&mut self) -> Result<()> {
        let before = self.place();
        let Some((window, screen)) = &mut self.shown else { return Ok(()) };
        if self.ended.is_none() {
            let size = screen.picture();
            if let Some(frame) = self.console.refresh() {
                screen.show(frame)?;
            } else if !self.console.has_picture() {
                screen.clear();
            }
            let cursor = self.console.cursor().filter(|_| self.captured);
            screen.point(cursor.map(|cursor| (cursor, self.console.cursor_at())));
            if screen.picture() != size {
                follow(window, before, size, screen);
            }
        }
        let place = self.place();
        let Some((window, screen)) = &self.shown else { return Ok(()) };
        window.pre_present_notify();
        screen.draw(place)
    }

    fn capture_pointer(&mut self, event_loop: &ActiveEventLoop) {
        let Some((window, _)) = &self.shown else { return };
        // X11 holds it within the window, Wayland where it is.
        let modes = [CursorGrabMode::Locked, CursorGrabMode::Confined];
        self.captured = modes.into_iter().any(|mode| window.set_cursor_grab(mode).is_ok());
        if !self.captured {
            tracing::warn!("the desktop does not hold the pointer");
        }
        self.motion = Rest::default();
        self.pairs = Pairs::default();
        self.change_cursor(event_loop);
        self.redraw();
        self.retitle();
    }

    fn release_pointer(&mut self, event_loop: &ActiveEventLoop) {
        if !std::mem::take(&mut self.captured) {
            return;
        }
        if let Some((window, _)) = &self.shown
            && let Err(error) = window.set_cursor_grab(CursorGrabMode::None)
        {
            tracing::warn!("the pointer is not released: {error}");
        }
        self.change_cursor(event_loop);
        self.redraw();
        self.retitle();
    }

    /// The desktop's pointer over the window looks like the guest's.
    fn change_cursor(&self, event_loop: &ActiveEventLoop) {
        let Some((window, _)) = &self.shown else { return };
        let absolute = self.console.absolute() && self.ended.is_none();
        let own = self.console.cursor().filter(|_| absolute);
        let own = own.and_then(|cursor| cursor::source(cursor, event_loop.is_x11()));
        window.set_cursor_visible(own.is_some() || !(absolute || self.captured));
        match own {
            Some(source) => window.set_cursor(event_loop.create_custom_cursor(source)),
            None => window.set_cursor(winit::window::CursorIcon::Default),
        }
    }

    fn key(&mut self, code: u16, down: bool, event_loop: &ActiveEventLoop) {
        let meaning = self.keyboard.key(code, down);
        match meaning {
            Meaning::Guest | Meaning::Release => self.tell(event_loop, |console| console.key(code, down)),
            Meaning::Fullscreen => self.toggle_fullscreen(),
            Meaning::Scaling => {
                self.tell(event_loop, Console::release_all);
                self.options.scaling = match self.options.scaling {
                    Scaling::Multiples => Scaling::Fit,
                    Scaling::Fit | Scaling::Actual => Scaling::Multiples,
                };
                self.redraw();
            }
            Meaning::Mute => {
                self.tell(event_loop, Console::release_all);
                self.sound.toggle_mute();
                self.retitle();
            }
            Meaning::Nothing => {}
        }
        if meaning == Meaning::Release {
            self.release_pointer(event_loop);
        }
    }

    fn toggle_fullscreen(&self) {
        if let Some((window, _)) = &self.shown {
            let on = window.fullscreen().is_none();
            window.set_fullscreen(on.then_some(Fullscreen::Borderless(None)));
        }
    }

    fn moved(&mut self, position: PhysicalPosition<f64>, event_loop: &ActiveEventLoop) {
        if let Some(place) = self.place()
            && self.console.absolute()
        {
            let (x, y) = place.to_picture(position.x, position.y);
            self.tell(event_loop, |console| console.pointer_position(x, y));
        }
    }

    fn button(&mut self, button: MouseButton, down: bool, event_loop: &ActiveEventLoop) {
        if !self.console.absolute() && !self.captured {
            // The click that captures is the desktop's, not the guest's.
            if down && button == MouseButton::Left && self.ended.is_none() && self.place().is_some() {
                self.capture_pointer(event_loop);
            }
            return;
        }
        if let Some(button) = pointer::button(button) {
            self.tell(event_loop, |console| console.button(button, down));
        }
    }

    fn turned(&mut self, delta: MouseScrollDelta, event_loop: &ActiveEventLoop) {
        if self.console.absolute() || self.captured {
            let (right, up) = self.wheel.advance(pointer::notches(delta));
            self.tell(event_loop, |console| {
                console.wheel(Axis::Vertical, up)?;
                console.wheel(Axis::Horizontal, right)
            });
        }
    }

    fn left(&mut self, event_loop: &ActiveEventLoop) {
        self.keyboard.forget();
        self.tell(event_loop, Console::release_all);
        self.release_pointer(event_loop);
    }
}

impl ApplicationHandler<Wake> for Viewer {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.shown.is_none() {
            self.attempt(event_loop, |viewer| viewer.open(event_loop));
        }
    }

    fn user_event(&mut self, event_loop: &ActiveEventLoop, wake: Wake) {
        match (wake, &mut self.control) {
            (Wake::Screen, _) => self.dispatch(event_loop),
            (Wake::Control, Some(control)) => {
                self.fate.hear(control);
                if let Some(watch) = self.watches.1.as_ref().filter(|_| !self.fate.closed) {
                    watch.again();
                }
                self.retitle();
            }
            (Wake::Control, None) => {}
        }
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        match event {
            WindowEvent::CloseRequested | WindowEvent::Destroyed => {
                self.left(event_loop);
                event_loop.exit();
            }
            WindowEvent::Resized(size) => self.attempt(event_loop, |viewer| match &mut viewer.shown {
                Some((window, screen)) => {
                    window.request_redraw();
                    screen.resize(size)
                }
                None => Ok(()),
            }),
            WindowEvent::RedrawRequested => {
                self.attempt(event_loop, Self::draw);
                self.tell(event_loop, Console::frame_done);
            }
            WindowEvent::Focused(false) => self.left(event_loop),
            // A desktop tells what was down already when the window got the focus: it was not pressed here.
            WindowEvent::KeyboardInput { event, is_synthetic, .. } if !is_synthetic => {
                if let Some(code) = keyboard::code(event.physical_key) {
                    self.key(code, event.state == ElementState::Pressed, event_loop);
                }
            }
            WindowEvent::CursorMoved { position, .. } => self.moved(position, event_loop),
            WindowEvent::MouseInput { state, button, .. } => {
                self.button(button, state == ElementState::Pressed, event_loop);
            }
            WindowEvent::MouseWheel { delta, .. } => self.turned(delta, event_loop),
            _ => {}
        }
    }

    fn device_event(&mut self, event_loop: &ActiveEventLoop, _: DeviceId, event: DeviceEvent) {
        if let (DeviceEvent::MouseMotion { delta }, true) = (event, self.captured)
            && (!event_loop.is_x11() || self.pairs.is_first(delta))
        {
            let (dx, dy) = self.motion.advance(delta);
            self.tell(event_loop, |console| console.pointer_motion(dx, dy));
        }
    }

    fn about_to_wait(&mut self, event_loop: &ActiveEventLoop) {
        if self.ended.is_none() && self.console.has_backlog() {
            self.tell(event_loop, Console::flush);
            event_loop.set_control_flow(ControlFlow::WaitUntil(Instant::now() + AGAIN));
        } else {
            event_loop.set_control_flow(ControlFlow::Wait);
        }
    }
}

/// A size that leaves something of the monitor.
fn bounded(monitor: Option<MonitorHandle>, size: PhysicalSize<u32>) -> PhysicalSize<u32> {
    let most = monitor.map(|monitor| monitor.size()).filter(|most| most.width > 0 && most.height > 0);
    let most = most.unwrap_or(UNKNOWN_MONITOR);
    let part = |length: u32| f64::from(length) * MOST;
    let shrink = (part(most.width) / f64::from(size.width)).min(part(most.height) / f64::from(size.height)).min(1.0);
    let shrunk = |length: u32| ((f64::from(length) * shrink) as u32).max(1);
    PhysicalSize::new(shrunk(size.width), shrunk(size.height))
}

/// The guest's screen has another size. A window that it filled a whole number of times, it fills again.
fn follow(window: &Window, before: Option<Placement>, old: Option<(u32, u32)>, screen: &Screen) {
    let (Some(before), Some(old), Some(new)) = (before, old, screen.picture()) else { return };
    let filled = (before.width, before.height) == (f64::from(screen.size().width), f64::from(screen.size().height));
    if before.whole && filled && window.fullscreen().is_none() && !window.is_maximized() {
        let times = (before.width / f64::from(old.0)).round() as u32;
        let size = PhysicalSize::new(new.0.saturating_mul(times), new.1.saturating_mul(times));
        // What the desktop makes of it comes as a new size.
        let _ = window.request_inner_size(bounded(window.current_monitor(), size));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_stay_within_reason() {
        let bounded = |width, height| bounded(None, PhysicalSize::new(width, height));
        assert_eq!(bounded(1024, 768), PhysicalSize::new(1024, 768));
        let large = bounded(16384, 8192);
        assert_eq!((large.width / 100, large.height / 100), (34, 17));
        for (width, height) in [(u32::MAX, 1), (1, u32::MAX), (u32::MAX, u32::MAX)] {
            let size = bounded(width, height);
            assert!(
                (1..=UNKNOWN_MONITOR.width).contains(&size.width)
                    && (1..=UNKNOWN_MONITOR.height).contains(&size.height)
            );
        }
    }
}

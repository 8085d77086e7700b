//! What stands on the screen, between the video device and any number of watchers.
//!
//! The device says what changes through [`Output`]; every [`Watcher`] collects that for itself and takes it when it is ready, so a
//! slow console unites damage and holds nobody up. Nothing is polled: a watcher sleeps until something is told, or until its last
//! frame was seen.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use api::ui::Rect;
use display::{CursorImage, Output, Scanout};

/// What changed since a watcher looked last.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Another picture (all of it new), or none.
    pub scanout: Option<Option<Scanout>>,
    /// This part of the picture.
    pub damage: Rect,
    /// Another pointer, or none.
    pub cursor: Option<Option<Arc<CursorImage>>>,
    /// The pointer is here.
    pub cursor_at: Option<(i32, i32)>,
}

impl Changes {
    /// Is there anything that does not have to wait for a frame?
    fn is_urgent(&self) -> bool {
        self.scanout.is_some() || self.cursor.is_some() || self.cursor_at.is_some()
    }
}

/// One watcher's side.
struct Watch {
    id: u64,
    changes: Changes,
    /// The last frame was seen: damage may be taken.
    ready: bool,
    ended: bool,
}

#[derive(Default)]
struct Inner {
    scanout: Option<Scanout>,
    cursor: Option<Arc<CursorImage>>,
    next_watcher: u64,
    watchers: Vec<Watch>,
    closed: bool,
}

/// The screen.
#[derive(Default)]
pub struct Screen {
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Screen {
    /// The picture that is shown now.
    pub fn scanout(&self) -> Option<Scanout> {
        self.lock().scanout.clone()
    }

    /// Starts to watch; the first changes describe what is there.
    pub fn watch(self: &Arc<Self>) -> Watcher {
        let mut inner = self.lock();
        let id = inner.next_watcher;
        inner.next_watcher += 1;
        let changes =
            Changes { scanout: Some(inner.scanout.clone()), cursor: Some(inner.cursor.clone()), ..Changes::default() };
        inner.watchers.push(Watch { id, changes, ready: true, ended: false });
        Watcher { screen: Arc::clone(self), id }
    }

    /// Ends all waiting.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: impl Fn(&mut Changes)) {
        let mut inner = self.lock();
        for watch in &mut inner.watchers {
            change(&mut watch.changes);
        }
        if !inner.watchers.is_empty() {
            self.changed.notify_all();
        }
    }
}

/// One watcher; dropping it ends the watch.
pub struct Watcher {
    screen: Arc<Screen>,
    id: u64,
}

impl Inner {
    fn watch(&mut self, id: u64) -> Option<&mut Watch> {
        self.watchers.iter_mut().find(|watch| watch.id == id)
    }
}

impl Watcher {
    /// Was the last frame seen? Then what [`Self::take`] gives next may hold damage, and a look at video memory is worth its time.
    pub fn is_ready(&self) -> bool {
        self.screen.lock().watch(self.id).is_some_and(|watch| watch.ready)
    }

    /// The last frame was seen.
    pub fn acknowledge(&self) {
        self.change(|watch| watch.ready = true);
    }

    /// Ends [`Self::take`] for good.
    pub fn end(&self) {
        self.change(|watch| watch.ended = true);
    }

    fn change(&self, change: impl FnOnce(&mut Watch)) {
        if let Some(watch) = self.screen.lock().watch(self.id) {
            change(watch);
        }
        self.screen.changed.notify_all();
    }

    /// Takes what changed. Waits up to `limit` for something that may be told now, or for the last frame to be seen; damage is
    /// told only when it was, and what holds damage is a frame, to be seen before the next. `None` at the end.
    pub fn take(&self, limit: Duration) -> Option<Changes> {
        let deadline = Instant::now() + limit;
        let mut inner = self.screen.lock();
        let was_ready = inner.watch(self.id)?.ready;
        loop {
            let closed = inner.closed;
            let Watch { id: _, changes, ready, ended } = inner.watch(self.id)?;
            if closed || *ended {
                return None;
            }
            if changes.is_urgent() || *ready && !changes.damage.is_empty() {
                let mut taken = std::mem::take(changes);
                if !*ready {
                    // It stays, to be united with what comes.
                    changes.damage = std::mem::take(&mut taken.damage);
                }
                *ready &= taken.damage.is_empty();
                return Some(taken);
            }
            let left = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
            let Some(left) = left.filter(|_| *ready == was_ready) else { return Some(Changes::default()) };
            inner = self.screen.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let id = self.id;
        self.screen.lock().watchers.retain(|watch| watch.id != id);
    }
}

/// The board has one head; others are not connected.
impl Output for Screen {
    fn scanout(&self, head: u32, scanout: Option<Scanout>) {
        if head != 0 {
            return;
        }
        let scanout = scanout.filter(Scanout::fits);
        self.lock().scanout.clone_from(&scanout);
        self.tell(|changes| {
            changes.scanout = Some(scanout.clone());
            changes.damage = Rect::default();
        });
    }

    fn damage(&self, head: u32, rect: Rect) {
        if head == 0 && !rect.is_empty() {
            self.tell(|changes| changes.damage = changes.damage.union(rect));
        }
    }

    fn cursor(&self, head: u32, image: Option<CursorImage>) {
        if head == 0 {
            let image = image.map(Arc::new);
            self.lock().cursor.clone_from(&image);
            self.tell(|changes| changes.cursor = Some(image.clone()));
        }
    }

    fn cursor_moved(&self, head: u32, x: i32, y: i32) {
        if head == 0 {
            self.tell(|changes| changes.cursor_at = Some((x, y)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(5);
    const A: Rect = Rect { x: 0, y: 0, width: 4, height: 4 };
    const B: Rect = Rect { x: 8, y: 8, width: 4, height: 4 };

    #[test]
    fn damage_waits_for_the_last_frame() {
        let screen = Arc::new(Screen::default());
        let watcher = screen.watch();
        let first = watcher.take(SOON).unwrap();
        assert!(matches!(first.scanout, Some(None)) && watcher.is_ready());
        screen.damage(0, A);
        assert_eq!(watcher.take(SOON).unwrap().damage, A);
        assert!(!watcher.is_ready());
        screen.damage(0, A);
        assert!(watcher.take(SOON).unwrap().damage.is_empty());
        screen.damage(0, B);
        screen.cursor_moved(0, 3, 4);
        let urgent = watcher.take(SOON).unwrap();
        assert_eq!((urgent.cursor_at, urgent.damage), (Some((3, 4)), Rect::default()));
        watcher.acknowledge();
        assert_eq!(watcher.take(SOON).unwrap().damage, A.union(B));
        watcher.acknowledge();
        screen.damage(1, A);
        assert!(watcher.take(SOON).unwrap().damage.is_empty());
        screen.close();
        assert!(watcher.take(SOON).is_none());
    }

    #[test]
    fn an_acknowledgement_and_the_end_are_heard_at_once() {
        const LONG: Duration = Duration::from_secs(100);
        let screen = Arc::new(Screen::default());
        let watcher = Arc::new(screen.watch());
        watcher.take(LONG);
        screen.damage(0, A);
        watcher.take(LONG);
        screen.damage(0, B);
        let other = Arc::clone(&watcher);
        let thread = std::thread::spawn(move || other.acknowledge());
        // The picture may be looked at first; then the damage comes.
        if watcher.take(LONG).unwrap().damage.is_empty() {
            assert_eq!(watcher.take(LONG).unwrap().damage, B);
        }
        thread.join().unwrap();
        let other = Arc::clone(&watcher);
        let thread = std::thread::spawn(move || other.end());
        assert!(watcher.take(LONG).is_none());
        thread.join().unwrap();
    }

    #[test]
    fn watchers_do_not_disturb_each_other() {
        let screen = Arc::new(Screen::default());
        let (one, other) = (screen.watch(), screen.watch());
        one.take(SOON);
        screen.damage(0, A);
        assert_eq!(one.take(SOON).unwrap().damage, A);
        assert!(other.take(SOON).unwrap().scanout.is_some());
        other.acknowledge();
        drop(one);
        screen.damage(0, B);
        assert_eq!(other.take(SOON).unwrap().damage, B);
    }
}

//! What stands on the screen, between the video device and any number of watchers.
//!
//! The device says what changes through [`Output`]; every [`Watcher`] collects that for itself and takes it when it is ready, so a
//! slow console unites damage and holds nobody up.

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

#[derive(Default)]
struct Inner {
    scanout: Option<Scanout>,
    cursor: Option<Arc<CursorImage>>,
    next_watcher: u64,
    watchers: Vec<(u64, Changes)>,
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
        inner.watchers.push((id, changes));
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
        for (_, changes) in &mut inner.watchers {
            change(changes);
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

impl Watcher {
    /// Takes what changed. Waits up to `limit` for something that may be told now: damage only when `frames` says that the last
    /// frame was seen. `None` when the screen is closed.
    pub fn take(&self, frames: bool, limit: Duration) -> Option<Changes> {
        let deadline = Instant::now() + limit;
        let mut inner = self.screen.lock();
        loop {
            if inner.closed {
                return None;
            }
            if let Some((_, changes)) = inner.watchers.iter_mut().find(|(id, _)| *id == self.id)
                && (changes.is_urgent() || frames && !changes.damage.is_empty())
            {
                let mut taken = std::mem::take(changes);
                if taken.scanout.is_none() && !frames {
                    // It stays, to be united with what comes.
                    changes.damage = std::mem::take(&mut taken.damage);
                }
                return Some(taken);
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                return Some(Changes::default());
            };
            inner = self.screen.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let id = self.id;
        self.screen.lock().watchers.retain(|(other, _)| *other != id);
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
        let first = watcher.take(true, SOON).unwrap();
        assert!(matches!(first.scanout, Some(None)));
        screen.damage(0, A);
        assert!(watcher.take(false, SOON).unwrap().damage.is_empty());
        screen.damage(0, B);
        screen.cursor_moved(0, 3, 4);
        let urgent = watcher.take(false, SOON).unwrap();
        assert_eq!((urgent.cursor_at, urgent.damage), (Some((3, 4)), Rect::default()));
        assert_eq!(watcher.take(true, SOON).unwrap().damage, A.union(B));
        screen.damage(1, A);
        assert!(watcher.take(true, SOON).unwrap().damage.is_empty());
        screen.close();
        assert!(watcher.take(true, SOON).is_none());
    }

    #[test]
    fn watchers_do_not_disturb_each_other() {
        let screen = Arc::new(Screen::default());
        let (one, other) = (screen.watch(), screen.watch());
        one.take(true, SOON);
        screen.damage(0, A);
        assert_eq!(one.take(true, SOON).unwrap().damage, A);
        assert!(other.take(true, SOON).unwrap().scanout.is_some());
        drop(one);
        screen.damage(0, B);
        assert_eq!(other.take(true, SOON).unwrap().damage, B);
    }
}

#!/usr/bin/python3
"""Viewers on X11: the picture pixel by pixel, keys and pointer, mute, two at once, full screen, a captured pointer, and every ending.

    tests/ui/view.py --out target/ui-view

Needs what `drive.py` needs, `cargo build -p dormer-view -p dormer-ctl`, and a Vulkan driver (mesa-vulkan-drivers).
"""

import ctypes
import signal
import subprocess
import sys
import time

import viewer
from desktop import geometry, xdotool
from session import until
from viewer import NAME, PROGRAMS

# F1 to F8 are orders to the stand-in engine, F11 is full screen, and the server itself acts on the keys for video modes.
KEYCODES = [code for code in range(10, 256) if code not in (*range(67, 75), 95, 249, 250)]
UNKNOWN = 248  # winit's word for keys without a code is evdev's KEY_UNKNOWN
SCREEN = (1600, 1200)


def walk(machine):
    machine.fails("is not running", "view", NAME)
    began = time.monotonic()
    machine.dormerctl("start", NAME)
    print(f"the window was there after {time.monotonic() - began:.1f} s")
    window = shown()
    exact(machine, window)
    keys(machine, window)
    pointer(machine, window)
    sizes(machine, window)
    sound(machine, window)
    two(machine, window)
    full_screen(machine, window)
    captured_pointer(machine, window)
    dark(machine, window)
    flood(machine, window)
    endings(machine)
    nowhere(machine)
    throw_away(machine)


def titles():
    """The windows of viewers and what they say, by id."""
    search = ["xdotool", "search", "--onlyvisible", "--classname", "dormer-view"]
    found = subprocess.run(search, capture_output=True, text=True).stdout.split()
    names = {}
    for window in found:
        name = subprocess.run(["xdotool", "getwindowname", window], capture_output=True, text=True)
        if name.returncode == 0:
            names[window] = name.stdout.rstrip("\n")
    return names


def shown(title=NAME, but=(), seconds=20):
    """Waits for a viewer that says this, gives it the focus, and returns its X id."""
    probe = lambda: next((window for window, name in titles().items() if name == title and window not in but), None)
    window = until(f"window “{title}”", seconds, probe)
    xdotool("windowactivate", "--sync", window)
    return window


def says(window, words):
    until(f"title with “{words}”", 10, lambda: words in titles().get(window, ""))


def gone(window):
    until("end of the window", 20, lambda: window not in titles())


def place(window, x, y):
    xdotool("mousemove", "--window", window, x, y)


def pictures(machine, window, name):
    """The machine's screen and the window's, as files."""
    screen, seen = machine.out / f"{name}-screen.png", machine.out / f"{name}.png"
    machine.dormerctl("screenshot", NAME, str(screen))
    subprocess.run(["import", "-window", window, str(seen)], check=True)
    return screen, seen


def differing(first, second):
    """How many pixels of two pictures differ; none of a size is like one of another."""
    done = subprocess.run(["compare", "-metric", "AE", first, second, "null:"], capture_output=True, text=True)
    return float(done.stderr.split()[0]) if done.returncode in (0, 1) else None


def same(machine, window, name, times=1, crop=None):
    """Waits until the window shows every pixel of a machine that stands still, so many times enlarged."""

    def probe():
        screen, seen = pictures(machine, window, name)
        expected = machine.out / f"{name}-expected.png"
        subprocess.run(["convert", screen, "-scale", f"{times * 100}%", expected], check=True)
        if crop:
            subprocess.run(["convert", seen, "-crop", crop, "+repage", seen], check=True)
        return differing(expected, seen) == 0

    until(f"{name}: every pixel right", 15, probe)


def exact(machine, window):
    until("window as large as the screen", 10, lambda: geometry(window)[2:] == (1024, 768))
    machine.dormerctl("pause", NAME)
    says(window, "paused")
    same(machine, window, "exact")
    machine.dormerctl("resume", NAME)
    until("title without more", 10, lambda: titles()[window] == NAME)
    before = subprocess.run(["import", "-window", window, "rgb:-"], capture_output=True, check=True).stdout
    moves = lambda: subprocess.run(["import", "-window", window, "rgb:-"], capture_output=True, check=True).stdout != before
    until("picture that moves", 10, moves)


def keys(machine, window):
    """Every key comes with evdev's code, and what is held is up when the focus goes."""
    before = len(machine.heard())
    codes = [code for code in KEYCODES if code != UNKNOWN]
    for code in codes:
        xdotool("key", "--delay", 1, code)
    expected = [f"Key {{ code: {code - 8}, down: {down} }}" for code in codes for down in ("true", "false")]
    heard = lambda: [line for line in machine.heard()[before:] if line.startswith("Key ")]
    until("all keys", 30, lambda: len(heard()) >= len(expected))
    wrong = [pair for pair in zip(expected, heard()) if pair[0] != pair[1]]
    assert not wrong, f"expected and heard: {wrong[:10]}"


def pointer(machine, window):
    """A tablet's positions are parts of the picture, and the desktop's pointer looks like the guest's."""
    before = len(machine.heard())
    place(window, 512, 384)
    machine.wait_heard(before, "PointerPosition { x: 16384, y: 16384 }")
    xdotool("click", 1, "click", 3, "click", 4, "click", 7)
    machine.wait_heard(
        before,
        *("Left, down: true", "Left, down: false", "Right, down: true", "Right, down: false"),
        *("Wheel { axis: Vertical, steps: 1 }", "Wheel { axis: Horizontal, steps: 1 }"),
    )
    place(window, 0, 0)
    machine.wait_heard(before, "PointerPosition { x: 0, y: 0 }")
    white, black = 0xFFFFFFFF, 0xFF000000
    image = pointer_image()
    assert image[:2] == (16, 16), image[:2]
    at = lambda x, y: image[2][y * 16 + x]
    assert (at(1, 3), at(3, 3), at(9, 3)) == (white, black, 0), "another pointer than the guest's"


class PointerImage(ctypes.Structure):
    """XFixesCursorImage of libXfixes."""

    _fields_ = [
        *((name, ctypes.c_short) for name in ("x", "y")),
        *((name, ctypes.c_ushort) for name in ("width", "height", "xhot", "yhot")),
        ("serial", ctypes.c_ulong),
        ("pixels", ctypes.POINTER(ctypes.c_ulong)),
    ]


def pointer_image():
    """What the desktop's pointer looks like: width, height, and pixels as alpha, red, green, blue."""
    xlib, xfixes = ctypes.CDLL("libX11.so.6"), ctypes.CDLL("libXfixes.so.3")
    xlib.XOpenDisplay.restype = ctypes.c_void_p
    xfixes.XFixesGetCursorImage.restype = ctypes.POINTER(PointerImage)
    display = ctypes.c_void_p(xlib.XOpenDisplay(None))
    image = xfixes.XFixesGetCursorImage(display).contents
    size = image.width * image.height
    answer = image.width, image.height, [pixel & 0xFFFFFFFF for pixel in image.pixels[:size]]
    xlib.XCloseDisplay(display)
    return answer


def sizes(machine, window):
    """The window follows the guest's screen, and the picture the window."""
    xdotool("key", "F2")
    until("window that follows", 10, lambda: geometry(window)[2:] == (720, 400))
    machine.dormerctl("pause", NAME)
    same(machine, window, "followed")
    xdotool("windowsize", "--sync", window, 1440, 800)
    same(machine, window, "twice", times=2)
    # Odd borders, and a pointer that still hits.
    xdotool("windowsize", "--sync", window, 1451, 823)
    same(machine, window, "twice-with-borders", times=2, crop="1440x800+6+12")
    before = len(machine.heard())
    place(window, 6 + 720, 12 + 400)
    machine.wait_heard(before, "PointerPosition { x: 16384, y: 16384 }")
    # As large as fits, or a whole number of times.
    xdotool("windowsize", "--sync", window, 1080, 640)
    _, fit = pictures(machine, window, "fit")
    assert bright(fit, "1080x600+0+20") and not bright(fit, "1080x20+0+0"), "not as large as fits"
    xdotool("key", "ctrl+alt+s")
    same(machine, window, "multiples", crop="720x400+180+120")
    xdotool("key", "ctrl+alt+s")
    until("as large as fits", 10, lambda: bright(pictures(machine, window, "fit-again")[1], "4x600+0+20"))
    xdotool("windowsize", "--sync", window, 300, 300)
    until("smaller picture", 10, lambda: bright(pictures(machine, window, "small")[1], "300x167+0+66"))
    xdotool("windowsize", "--sync", window, 720, 400)
    same(machine, window, "again")
    machine.dormerctl("resume", NAME)


def bright(picture, crop):
    """Is there anything in this part of a picture?"""
    mean = ["convert", picture, "-crop", crop, "-format", "%[fx:minima < 0.001 && maxima < 0.001 ? 0 : 1]", "info:"]
    return subprocess.run(mean, check=True, capture_output=True, text=True).stdout.strip() == "1"


def sound(machine, window):
    """Mute is a key, and in the title; a viewer begins as the settings say."""
    machine.wait_heard(0, "Sound { listen: true, microphone: false }")
    before = len(machine.heard())
    xdotool("key", "ctrl+alt+m")
    says(window, "muted")
    assert not any("code: 50" in line for line in machine.heard()[before:]), "M went to the machine"
    machine.dormerctl("set", NAME, "sound.mute=on", "sound.microphone=on")
    process = machine.view()
    other = shown(f"{NAME} — muted, hears the microphone", but=(window,))
    machine.wait_heard(before, "Sound { listen: true, microphone: true }")
    xdotool("key", "super+q")
    assert machine.ended(process)[0] == 0 and other not in titles()
    machine.dormerctl("set", NAME, "sound.mute=off", "sound.microphone=off")
    xdotool("windowactivate", "--sync", window, "key", "ctrl+alt+m")
    until("title without more", 10, lambda: titles()[window] == NAME)


def two(machine, window):
    """Two viewers show one machine; leaving one leaves everything running, and keys that are held are up."""
    xdotool("keydown", "Shift_L", "keydown", "a")
    before = len(machine.heard()) - 4
    machine.wait_heard(max(before, 0), "Key { code: 30, down: true }")
    before = len(machine.heard())
    process = machine.view("--scaling", "multiples")
    other = shown(but=(window,))
    machine.wait_heard(before, "ReleaseAll")
    xdotool("keyup", "a", "keyup", "Shift_L")
    xdotool("windowmove", "--sync", other, 800, 600)
    before = len(machine.heard())
    xdotool("key", "x")
    machine.wait_heard(before, "Key { code: 45, down: true }", "Key { code: 45, down: false }")
    machine.dormerctl("pause", NAME)
    for number, each in enumerate((window, other)):
        xdotool("windowactivate", "--sync", each)
        same(machine, each, f"two-{number}")
    machine.dormerctl("resume", NAME)
    xdotool("windowactivate", "--sync", other, "key", "super+q")
    assert machine.ended(process) == (0, ""), "leaving is no failure"
    assert machine.state() == "running" and list(titles()) == [window]
    xdotool("windowactivate", "--sync", window)


def full_screen(machine, window):
    xdotool("key", "F11")
    until("full screen", 10, lambda: geometry(window)[2:] == SCREEN)
    machine.dormerctl("pause", NAME)
    same(machine, window, "full-screen", times=2, crop="1440x800+80+200")
    machine.dormerctl("resume", NAME)
    before = len(machine.heard())
    xdotool("key", "shift+F11")
    machine.wait_heard(before, "Key { code: 87, down: true }", "Key { code: 87, down: false }")
    xdotool("key", "F11")
    until("window", 10, lambda: geometry(window)[2:] == (720, 400))
    heard = [line for line in machine.heard()[before:] if "code: 87" in line]
    assert len(heard) == 2, f"F11 went to the machine: {heard}"


def captured_pointer(machine, window):
    """Movements go on where the screen ends, buttons and wheel come too, the way out is in sight, and the guest's pointer is drawn."""
    xdotool("key", "F1")
    says(window, "click to give it the pointer")
    place(window, 300, 200)
    before = len(machine.heard())
    xdotool("click", 1)
    says(window, "press Ctrl+Alt to release the pointer")
    assert not any("Button" in line for line in machine.heard()[before:]), "the click that captures goes to the guest"
    machine.dormerctl("pause", NAME)

    def drawn():
        screen, seen = pictures(machine, window, "captured")
        color = lambda x, y: subprocess.run(
            ["convert", seen, "-format", f"%[pixel:p{{{x},{y}}}]", "info:"], capture_output=True, text=True
        ).stdout
        rest = ["-crop", "700x380+20+20"]
        parts = machine.out / "captured-part.png", machine.out / "captured-screen-part.png"
        for picture, part in zip((seen, screen), parts):
            subprocess.run(["convert", picture, *rest, "+repage", part], check=True)
        return "255,255,255" in color(1, 3) and "(0,0,0)" in color(3, 3) and differing(*parts) == 0

    until("guest's pointer in the picture", 10, drawn)
    machine.dormerctl("resume", NAME)
    before = len(machine.heard())
    for _ in range(10):
        xdotool("mousemove_relative", "--", 400, -300)
    until("movement of 4000, -3000", 10, lambda: machine.movement(before) == (4000, -3000))
    xdotool("click", 1, "click", 3, "click", 5)
    machine.wait_heard(before, "Left, down: true", "Left, down: false", "Right, down: true", "steps: -1")
    # Ctrl+Alt+Delete is the guest's, and keeps the pointer.
    xdotool("key", "ctrl+alt+Delete")
    machine.wait_heard(before, *(f"Key {{ code: {code}, down: true }}" for code in (29, 56, 111)))
    before = len(machine.heard())
    xdotool("mousemove_relative", "--", 30, 20)
    until("movement of 30, 20", 10, lambda: machine.movement(before) == (30, 20))
    xdotool("key", "ctrl+alt")
    says(window, "click to give it the pointer")
    before = len(machine.heard())
    xdotool("mousemove_relative", "--", -2000, -2000)
    until("free pointer", 10, lambda: xdotool("getmouselocation").startswith("x:0 y:0"))
    xdotool("key", "b")
    machine.wait_heard(before, "Key { code: 48, down: false }")
    assert machine.movement(before) == (0, 0), "a free pointer's movements go to the guest"
    # Another window's focus lets it go too.
    place(window, 300, 200)
    xdotool("click", 1)
    says(window, "press Ctrl+Alt")
    process = machine.view()
    other = shown(f"{NAME} — click to give it the pointer", but=(window,))
    says(window, "click to give it the pointer")
    xdotool("key", "super+q")
    assert machine.ended(process) == (0, "") and other not in titles()
    xdotool("windowactivate", "--sync", window, "key", "F1")
    until("title without more", 10, lambda: titles()[window] == NAME)


def dark(machine, window):
    xdotool("key", "F3")
    says(window, "its screen is off")
    until("black window", 10, lambda: not bright(window_picture(machine, window, "dark"), "720x400+0+0"))
    xdotool("key", "F3")
    until("title without more", 10, lambda: titles()[window] == NAME)
    until("picture again", 10, lambda: bright(window_picture(machine, window, "light"), "720x400+0+0"))


def flood(machine, window):
    """An engine that talks without end keeps neither window nor keys waiting."""
    xdotool("key", "F6", "F11")
    until("full screen", 20, lambda: geometry(window)[2:] == SCREEN)
    xdotool("key", "F11")
    until("window", 20, lambda: geometry(window)[2:] == (720, 400))
    before = len(machine.heard())
    xdotool("key", "F6", "z")
    machine.wait_heard(before, "Key { code: 44, down: false }", seconds=20)
    until("title without more", 10, lambda: titles()[window] == NAME)


def window_picture(machine, window, name):
    path = machine.out / f"{name}.png"
    subprocess.run(["import", "-window", window, str(path)], check=True)
    return path


def endings(machine):
    """The window ends with a machine that is turned off, and says so when the engine fails."""
    window = shown()
    process = machine.view()
    other = shown(but=(window,))
    xdotool("key", "F4")
    gone(window)
    assert machine.ended(process) == (0, ""), "that is no failure"
    assert other not in titles()
    machine.dormerctl("start", NAME, "--headless", "--paused")
    process = machine.view()
    window = shown(f"{NAME} — paused")
    machine.dormerctl("resume", NAME)
    until("title without more", 10, lambda: titles()[window] == NAME)
    machine.dormerctl("power-off", NAME)
    assert machine.ended(process) == (0, ""), "that is no failure"
    for key, words in (("F5", "ended unexpectedly"), ("F7", "makes no sense")):
        machine.dormerctl("start", NAME, "--headless")
        assert not titles(), "a window without being asked for"
        process = machine.view("--fullscreen")
        window = shown()
        until("full screen", 10, lambda window=window: geometry(window)[2:] == SCREEN)
        # It may not have the keyboard yet.
        until("title that says it", 20, lambda window=window, key=key, words=words: presses(window, key, words))
        until("window with a title", 10, lambda window=window: geometry(window)[2:] == (1024, 768))
        window_picture(machine, window, f"ended-{key}")
        xdotool("windowactivate", "--sync", window, "key", "super+q")
        status, sentence = machine.ended(process)
        assert status == 1 and sentence.startswith("dormer-view: ") and words in sentence, sentence
        print(sentence, end="")
        machine.run("power-off", NAME)
        machine.dormerctl("wait", NAME, "--state", "stopped")


def presses(window, key, words):
    """Presses an order to the engine until the title says what came of it."""
    if words not in titles()[window]:
        xdotool("key", key)
    return words in titles()[window]


def nowhere(machine):
    """Without a display or a driver it says so in one sentence."""
    machine.dormerctl("start", NAME, "--headless")
    machine.fails("no display", "view", NAME, DISPLAY=None)
    machine.fails("display", "view", NAME, DISPLAY=":9999")
    nothing = {"VK_DRIVER_FILES": "/nonexistent", "VK_ICD_FILENAMES": "/nonexistent"}
    machine.fails("mesa-vulkan-drivers", "view", NAME, **nothing)
    machine.dormerctl("power-off", NAME)
    # A machine that has been started runs all the same.
    done = machine.run("start", NAME, DISPLAY=None)
    assert done.returncode == 0 and "no display here" in done.stderr, done
    machine.dormerctl("power-off", NAME)
    machine.fails("runs, but no window shows it", "start", NAME, **nothing)
    assert machine.state() == "running"
    machine.dormerctl("power-off", NAME)
    assert not titles()


def throw_away(machine):
    """`run` shows its machine too, which ends with it."""
    run = subprocess.Popen([PROGRAMS / "dormerctl", "run", machine.iso, "--profile", "legacy"], stdout=subprocess.DEVNULL)
    machine.viewers.append(run)
    window = until("window", 20, lambda: next(iter(titles()), None))
    until("title", 10, lambda: titles()[window] == "test")
    run.send_signal(signal.SIGINT)
    gone(window)
    assert run.wait(20) == 0


if __name__ == "__main__":
    sys.exit(viewer.main(walk, __doc__))

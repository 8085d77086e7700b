#!/usr/bin/python3
"""The console window by its menus: its sound, how large the screen is, screenshots, text that is typed, and what becomes of a machine whose window
is closed.

    tests/ui/console_menus.py --out target/ui-console-menus
"""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import drive
from app import SCREEN
from desktop import geometry, xdotool
from session import until

NAME = "Little machine"
CLIPBOARD = pathlib.Path(__file__).with_name("clipboard.py")
SHIFT, RETURN, A, E, H = 42, 28, 30, 18, 35


def walk(app, arguments):
    app.find("label", "No Machines Yet")
    app.create(arguments.iso, NAME)
    app.enter(NAME)
    devices(app)
    sound(app)
    scaling(app)
    screenshots(app)
    typed_text(app)
    closing(app)
    second_drive(app, arguments.iso)
    quitting(app)


def devices(app):
    """What is in the drive, what the screen, the keyboard and the pointer are; an empty drive has nothing to eject."""
    look = lambda: app.press("Devices", "toggle button")
    look()
    app.wait_shown("test.iso")
    for words in ("Shared with this computer", "1024 × 768", "No lock is on", "Goes in and out freely"):
        app.wait_shown(words)
    lamps(app)
    assert app.enabled(2, "eject-cd")
    app.press("Eject CD")
    app.wait_shown("The CD is out")
    app.wait_gone("CD Drive")
    app.wait_focus(SCREEN, "Screen of")
    until("empty drive", 10, lambda: not app.enabled(2, "eject-cd"))
    # A mouse, another screen, and the narrowest window.
    app.key("F1", "F2")
    window = app.window(NAME)
    narrow(window, 640)
    look()
    for words in ("Empty", "720 × 400", "Captured by a click into the screen"):
        app.wait_shown(words)
    app.picture("devices-narrow")
    app.key("Escape")
    app.wait_focus(SCREEN, "Screen of")
    xdotool("windowsize", "--sync", window, 1024, 814)
    app.key("F1", "F2", "F2")


def kept():
    """The machine's settings, by dormerctl."""
    return json.loads(dormerctl("set", NAME, "--json"))


def wait_kept(key, value):
    until(f"{key}={value}", 10, lambda: kept()[key] == value)


def sound(app):
    """Volume, mute and microphone, by the header bar and by keys; what is turned is in the settings, and what the guest hears is seen."""
    app.wait_heard(0, "Sound { listen: true, microphone: false }")
    live = "The system hears the microphone"
    assert not app.shows(live)
    app.press("Sound: 100", "toggle button")
    slide = lambda percent: app.find("slider", "Volume").get_value_iface().set_current_value(percent)
    app.picture("sound")
    for percent in (90, 60, 30):
        slide(percent)
    app.find("toggle button", "Sound: 30")
    wait_kept("sound.volume", "30")
    app.press("Mute", "toggle button")
    app.find("toggle button", "Sound: Muted")
    wait_kept("sound.mute", "on")
    before = len(app.heard())
    switch = lambda: app.find("check box", "Microphone").do_action(0)
    switch()
    app.wait_heard(before, "Sound { listen: true, microphone: true }")
    app.find("image", live)
    wait_kept("sound.microphone", "on")
    app.picture("sound-microphone")
    app.key("Escape")
    app.wait_focus(SCREEN, "Screen of")
    # Over the guest's screen too, and where there is little room.
    app.window_action(2, "fullscreen")
    app.move(500, 0)
    app.find("image", live)
    app.key("ctrl+alt+m")
    app.wait_shown("Sound is on")
    wait_kept("sound.mute", "off")
    app.picture("sound-full-screen")
    app.window_action(2, "fullscreen")
    window = app.window(NAME)
    narrow(window, 640)
    app.press("Sound: 30", "toggle button")
    app.picture("sound-narrow")
    # The settings say it, and are heard.
    app.window()
    app.window_action(1, "settings")
    app.find("dialog", "Settings of")
    app.press("Sound", "page tab")
    app.find("spin button", "Volume").get_value_iface().set_current_value(75)
    app.find("toggle button", "Sound: 75")
    before = len(app.heard())
    app.still(lambda: [node for node in app.below(app.find("check box", "Microphone", within=("dialog", "Settings of")))][-1].do_action(0))
    app.wait_heard(before, "Sound { listen: true, microphone: false }")
    app.wait_gone(live)
    app.picture("sound-settings")
    app.press("Close", within=("dialog", "Settings of"))
    app.wait_gone("Settings of")
    app.window(NAME)
    app.key("Escape")
    app.wait_focus(SCREEN, "Screen of")
    xdotool("windowsize", "--sync", window, 1024, 814)


def lamps(app):
    """Drives and cards say what goes through them, as long as somebody looks."""
    for words in ("Disk: Reading and writing", "CD Drive: Reading and writing", "Network: Receiving"):
        app.find("image", words)
    app.picture("devices")
    app.window_action(2, "pause")
    for words in ("Disk: Idle", "CD Drive: Idle", "Network: Idle"):
        app.find("image", words)
    app.picture("devices-idle")
    app.window_action(2, "pause")
    app.find("image", "Disk: Reading and writing")


def narrow(window, height):
    """Makes a window as narrow as it can be, and says how wide that is."""
    xdotool("windowsize", "--sync", window, 360, height)
    until("narrow window", 10, lambda: geometry(window)[2] <= 360)
    return geometry(window)[2]


def sizes(app, since=0):
    """What sizes the engine was told, in device pixels."""
    lines = [line for line in app.heard()[since:] if line.startswith("UiInfo")]
    return [tuple(map(int, re.findall(r"(?:width|height): (\d+)", line))) for line in lines]


def points(app, *places):
    """Where on its screen the guest hears of the pointer, in its pixels."""
    heard = []
    for place in places:
        before = len(app.heard())
        app.move(*place)
        line = until("pointer", 10, lambda before=before: next((it for it in app.heard()[before:] if "Position" in it), None))
        x, y = map(int, re.findall(r"\d+", line))
        heard.append((x * 1023 / 0x7FFF, y * 767 / 0x7FFF))
    return heard


def scaling(app):
    """Smaller than its window, one to one, in whole multiples; and the guest hears of the window's size when it is to follow it."""
    window = app.window(NAME)
    until("size of the window", 10, lambda: sizes(app))
    before = len(app.heard())
    xdotool("windowsize", "--sync", window, 620, 560)
    told = until("smaller size", 10, lambda: sizes(app, before))[-1]
    x, y, width, height = geometry(window)
    assert abs(told[0] - width) <= 12 and told[1] < height, f"told {told} in a window of {width} × {height}"
    app.picture("fit")
    middle = (x + width // 2, y + height // 2)
    (left, _), (right, _) = points(app, (middle[0] - 100, middle[1]), (middle[0] + 100, middle[1]))
    assert 300 < right - left < 350, f"200 pixels of {told[0]} are {right - left} of the guest's 1024"

    # One to one: there is more than the window shows, and the rest comes by scrolling.
    app.window_action(2, "scaling", "[<'actual'>]")
    app.picture("actual-size")
    (left, top), (right, bottom) = points(app, (middle[0] - 100, middle[1] - 100), (middle[0] + 100, middle[1] + 100))
    assert (round(right - left), round(bottom - top)) == (200, 200), (left, top, right, bottom)
    # The room is what is seen, not what there is.
    assert all(size[0] <= width for size in sizes(app, before)), sizes(app, before)
    before = len(app.heard())
    xdotool("windowsize", "--sync", window, 1300, 960)
    told = until("larger size", 10, lambda: sizes(app, before))[-1]
    assert told[0] > 1200, told
    app.picture("actual-size-with-room")

    app.window_action(2, "scaling", "[<'multiples'>]")
    app.key("F2")
    time.sleep(1)
    app.picture("multiples-of-720")
    app.key("F2", "F2")

    # A guest that keeps its size hears nothing, until it is to follow again.
    app.window_action(2, "resize-guest")
    before = len(app.heard())
    xdotool("windowsize", "--sync", window, 1024, 814)
    time.sleep(1.5)
    assert not sizes(app, before), sizes(app, before)
    app.window_action(2, "resize-guest")
    until("size that is told again", 10, lambda: sizes(app, before))
    app.window_action(2, "scaling", "[<'fit'>]")
    kept = pathlib.Path(os.environ["XDG_CONFIG_HOME"]) / "glib-2.0/settings/keyfile"
    remembered = lambda: kept.exists() and kept.read_text()
    until("remembered screen", 10, lambda: remembered() and "scaling='fit'" in remembered() and "resize-guest='yes'" in remembered())
    app.press("Machine Menu", "toggle button", within=("frame", NAME))
    app.picture("machine-menu")
    app.key("Escape")
    app.wait_focus(SCREEN, "Screen of")
    # The guest's keys are the guest's, so the list of shortcuts has none here.
    before = len(app.heard())
    app.key("ctrl+question")
    app.wait_heard(before, "Key { code: 53, down: true }")
    assert not app.shows("Release keyboard and pointer")
    app.window_action(2, "show-shortcuts")
    app.wait_shown("Release keyboard and pointer")
    app.picture("shortcuts")
    app.key("Escape")
    app.wait_focus(SCREEN, "Screen of")


def screenshots(app):
    """The guest's own pixels, whatever the window's size is: in a file and on the clipboard."""
    path = (app.out / "guest.png").resolve()
    path.unlink(missing_ok=True)
    app.window_action(2, "screenshot")
    app.window("Save Screenshot")
    app.picture("screenshot-file")
    app.key("ctrl+a")
    xdotool("type", "--delay", 20, str(path))
    app.key("Return")
    app.wait_shown("The screenshot is saved")
    app.find("button", "Open")
    app.picture("screenshot-saved")
    assert pixels(path) == "1024x768", pixels(path)
    app.enter(NAME)

    app.window_action(2, "copy-screenshot")
    app.wait_shown("The screenshot is on the clipboard")
    copied = app.out / "guest-copied.png"
    subprocess.run([sys.executable, CLIPBOARD, "picture", copied], check=True, timeout=30)
    assert pixels(copied) == "1024x768", pixels(copied)


def pixels(path):
    identify = ["identify", "-format", "%wx%h", str(path)]
    return subprocess.run(identify, check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def offered(text):
    """A text of another program's on the clipboard."""
    program = subprocess.Popen([sys.executable, CLIPBOARD, "offer", text], stdout=subprocess.PIPE, text=True)
    try:
        assert program.stdout.readline() == "offered\n"
        yield
    finally:
        program.terminate()
        program.wait(10)


def pressed(*codes):
    """What the engine hears of keys that are pressed together."""
    down = [f"Key {{ code: {code}, down: true }}" for code in codes]
    return down + [line.replace("true", "false") for line in reversed(down)]


def typed_text(app):
    """Text from the clipboard or a dialog comes as keys; what no key writes is told before anything is typed."""
    app.enter(NAME)
    before = len(app.heard())
    with offered("hE\na"):
        app.window_action(2, "type-clipboard")
        app.wait_heard(before, *pressed(H), *pressed(SHIFT, E), *pressed(RETURN), *pressed(A))
    app.wait_gone("Typing…")
    before = len(app.heard())
    with offered("a €"):
        app.window_action(2, "type-clipboard")
        app.wait_shown("cannot be typed, a US keyboard has no keys for them: “€”")
    assert not any(line.startswith("Key") for line in app.heard()[before:]), "part of a text is typed"

    app.window_action(2, "type-text")
    app.find("button", "Type")
    app.key("Shift+h")
    text = app.find("text", "Text to type")
    until("typed character", 10, lambda: app.atspi.Text.get_text(text, 0, -1) == "H")
    text.set_text_contents("nö")
    app.wait_shown("no keys for them: “ö”")
    app.picture("type-text-refused")
    text.set_text_contents("a" * 4097)
    app.wait_shown("more than 4096 characters")
    text.set_text_contents("echo hello\n" * 100)
    app.wait_gone("more than 4096 characters")
    app.picture("type-text")
    before = len(app.heard())
    app.press("Type")
    app.wait_shown("Typing…")
    app.picture("typing")
    app.press("Stop Typing")
    app.wait_gone("Typing…")
    typed = len([line for line in app.heard()[before:] if line.startswith("Key")]) // 2
    assert 10 < typed < 1100, typed
    app.wait_focus(SCREEN, "Screen of")
    # The way out stops it too.
    with offered("a" * 1000):
        app.window_action(2, "type-clipboard")
        app.wait_shown("Typing…")
        app.key("ctrl+alt+g")
        app.wait_gone("Typing…")
    app.key("Escape")
    app.wait_focus(SCREEN, "Screen of")


def check(app, name):
    """Checks a box by its mnemonic: AT-SPI has no action for it."""
    box = app.find("check box", name)
    app.key("alt+d")
    until("checked box", 10, lambda: box.get_state_set().contains(app.atspi.StateType.CHECKED))


def closing(app):
    """Closing asks what becomes of the machine. Escape changes nothing, Return loses nothing."""
    question = "Close the Window of"
    app.press_close(NAME)
    app.wait_shown(question)
    app.picture("closing")
    app.key("Escape")
    app.wait_gone(question)
    app.wait_focus(SCREEN, "Screen of")
    app.press_close(NAME)
    app.wait_focus("button", "Keep Running")
    app.key("Return")
    app.wait_closed(NAME)
    app.window()
    app.wait_shown("keeps running")
    # The sound comes back with the window.
    before = len(app.heard())
    app.window_action(1, "open")
    app.wait_heard(before, "Sound { listen: true")
    app.find(SCREEN, f"Screen of {NAME}", 20)
    app.enter(NAME)

    # The narrowest window has room for the question.
    window = app.window(NAME)
    width = narrow(window, 420)
    app.press_close(NAME)
    app.wait_focus("button", "Keep Running")
    app.picture("closing-narrow")
    assert geometry(window)[2] == width, "the window grew"
    app.press("Cancel")
    app.wait_gone(question)
    xdotool("windowsize", "--sync", window, 1024, 814)

    # Once for all: the power button, and the window goes with the machine. Power never fails without a question.
    app.press_close(NAME)
    check(app, "Do not ask again")
    power_off = app.find("button", "Power Off")
    until("no Power Off for ever", 10, lambda: not power_off.get_state_set().contains(app.atspi.StateType.SENSITIVE))
    app.picture("closing-once-for-all")
    app.press("Press Power Button")
    app.wait_shown("The power button is pressed")
    app.enter(NAME)
    # The guest does not care: the window asks, this time.
    app.press_close(NAME)
    app.wait_focus("button", "Keep Running")
    app.key("Escape")
    app.wait_gone(question)
    app.enter(NAME)
    app.key("F4")
    app.wait_closed(NAME)
    app.window()
    app.find("label", "Off")

    # The answer that was given is given again.
    app.window_action(1, "open")
    app.find(SCREEN, f"Screen of {NAME}", 30)
    app.enter(NAME)
    app.press_close(NAME)
    app.wait_shown("The power button is pressed")
    app.press_close(NAME)
    app.press("Power Off")
    app.wait_closed(NAME)
    app.window()
    app.find("label", "Off")


def second_drive(app, iso):
    """Each CD drive has its own disc."""
    dormerctl("disk", NAME, "add", "cd")
    dormerctl("medium", NAME, "insert", iso, "--drive", "cd1")
    dormerctl("set", NAME, "sound.card=none")
    before = len(app.heard())
    app.window_action(1, "open")
    app.find(SCREEN, f"Screen of {NAME}", 30)
    app.enter(NAME)
    app.press("Devices", "toggle button")
    app.find("image", "CD Drive 1: Reading and writing")
    # Without a card there is nothing to turn.
    assert not app.shows("Sound: ") and not any("Sound {" in line for line in app.heard()[before:])
    app.picture("two-cd-drives")
    app.wait_shown("test.iso")
    app.press("Eject CD", within=("list item", "CD Drive 2"))
    app.wait_shown("The CD is out")
    app.press("Devices", "toggle button")
    app.find("list item", "CD Drive 2")
    app.wait_gone("test.iso")
    app.key("Escape")
    app.wait_focus(SCREEN, "Screen of")
    app.key("F4")
    app.wait_focus("button", "Start Again", 20)
    app.press_close(NAME)
    app.wait_closed(NAME)
    app.window()
    app.find("label", "Off")


def dormerctl(*words):
    program = pathlib.Path(os.environ["DORMER_APP"]).with_name("dormerctl")
    return subprocess.run([program, *words], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True).stdout


def quitting(app):
    """Who ends the app hears which machines go on without it."""
    app.window_action(1, "open")
    app.find(SCREEN, f"Screen of {NAME}", 30)
    app.window()
    app.key("ctrl+q")
    app.wait_shown(f"“{NAME}” keeps running")
    app.picture("quitting")
    app.key("Escape")
    app.wait_gone("Quit Dormer?")
    app.key("ctrl+q")
    check(app, "Do not tell again")
    app.press("Quit")
    until("end of dormer", 10, lambda: app.process.poll() is not None)
    assert app.process.returncode == 0, app.process.returncode
    # The machine is there, and what the person knows is not said again.
    again = type(app)(app.out)
    app.__dict__.update(again.__dict__)
    app.find("label", "Running")
    app.window()
    app.key("ctrl+q")
    until("end of dormer", 10, lambda: app.process.poll() is not None)


if __name__ == "__main__":
    sys.exit(drive.main(walk, __doc__))

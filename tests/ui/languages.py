#!/usr/bin/env python3
"""The app for everyone: in German and French, from right to left, in high contrast, in the dark, with large text.

Each time the same pages: a machine, a new machine, the settings, the shortcuts. Translations are those that `cargo xtask` puts beside
the program; locales are made here.
"""

import os
import pathlib
import subprocess

import session
from app import App
from desktop import geometry, xdotool
from drive import main
from session import until

# What is looked for on the way.
GERMAN = {"Settings": "Einstellungen", "Create": "Anlegen", "Memory": "Arbeitsspeicher", "Cancel": "Abbrechen"}
GERMAN |= {"neither an ISO": "weder ein ISO", "1 Selected": "1 ausgewählt"}
FRENCH = {"Settings": "Paramètres", "Create": "Créer", "Memory": "Mémoire", "Cancel": "Annuler"}
FRENCH |= {"neither an ISO": "ni une image ISO", "1 Selected": "1 sélectionnée"}
HOME = pathlib.Path(os.environ["HOME"])
PLAIN = dict(os.environ)


def locale(name):
    """The environment of a person who speaks this language."""
    folder = HOME / "locales"
    folder.mkdir(exist_ok=True)
    subprocess.run(["localedef", "-i", name, "-f", "UTF-8", folder / f"{name}.UTF-8"], check=True, capture_output=True)
    return {"LOCPATH": str(folder), "LC_ALL": f"{name}.UTF-8"}


def large_text():
    """A home whose X resources want text half as large again."""
    folder = HOME / "large"
    folder.mkdir()
    (folder / ".Xdefaults").write_text("Xft.dpi: 144\n", encoding="utf-8")
    return {"HOME": str(folder)}


def brightness(app):
    """How bright the last picture's middle is, from 0 to 1."""
    path = sorted(app.out.glob("*.png"))[-1]
    crop = ["convert", path, "-gravity", "center", "-crop", "300x200+0+0", "-format", "%[fx:mean]", "info:"]
    return float(subprocess.run(crop, check=True, capture_output=True, text=True).stdout)


def extents(app, role, name):
    found = app.find(role, name)
    return found.get_extents(app.atspi.CoordType.WINDOW)


def pages(out, look, surroundings, words):
    """Goes through the pages once; what was measured on the way."""

    class Looked(App):
        def picture(self, name):
            super().picture(f"{look}-{name}")

    say = lambda word: words.get(word, word)
    os.environ.update(surroundings)
    app = Looked(out)
    app.number = len(list(pathlib.Path(out).glob("*.png")))
    try:
        app.find("label", say("Memory"))
        seen = {"label": extents(app, "label", say("Memory")), "list": extents(app, "list item", "Little machine")}
        app.picture("machine")
        seen["brightness"] = brightness(app)
        app.key("ctrl+comma")
        app.find("dialog", say("Settings"))
        app.picture("settings")
        app.key("Escape")
        app.key("ctrl+n")
        app.find("button", say("Create"))
        # What is wrong with it, too.
        app.activate("new-from-file", "[<'/etc/passwd'>]")
        app.wait_shown(say("neither an ISO"))
        app.picture("new")
        app.key("Escape")
        app.wait_gone(say("Create"))
        app.window_action(1, "select-all")
        app.wait_shown(say("1 Selected"))
        app.picture("select")
        app.press(say("Cancel"))
        app.wait_gone(say("1 Selected"))
        app.key("ctrl+question")
        until("shortcuts", 10, lambda: len(xdotool("search", "--onlyvisible", "--pid", app.process.pid).split()) > 1)
        app.picture("shortcuts")
        app.key("Escape")
        window = app.window()
        xdotool("windowsize", "--sync", window, 360, 640)
        app.picture("narrow")
        seen["narrowest"] = geometry(window)[2]
        app.quit()
    finally:
        app.end()
        os.environ.clear()
        os.environ.update(PLAIN)
    return seen


def walk(app, arguments):
    # One machine for all that follow.
    app.find("label", "No Machines Yet")
    app.quit()
    dormerctl = pathlib.Path(os.environ["DORMER_APP"]).with_name("dormerctl")
    subprocess.run([dormerctl, "create", "Little machine", "--iso", arguments.iso, "--memory", "256"], check=True)

    plain = pages(arguments.out, "plain", {}, {})
    pages(arguments.out, "german", locale("de_DE"), GERMAN)
    pages(arguments.out, "french", locale("fr_FR"), FRENCH)
    mirrored = pages(arguments.out, "mirrored", locale("he_IL"), {})
    assert mirrored["list"].x > plain["list"].x + plain["list"].width, "the list is not on the right, from right to left"
    dark = pages(arguments.out, "dark", {"ADW_DEBUG_COLOR_SCHEME": "prefer-dark"}, {})
    assert dark["brightness"] < 0.4 < plain["brightness"], (dark["brightness"], plain["brightness"])
    pages(arguments.out, "contrast", {"ADW_DEBUG_HIGH_CONTRAST": "1"}, {})
    large = pages(arguments.out, "large", large_text(), {})
    assert large["label"].height > plain["label"].height * 1.3, "the text is not larger"
    for name, seen in (("plain", plain), ("large", large)):
        assert seen["narrowest"] == 360, f"{name}: {seen['narrowest']} px is the narrowest"


if __name__ == "__main__":
    raise SystemExit(main(walk, __doc__, session.on_x11))

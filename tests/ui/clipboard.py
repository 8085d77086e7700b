#!/usr/bin/python3
"""Another program's use of the clipboard: `clipboard.py offer TEXT` has a text on it, `clipboard.py picture FILE` saves what picture is on it,
`clipboard.py text` prints what text is."""

import sys

import gi

gi.require_version("Gdk", "4.0")
gi.require_version("Gtk", "4.0")
from gi.repository import GLib, Gtk


def main(do, value=None):
    Gtk.init()
    window = Gtk.Window(title="The clipboard's user")
    window.realize()
    clipboard, loop = window.get_clipboard(), GLib.MainLoop()

    def save(_clipboard, result):
        clipboard.read_texture_finish(result).save_to_png(value)
        loop.quit()

    def tell(_clipboard, result):
        print(clipboard.read_text_finish(result), flush=True)
        loop.quit()

    if do == "offer":
        clipboard.set(value)
        print("offered", flush=True)
    elif do == "text":
        clipboard.read_text_async(None, tell)
    else:
        clipboard.read_texture_async(None, save)
    loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
